"""The page on a deployment in memory: a browser asks the API, and the real engine works between requests."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO

import httpx
from fastapi import FastAPI

from stream_durable import App, Context, Gate, Single, Workflow
from stream_durable.api.app import make_app
from stream_durable.api.assembled import finding
from stream_durable.api.examining import Doctor
from stream_durable.api.hub import Hub
from stream_durable.api.operations import Operations
from stream_durable.api.world import World
from stream_durable.client.edge import Edge
from stream_durable.memory.api_tokens import MemoryApiTokens
from stream_durable.ports import RunQuery
from stream_durable.services.doctor.checks import findings
from stream_durable.services.doctor.finding import Finding, Repaired
from stream_durable.services.doctor.looking import look
from stream_durable.services.status import Status
from stream_durable.settings import Settings
from stream_durable.testing.engine import Engine

orders = Workflow("order", description="From a placed order to its parcel")


@orders.step
async def reserve(ctx: Context[Any]) -> dict[str, Any]:
    ctx.log.info("reserving for %s", ctx.input["id"])
    return {"items": ["book"]}


approve = orders.ask("approve", prompt="Ship {input.id}?", role="warehouse", timeout="2d", after=reserve)


@orders.answers("quote")
def quote(request: int) -> dict[str, int]:
    return {"total": 2 * request}


@orders.step(after=approve)
async def ship(ctx: Context[Any]) -> dict[str, Any]:
    return {"tracking": "T-1"}


fails = Workflow("fails")


@fails.step
async def explode(ctx: Context[Any]) -> None:
    raise ValueError("cannot cope with an empty box")


@fails.step(after=explode)
async def later(ctx: Context[Any]) -> None: ...


held = Workflow("held")


@held.step(on_error="hold")
async def charge(ctx: Context[Any]) -> dict[str, str]:
    raise ValueError("the bank says no")


@held.step(after=charge)
async def receipt(ctx: Context[Any]) -> str:
    return "sent"


gated = Workflow("gated", gate=Gate("bank", at_once=2))
gated.wait_signal("go")

paid = Workflow("paid")
paid.add("total", lambda: {"amount": 9.5})
paid.wait_event("captured", "payment.captured", key="input.id", after="total")

alone = Workflow("alone", starts=Single(busy="queue"))
alone.wait_signal("go")

once = Workflow("once", starts=Single())
once.wait_signal("go")

shop = App("shop", workflows=[orders, fails, held, gated, paid, alone, once])
shop.on("stock.low", start=orders, input="data", name="restock")
shop.on(shop.topic("legacy.orders", value=dict), start=orders, id="id", name="legacy")


#: What is wrong besides: an engine in memory has neither topics nor clocks.
WRONG = [
    Finding(
        "topics", "problem", "topic sd.orders", "is not there, so that its binding reads nothing",
        "create it: `stream-durable topics apply`", "apply_topics",
    ),
    Finding(
        "clocks", "warning", "this machine", "is 4 s behind Postgres",
        "set its clock, by NTP for example: times in lists and time-outs are off by as much",
    ),
]  # fmt: skip


class Stream:
    """A stream of the API: the loop of the engine fills it, the thread of a connection empties it."""

    def __init__(self, app: FastAPI, path: str, headers: dict[str, str]) -> None:
        self.arrived = threading.Event()
        self.chunks: deque[bytes] = deque()
        self.status = 0
        path, _, query = path.partition("?")
        self._app = app
        self._scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "root_path": "", "client": ("127.0.0.1", 1),
            "server": ("localhost", 80), "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip

    async def open(self) -> None:
        """Begin, and return with the first event."""
        self._gone, first = asyncio.Event(), asyncio.Event()

        async def receive() -> dict[str, Any]:
            await self._gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.status = message["status"]
            else:
                self.chunks.append(message["body"])
                self.arrived.set()
                first.set()

        self._serving = asyncio.create_task(self._app(self._scope, receive, send))
        await first.wait()

    async def close(self) -> None:
        """End it."""
        self._gone.set()
        await self._serving


class Site:
    """A deployment with runs on it, served."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.tokens = MemoryApiTokens()
        self._lock = threading.Lock()
        self._wrong: Sequence[Finding] = WRONG
        self.app = make_app(self._connect, find=finding(self.tokens))

    def seed(self) -> None:
        """Start what the screens show."""
        client = self._engine._backend.client
        asyncio.run(self._engine.deploy_app(shop))
        self._engine.tell(lambda: client.start(orders, {"id": "1"}, id="order-1", tags=["vip"]))
        for number in (2, 3, 4):
            self._engine.tell(partial(client.start, orders, {"id": str(number)}, id=f"order-{number}"))
            self._engine.tell(partial(client.start, gated, {}, id=f"gated-{number}"))
        for workflow, number in ((alone, 1), (alone, 2), (once, 1), (once, 2)):
            self._engine.tell(partial(client.start, workflow, {}, id=f"{workflow.name}-{number}"))
        self._engine.tell(lambda: client.start(fails, {}, id="fails-1"))
        self._engine.tell(lambda: client.start(paid, {"id": "7"}, id="paid-7"))
        self._engine.tell(lambda: client.start(paid, {"id": "8"}, id="paid-8"))
        self._engine.tell(lambda: client.start(held, {}, id="held-1"))
        self._engine.tell(lambda: client.pause_queue("pick", reason="stocktake in hall 2"))
        self._engine.tell(lambda: client.create_schedule("nightly", orders, {"id": "n"}, cron="0 2 * * *"))

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        """Pass a request to the API; the engine works it off before the next one."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{headers['host']}") as client:
                return await client.request(method, path, headers=headers, content=body)

        with self._lock:
            return self._engine.tell(send)

    def close(self) -> None:
        """Let go of what the requests have opened."""
        with self._lock:
            self._engine.tell(self.app.state.connection.close)

    def open_stream(self, path: str, headers: dict[str, str]) -> Stream:
        """Pass a request for a stream to the API; it brings events while the engine works for other ones."""
        stream = Stream(self.app, path, headers)
        with self._lock:
            self._engine.tell(stream.open)
        return stream

    def close_stream(self, stream: Stream) -> None:
        """End a stream whose reader is gone."""
        with self._lock:
            self._engine.tell(stream.close)

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[World]:
        ports, client, operations = self._engine.ports, self._engine._backend.client, Operations()
        edge = Edge(ports)
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
        engine = self._engine
        found = findings(await look(engine.ports, engine._backend.client, Settings(), engine.now_ms))
        return [*self._wrong, *found]

    async def _repair(self) -> Repaired:
        self._wrong = [one for one in WRONG if one.repair is None]
        return Repaired(["created or corrected sd.orders"], await self._examine())

    async def _status(self) -> Status:
        views = self._engine.ports.views
        runs = await views.run_statuses(RunQuery(), at_most=1_000)
        return Status(self._engine.now_ms, runs, True, [], None, None, {}, [], 0)


def _pass_on(stream: Stream, connection: socket.socket, out: BinaryIO, is_over: threading.Event) -> None:
    """Write what a stream brings, until the browser is gone or the site."""
    while not is_over.is_set():
        if stream.arrived.wait(0.1):
            stream.arrived.clear()
            while stream.chunks:
                out.write(stream.chunks.popleft())
        ready, _, _ = select.select([connection], [], [], 0)
        if ready and not connection.recv(1, socket.MSG_PEEK):
            return


@contextmanager
def served(site: Site) -> Iterator[str]:
    """Serve a site on a free port of this machine; gives its address."""
    is_over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            size = int(self.headers.get("content-length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found = site.answer(self.command, self.path, headers, self.rfile.read(size))
            self.send_response(found.status_code)
            for name, value in found.headers.items():
                if name.lower() != "content-length":
                    self.send_header(name, value)
            self.send_header("content-length", str(len(found.content)))
            self.end_headers()
            self.wfile.write(found.content)

        def do_GET(self) -> None:
            if not self.path.startswith("/api/v1/live"):
                self._pass()
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            stream = site.open_stream(self.path, headers)
            self.send_response(stream.status)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            with suppress(OSError):
                _pass_on(stream, self.connection, self.wfile, is_over)
            site.close_stream(stream)

        do_POST = do_DELETE = do_PATCH = _pass

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base names it
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()
        site.close()
