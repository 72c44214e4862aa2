"""The API on a deployment in memory: asked by HTTP, while the real engine folds what it writes."""

from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from stream_durable.api.app import make_app
from stream_durable.api.gate import Find
from stream_durable.api.operations import Operations
from stream_durable.api.serving import finding
from stream_durable.api.world import World
from stream_durable.client.edge import Edge
from stream_durable.core.gate.summary import GateSummary
from stream_durable.memory.api_tokens import MemoryApiTokens
from stream_durable.ports import RunQuery
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

    def ask(self, method: str, path: str, *, host: str = "localhost", **options: Any) -> httpx.Response:
        """Send a request and return the answer; the engine works meanwhile."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return await client.request(method, path, **options)

        return self.engine.tell(send)

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
        operations = Operations()
        try:
            yield World(Settings(), client, ports, Edge(ports), operations, self.tokens, self._status)
        finally:
            await operations.close()

    async def _status(self) -> Status:
        views = self.engine.ports.views
        gates: list[GateSummary] = [one for one in await views.gate_list() if one.state != "closed"]
        runs = await views.run_statuses(RunQuery(), at_most=1_000)
        dead = len(await views.dead_list(limit=1_000))
        return Status(self.engine.now_ms, runs, True, [], None, None, {}, gates, dead)


def finish(call: Coroutine[Any, Any, Any]) -> None:
    """Make a call of the engine, which works in its own thread and returns at once here."""
    try:
        call.send(None)
    except StopIteration:
        return
    raise AssertionError("the call waits for this thread")
