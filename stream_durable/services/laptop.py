"""Kafka and Postgres on a laptop, kept in a directory.

Configured services are used. Otherwise Postgres is a local server, and Kafka a local broker with Java, or
librdkafka's mock without. The mock loses its log at the end; the state in Postgres then finds a new log,
continues there and requests work under way again. Definitions are lost too, so `definitions.py` keeps them.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, NamedTuple, Protocol

from stream_durable.core.errors import RejectedError
from stream_durable.kafka.mock import MOCK_PARTITIONS, MockKafka
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres
from stream_durable.local.process import LOOPBACK, LocalServiceError, free_ports, is_free
from stream_durable.running import is_configured
from stream_durable.settings import Settings, environment_name

KafkaChoice = Literal["auto", "configured", "local", "mock"]

_PORTS: Final = "ports.json"
_KEPT_KEY: Final = "tokens.key"
_TITLES: Final = {"kafka": "Kafka", "postgres": "Postgres", "api": "the page"}
_LOOK_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 30.0


class Ports(NamedTuple):
    """Requested ports; None: the last port, or any."""

    kafka: int | None = None
    postgres: int | None = None


class Server(Protocol):
    """A local service."""

    @property
    def running(self) -> bool: ...
    @property
    def code(self) -> int | None: ...
    def start(self) -> None: ...
    def stop(self) -> bool: ...


def _say_nothing(_line: str) -> None:
    """Start without a word."""


class Laptop:
    """The services of this machine, with addresses; started and stopped by `running`."""

    def __init__(
        self, home: Path, settings: Settings, kafka: KafkaChoice = "auto", ports: Ports | None = None
    ) -> None:
        """Start only the mock broker, which picks a port; refuse impossible settings."""
        chosen = _choose(kafka, settings)
        asked = ports or Ports()
        if asked.kafka is not None and chosen != "local":
            raise RejectedError(
                "bad_option", f"--kafka-port is for a local Kafka, and Kafka is {chosen} here"
            )
        if asked.postgres is not None and is_configured(settings, "postgres.dsn"):
            raise RejectedError(
                "bad_option", "--postgres-port is for a local Postgres, and one is configured"
            )
        self._home = home
        self._chosen = chosen
        #: Lines for people that are known before anything is started.
        self.notes: list[str] = []
        self._servers: dict[str, Server] = {}
        self._starts: dict[str, Future[None]] = {}
        self._mock: MockKafka | None = None
        values = _sized(settings, chosen)
        if not settings.security.token_secrets:
            values["security.token_secrets"] = _kept_secret(home)
        self.postgres = self._with_postgres(settings, asked, values)
        self.kafka = self._with_kafka(settings, asked, values)
        if not is_configured(settings, "api.port"):
            values["api.port"] = str(self._port("api", None))
        #: Differences from the original settings, by path.
        self.values: Mapping[str, str] = values
        self.settings = settings.override(values)
        #: Servers that did not end in good order, once all have ended.
        self.disorder: list[str] = []

    @property
    def is_mock(self) -> bool:
        return self._mock is not None

    @property
    def page(self) -> str:
        """The address of the page, for a browser on this machine."""
        return f"http://{LOOPBACK}:{self.settings.api.port}{self.settings.api.base_path}/"

    @property
    def environment(self) -> dict[str, str]:
        """The settings as environment variables for a child process."""
        return {environment_name(path): value for path, value in self.values.items()}

    def fetch(self, say: Callable[[str], None] = _say_nothing) -> None:
        """Download the parts of a local Kafka, once for each user; `say` is called for slow steps."""
        if self._chosen == "local":
            LocalKafka.prepare(say)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start all servers concurrently; stop them with the context.

        Callers wait with `until_started`, and may do other work before.
        """
        servers = self._servers.values()
        with ThreadPoolExecutor(2, thread_name_prefix="laptop") as threads:
            self._starts = {name: threads.submit(one.start) for name, one in self._servers.items()}
            try:
                yield
            finally:
                # A start cannot be broken off, only awaited.
                wait(self._starts.values())
                ended = list(threads.map(lambda one: one.stop(), servers))
                self.disorder = [
                    name for name, is_orderly in zip(self._servers, ended, strict=True) if not is_orderly
                ]
                if self._mock is not None:
                    self._mock.close()

    async def until_started(self, *names: str) -> None:
        """Wait until the servers of these names answer, by default all; raise the cause of a failure."""
        waited = [start for name, start in self._starts.items() if name in names or not names]
        await asyncio.gather(*map(asyncio.wrap_future, waited))

    async def keep(self, say: Callable[[str], None]) -> None:
        """Restart services that end, until cancelled; `say` receives a message each time."""
        await asyncio.gather(*(_keep(name, server, say) for name, server in self._servers.items()))

    def _with_postgres(self, settings: Settings, asked: Ports, values: dict[str, str]) -> str:
        if is_configured(settings, "postgres.dsn"):
            return "the configured one"
        server = LocalPostgres(self._home / "postgres", self._port("postgres", asked.postgres))
        self._servers["Postgres"] = server
        values["postgres.dsn"] = server.dsn()
        return f"{server.dsn()}, kept in {self._home / 'postgres'}"

    def _with_kafka(self, settings: Settings, asked: Ports, values: dict[str, str]) -> str:
        if self._chosen == "configured":
            return f"{settings.kafka.bootstrap}, as configured"
        if self._chosen == "local":
            broker = LocalKafka(self._home / "kafka", self._port("kafka", asked.kafka))
            self._servers["Kafka"] = broker
            values["kafka.bootstrap"] = broker.bootstrap
            return f"Apache Kafka on {broker.bootstrap}, kept in {self._home / 'kafka'}"
        self._mock = MockKafka()
        values["kafka.bootstrap"] = self._mock.bootstrap
        where = self._mock.bootstrap
        return f"librdkafka's mock broker on {where}: it forgets when this ends, Postgres does not"

    def _port(self, name: str, asked: int | None) -> int:
        """Return the port of a server, which is remembered for the next time."""
        file = self._home / _PORTS
        kept = _read_ports(file)
        port = asked or kept.get(name)
        if port is None or (asked is None and not is_free(port)):
            if port is not None:
                self.notes.append(f"port {port} is taken: {_TITLES[name]} has another one from now on")
            port = free_ports(1)[0]
        self._home.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**kept, name: port}))
        return port


