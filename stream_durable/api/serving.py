"""The API on a real instance: assembled from settings, and served by a process of its own."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn
from fastapi import FastAPI

from stream_durable.api.app import make_app
from stream_durable.api.connection import Connection
from stream_durable.api.guard import Find
from stream_durable.api.readiness import Readiness
from stream_durable.core.errors import RejectedError, StreamDurableError
from stream_durable.metrics import Metrics
from stream_durable.operating import check_schema
from stream_durable.running import with_running
from stream_durable.services.host import Service
from stream_durable.settings import Settings, is_loopback
from stream_durable.telemetry import (
    API_OPENED,
    KAFKA_LOST,
    KAFKA_REGAINED,
    POSTGRES_LOST,
    POSTGRES_REGAINED,
    SETTINGS_QUESTIONED,
    logger,
)
from stream_durable.wire.topics import INBOX, full_name

if TYPE_CHECKING:
    from stream_durable.api.callers import Caller
    from stream_durable.api.world import World
    from stream_durable.ports import ApiTokens
    from stream_durable.services.probes import Probe

_log = logger(__name__)

#: So long after its start a process connects that nobody has asked for anything.
_OPENS_SECONDS: Final = 3.0


def create_app(settings: Settings | Path | None = None, *, find: Find | None = None) -> FastAPI:
    """Return the API and the page as an ASGI application.

    Connects with the first request, to the instance in the settings; `settings` may also be a file's path.
    Callers on this machine need no token where `api.host` is loopback, all others one. A host passes `find`
    for its own users, from a secret to a caller.
    """
    loaded = settings if isinstance(settings, Settings) else with_running(Settings.load(settings))
    return _made(loaded, find, Readiness(partial(_probes, loaded)))


def _made(loaded: Settings, find: Find | None, readiness: Readiness) -> FastAPI:
    instance = _Instance(loaded)
    is_local = is_loopback(loaded.api.host)
    return make_app(
        instance.world,
        find=find or instance.find,
        is_open=is_local or loaded.security.insecure,
        is_local=is_local,
        base_path=loaded.api.base_path,
        readiness=readiness,
    )


@asynccontextmanager
async def role(settings: Settings, metrics: Metrics) -> AsyncIterator[Service]:
    """Return the role of the API: a server on `api.host` and `api.port`."""
    await check_schema(settings)
    await _check_address(settings)
    listening = _listen(settings)
    # From here on requests wait for the server, and none is refused.
    listening.listen()
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    probes, close = _probes(settings)
    app = _made(settings, None, Readiness(lambda: (probes, close)))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, date_header=False,
        timeout_graceful_shutdown=10, lifespan="on", ws="none",
    )  # fmt: skip
    server = _Server(config, app.state.connection)
    _log.info(API_OPENED, address=f"http://{shown}:{port}{settings.api.base_path}/")
    try:
        checks = {name.lower(): probe.check for name, probe in probes.items()}
        yield Service(partial(server.work, listening), checks, tuple(probes.values()))
    finally:
        listening.close()
        await close()


class _Server(uvicorn.Server):
    """A server without signal handlers, with streams ended before it waits for requests under way."""

    def __init__(self, config: uvicorn.Config, connection: Connection) -> None:
        super().__init__(config)
        self._connection = connection

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        """Capture none."""
        return nullcontext()

    async def work(self, listening: socket.socket) -> None:
        """Serve until cancelled, then let requests under way end."""
        serving = asyncio.create_task(self.serve([listening]))
        opening = asyncio.create_task(self._open())
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            opening.cancel()
            await self._connection.end_streams()
            self.should_exit = True
            await serving
            raise
        finally:
            opening.cancel()

    async def _open(self) -> None:
        """Connect without a request, some seconds after the start, for the record on the control topic."""
        await asyncio.sleep(_OPENS_SECONDS)
        # The next request meets the same fault, and says so.
        with suppress(StreamDurableError):
            await self._connection.world()


class _Instance:
    """The tokens and the world of an instance, imported with the first question."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tokens: ApiTokens | None = None
        self._find: Find | None = None

    async def find(self, secret: str) -> Caller | None:
        """Return the caller of a secret."""
        if self._find is None:
            from stream_durable.api.assembled import finding  # noqa: PLC0415 - see above

            self._find = finding(self.tokens())
        return await self._find(secret)

    def tokens(self) -> ApiTokens:
        """Return the tokens, connected when first asked."""
        if self._tokens is None:
            from stream_durable.postgres.api_tokens import PostgresApiTokens  # noqa: PLC0415 - see above

            self._tokens = PostgresApiTokens(_for_reading(self._settings).postgres, is_read_only=True)
        return self._tokens

    @asynccontextmanager
    async def world(self) -> AsyncIterator[World]:
        """Open the world."""
        from stream_durable.api.assembled import connected  # noqa: PLC0415 - see above

        async with connected(_for_reading(self._settings), self._settings, self.tokens()) as world:
            yield world


def _probes(settings: Settings) -> tuple[dict[str, Probe], Callable[[], Awaitable[None]]]:
    """Return what asks Kafka and Postgres, and closes the connection to the latter."""
    from stream_durable.kafka.probe import KafkaProbe  # noqa: PLC0415 - see above
    from stream_durable.postgres.probe import PostgresProbe  # noqa: PLC0415 - see above
    from stream_durable.services.probes import Probe  # noqa: PLC0415 - see above

    kafka = KafkaProbe(settings.kafka, full_name(settings.prefix, INBOX), client="stream-durable-probe")
    postgres = PostgresProbe(_for_reading(settings).postgres)
    probes = {
        "Kafka": Probe(kafka.ask, lost=KAFKA_LOST, regained=KAFKA_REGAINED),
        "Postgres": Probe(postgres.ask, lost=POSTGRES_LOST, regained=POSTGRES_REGAINED),
    }
    return probes, postgres.close


def _for_reading(settings: Settings) -> Settings:
    if settings.api.dsn is None:
        return settings
    return settings.override({"postgres.dsn": settings.api.dsn.get_secret_value()})


async def _check_address(settings: Settings) -> None:
    """Refuse an address beyond this machine without tokens."""
    if is_loopback(settings.api.host):
        return
    tokens = _Instance(settings).tokens()
    try:
        now = time.time_ns() // 1_000_000
        found = [
            one
            for one in await tokens.all()
            if one.revoked is None and (one.expires is None or one.expires > now)
        ]
    finally:
        await tokens.close()
    where = f"api.host: {settings.api.host} is open to other machines"
    if not found and not settings.security.insecure:
        remedy = "`stream-durable api-tokens create NAME --role admin` makes the first"
        raise RejectedError("settings_unsafe", f"{where}, and there is no token: {remedy}")
    _log.warning(SETTINGS_QUESTIONED, note=f"{where}; put TLS before it, as tokens can be read in transit")


def _listen(settings: Settings) -> socket.socket:
    """Open the socket, or raise with the reason."""
    host, port = settings.api.host, settings.api.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        reason = error.strerror or str(error)
        text = f"api.port: cannot listen on {host}:{port}: {reason}; another api.port is a way out"
        raise RejectedError("api_port", text) from error
    return listening
