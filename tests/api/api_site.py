"""The API on a deployment in memory: asked by HTTP, while the real engine folds what it writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self

import httpx
from fastapi import FastAPI

from stream_durable.api.app import make_app
from stream_durable.api.assembled import finding
from stream_durable.api.examining import Doctor
from stream_durable.api.guard import Find
from stream_durable.api.hub import Hub
from stream_durable.api.operations import Operations
from stream_durable.api.world import World
from stream_durable.client.edge import Edge
from stream_durable.core.gate.summary import GateSummary
from stream_durable.memory.api_tokens import MemoryApiTokens
from stream_durable.ports import RunQuery
from stream_durable.services.doctor.checks import findings
from stream_durable.services.doctor.finding import Finding, Repaired
from stream_durable.services.doctor.looking import look
from stream_durable.services.status import Status
from stream_durable.settings import Settings
from stream_durable.testing.engine import Engine

V1 = "/api/v1"


class Site:
    """An engine in memory with the API before it."""

    def __init__(self, engine: Engine, *, is_open: bool = True) -> None:
        self.engine = engine
        self.tokens = MemoryApiTokens()
        self.app = self.make(find=finding(self.tokens), is_open=is_open)

    def make(
        self, *, find: Find | None, is_open: bool, is_local: bool = True, base_path: str = ""
    ) -> FastAPI:
        return make_app(self._connect, find=find, is_open=is_open, is_local=is_local, base_path=base_path)

    def close(self) -> None:
        """Let go of what the requests have opened."""
        self.engine.tell(self.app.state.connection.close)

    def ask(self, method: str, path: str, *, host: str = "localhost", **options: Any) -> httpx.Response:
        """Send a request and return the answer; the engine works meanwhile."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return await client.request(method, path, **options)

        return self.engine.tell(send)

    def watch(self, path: str, during: Callable[[Stream], Awaitable[Any]], **headers: str) -> list[Seen]:
        """Open a stream for as long as something lasts, and return the events that came."""

        async def open_it() -> list[Seen]:
            async with Stream(self.app, f"{V1}{path}", headers) as stream:
                await during(stream)
                return stream.seen

        return self.engine.tell(open_it)

    def get(self, path: str, **options: Any) -> Any:
        answer = self.ask("GET", V1 + path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        answer = self.ask("POST", V1 + path, json={} if body is None else body, **options)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[World]:
        ports, client = self.engine.ports, self.engine._backend.client
        operations, edge = Operations(), Edge(ports)
        hub = Hub(edge)
        try:
            yield World(
                Settings(), client, ports, edge, operations, hub, self.tokens, self.tokens, self._status,
                Doctor(self._examine, self._repair),
            )  # fmt: skip
        finally:
            await hub.close()
            await operations.close()

    async def _examine(self) -> list[Finding]:
        engine = self.engine
        return findings(await look(engine.ports, engine._backend.client, Settings(), engine.now_ms))

    async def _repair(self) -> Repaired:
        # What is safe to repair is on real services alone.
        return Repaired([], await self._examine())

    async def _status(self) -> Status:
        views = self.engine.ports.views
        gates: list[GateSummary] = [
            one for one in await views.gate_list() if one.state in {"open", "half-open"}
        ]
        runs = await views.run_statuses(RunQuery(), at_most=1_000)
        dead = await views.dead_count(0, at_most=1_000)
        return Status(self.engine.now_ms, runs, True, [], None, None, {}, gates, dead)


class Seen(NamedTuple):
    """An event of a stream."""

    event: str
    data: Any
    id: str


class Stream:
    """A request answered by server-sent events, within a loop that runs."""

    def __init__(self, app: FastAPI, path: str, headers: dict[str, str]) -> None:
        self.seen: list[Seen] = []
        #: When each came, on the clock of the loop.
        self.times: list[float] = []
        self.status = 0
        self.text = ""
        self.is_over = False
        #: While false, nothing is taken: the reader is slow.
        self.reads = asyncio.Event()
        self.reads.set()
        self._app = app
        path, _, query = path.partition("?")
        given = {"host": "localhost"} | {name.lower(): value for name, value in headers.items()}
        self._scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "root_path": "", "client": ("127.0.0.1", 1),
            "server": ("localhost", 80), "headers": [(k.encode(), v.encode()) for k, v in given.items()],
        }  # fmt: skip
        self._gone = asyncio.Event()
        self._arrived = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._serving = asyncio.create_task(self._app(self._scope, self._receive, self._send))
        await self.until(lambda: self.is_over or bool(self.seen))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._gone.set()
        self.reads.set()
        await self._serving

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for the stream to have brought something."""
        while not is_so():
            self._arrived.clear()
            await self._arrived.wait()

    async def until_seen(self, *events: str) -> None:
        """Wait for the latest event to be of these kinds."""
        await self.until(lambda: self.seen[-1].event in events)

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.text += message["body"].decode()
            self.is_over = not message.get("more_body", False)
            *whole, self.text = self.text.split("\n\n") if self.status == 200 else [self.text]
            for lines in map(str.splitlines, whole):
                fields = dict(line.split(": ", 1) for line in lines)
                self.times.append(asyncio.get_running_loop().time())
                self.seen.append(Seen(fields["event"], json.loads(fields["data"]), fields.get("id", "")))
        self._arrived.set()


def finish(call: Coroutine[Any, Any, Any]) -> None:
    """Make a call of the engine, which works in its own thread and returns at once here."""
    try:
        call.send(None)
    except StopIteration:
        return
    raise AssertionError("the call waits for this thread")
