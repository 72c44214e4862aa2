"""A cable to a server, which can be cut, or let nothing through."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Cable:
    """Leads from a port of its own to a server of this machine; works in a thread."""

    def __init__(self, port: int) -> None:
        self._there = port
        self.port = 0
        #: How often somebody has connected, and has sent something.
        self.connections = 0
        self.questions = 0
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._passes = asyncio.Event()

    def cut(self) -> None:
        """End all connections, and refuse others."""
        self._tell(self._close)

    def mend(self) -> None:
        """Take connections again, and let everything through."""
        self._tell(self._open)

    def silence(self) -> None:
        """Take connections, and pass on nothing."""
        self._tell(self._passes.clear)

    def _tell(self, what: Callable[[], object]) -> None:
        async def do() -> None:
            found = what()
            if asyncio.iscoroutine(found):
                await found

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(30)

    async def _open(self) -> None:
        self._passes.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, to_server = await asyncio.open_connection("127.0.0.1", self._there)
        ways = (self._pass_on(reader, to_server, question=1), self._pass_on(there, writer))
        self._tasks |= {asyncio.create_task(way) for way in ways}

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: int = 0
    ) -> None:
        self._writers.add(writer)
        try:
            with suppress(OSError):
                while data := await reader.read(65_536):
                    self.questions += question
                    await self._passes.wait()
                    writer.write(data)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _end(self) -> None:
        await self._close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._loop.call_soon(self._loop.stop)


@contextmanager
def laid(port: int) -> Iterator[Cable]:
    """Lay a cable to a port, for the block."""
    cable = Cable(port)
    thread = threading.Thread(target=cable._loop.run_forever, daemon=True)
    thread.start()
    try:
        cable.mend()
        yield cable
    finally:
        cable._tell(cable._end)
        thread.join(30)
        cable._loop.close()
