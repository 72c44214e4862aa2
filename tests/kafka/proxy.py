"""A door to a broker whose coordinator can fall silent while everything else goes on."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

_OFFSET_COMMIT = 8


class Door:
    """Passes on what clients ask and brokers answer, with its own address in place of the broker's."""

    def __init__(self, port: int) -> None:
        """Lead to the broker at a port."""
        self._port = port
        self._ours = 0
        self._tasks: set[asyncio.Task[None]] = set()
        #: Whether commits are passed on.
        self.passes_commits = asyncio.Event()
        self.passes_commits.set()
        #: How many commits were held back.
        self.held = 0

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self._ours}"

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Door"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._ours = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_broker = await asyncio.open_connection("127.0.0.1", self._port)
        for way in (self._ask(reader, to_broker), self._answer(there, writer)):
            task = asyncio.create_task(way)
            self._tasks.add(task)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError), _closing(writer):
            while True:
                frame = await _frame(reader)
                (key,) = struct.unpack(">h", frame[4:6])
                if key == _OFFSET_COMMIT and not self.passes_commits.is_set():
                    self.held += 1
                    await self.passes_commits.wait()
                writer.write(frame)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = (b"127.0.0.1" + struct.pack(">i", port) for port in (self._port, self._ours))
        with suppress(asyncio.IncompleteReadError, OSError), _closing(writer):
            while True:
                writer.write((await _frame(reader)).replace(theirs, ours))


@contextmanager
def _closing(writer: asyncio.StreamWriter) -> Iterator[None]:
    try:
        yield
    finally:
        writer.transport.abort()


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    (size,) = struct.unpack(">i", head)
    return head + await reader.readexactly(size)
