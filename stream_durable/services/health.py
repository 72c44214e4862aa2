"""A small HTTP server reporting the health of a process to a platform.

- `/livez`: 200 while the event loop answers and `is_alive()` holds; else restart the process.
- `/readyz`: 200 when every check is good, else 503 with the reasons; send no work.
- `/metrics`: Prometheus' text format.

GET only, without authentication, one response per connection. Requests are bounded in size and time, open
connections in number, so that nobody on the network can block the process. A check runs on the loop and only
reads known values.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from types import TracebackType
from typing import Final, NamedTuple, Self

from stream_durable.metrics import Metrics

#: None when good, else the reason.
Check = Callable[[], str | None]

REQUEST_BYTES_MAX: Final = 8 * 1024
#: A platform has one or two open; more is a mistake or an attack.
CONNECTIONS_MAX: Final = 32


class _Answer(NamedTuple):
    status: HTTPStatus
    body: bytes
    content_type: str = "application/json"


class Health:
    """The server, listening while the context is open; with `port=None` off."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        is_alive: Callable[[], bool] = lambda: True,
        metrics: Metrics | None = None,
        host: str = "127.0.0.1",
        port: int | None = 0,
        request_seconds: float = 5.0,
    ) -> None:
        self._checks = checks
        self._is_alive = is_alive
        self._metrics = metrics
        self._host = host
        self._port = port
        self._request_seconds = request_seconds
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int | None:
        """The listening port; None while off."""
        return self._server.sockets[0].getsockname()[1] if self._server and self._server.sockets else None

    async def __aenter__(self) -> Self:
        if self._port is not None:
            self._server = await asyncio.start_server(
                self._serve, self._host, self._port, limit=REQUEST_BYTES_MAX
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a request and close; a gone or slow peer is ignored."""
        connection = asyncio.current_task()
        assert connection is not None, "the server runs each connection as a task"
        self._connections.add(connection)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
                answer = await self._answer(reader)
                async with asyncio.timeout(self._request_seconds):
                    writer.write(_encode(answer))
                    await writer.drain()
        finally:
            self._connections.discard(connection)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> _Answer:
        if len(self._connections) > CONNECTIONS_MAX:
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            async with asyncio.timeout(self._request_seconds):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except TimeoutError:
            return _problem(HTTPStatus.REQUEST_TIMEOUT)
        match head.partition(b"\r\n")[0].split(b" "):
            case [b"GET", target, b"HTTP/1.0" | b"HTTP/1.1"]:
                return self._get(target.partition(b"?")[0])
            case [_, _, b"HTTP/1.0" | b"HTTP/1.1"]:
                return _problem(HTTPStatus.METHOD_NOT_ALLOWED)
            case _:
                return _problem(HTTPStatus.BAD_REQUEST)

    def _get(self, path: bytes) -> _Answer:
        match path:
            case b"/livez":
                is_alive = self._is_alive()
                return _json(_status(is_good=is_alive), {"alive": is_alive})
            case b"/readyz":
                checks = {name: _reason(check) for name, check in self._checks.items()}
                is_ready = all(reason is None for reason in checks.values())
                shown = {name: "ok" if reason is None else reason for name, reason in checks.items()}
                return _json(_status(is_good=is_ready), {"ready": is_ready, "checks": shown})
            case b"/metrics" if self._metrics is not None:
                return _Answer(HTTPStatus.OK, self._metrics.render(), self._metrics.content_type)
            case _:
                return _problem(HTTPStatus.NOT_FOUND)


def _reason(check: Check) -> str | None:
    """Run a check; a raising check counts as failed, with the error as reason."""
    try:
        return check()
    except Exception as error:
        return f"the check failed: {type(error).__name__}"


def _status(*, is_good: bool) -> HTTPStatus:
    return HTTPStatus.OK if is_good else HTTPStatus.SERVICE_UNAVAILABLE


def _problem(status: HTTPStatus) -> _Answer:
    return _json(status, {"error": status.phrase})


def _json(status: HTTPStatus, value: Mapping[str, object]) -> _Answer:
    return _Answer(status, json.dumps(value).encode() + b"\n")


def _encode(answer: _Answer) -> bytes:
    allow = "Allow: GET\r\n" if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n"
        f"{allow}Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + answer.body