def _kept_secret(home: Path) -> str:
    """Return the secret for tokens, made once for each directory, so that tokens outlive a restart."""
    file = home / _KEPT_KEY
    if file.exists():
        return file.read_text().strip()
    secret = secrets.token_urlsafe(48)
    home.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(secret)
    return secret


def _read_ports(file: Path) -> dict[str, int]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: port for name, port in found.items() if isinstance(port, int)}


async def _keep(name: str, server: Server, say: Callable[[str], None]) -> None:
    delay = _LOOK_SECONDS
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        if server.running:
            delay = _LOOK_SECONDS
            continue
        say(f"{name} has ended by itself, with code {server.code}: it is started again")
        try:
            await asyncio.to_thread(server.start)
        except LocalServiceError as error:
            say(f"{name} could not be started again, which is tried again in {delay:g} s: {error}")
            await asyncio.sleep(delay)
            delay = min(2 * delay, _LONGEST_SECONDS)
        else:
            say(f"{name} runs again")


def _choose(kafka: KafkaChoice, settings: Settings) -> KafkaChoice:
    """Resolve `auto`, and refuse unavailable choices."""
    if kafka == "auto":
        if is_configured(settings, "kafka.bootstrap"):
            return "configured"
        return "mock" if LocalKafka.available() else "local"
    if kafka == "local" and (missing := LocalKafka.available()):
        raise RejectedError("no_local_kafka", missing)
    return kafka


def _sized(settings: Settings, chosen: KafkaChoice) -> dict[str, str]:
    """Return sizes for one machine and one user, except configured ones."""
    suited = {"kafka.replication": "1"}
    if not (chosen == "configured" and is_configured(settings, "postgres.dsn")):
        # The same for all kinds of Kafka, so that the kept database goes with each of them.
        suited["kafka.partitions"] = str(MOCK_PARTITIONS)
        suited["engine.on_lost_log"] = "continue_earliest"
    if chosen != "configured":
        # People trying out a crash are watching.
        suited |= {"kafka.session_timeout_ms": "3000", "kafka.heartbeat_ms": "500"}
    return {path: value for path, value in suited.items() if not is_configured(settings, path)}
