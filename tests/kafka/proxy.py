"""A door to a broker whose coordinator can fall silent, and which can deny that there are brokers."""

import asyncio
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

_METADATA, _OFFSET_COMMIT = 3, 8
#: Of an answer about the cluster: its length, the number of the question, no tags, and how long to wait.
_BEFORE_BROKERS = 13
#: What stands before and behind the name of a broker's host.
_INTEGER = 4


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
        #: Whether answers about the cluster say that it has no brokers, and how many have said so.
        self.denies = False
        self.denied = 0
        self._writers: set[asyncio.StreamWriter] = set()

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
        asked: dict[bytes, int] = {}
        for way in (self._ask(reader, to_broker, asked), self._answer(there, writer, asked)):
            task = asyncio.create_task(way)
            self._tasks.add(task)

    def drop(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def _ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[bytes, int]
    ) -> None:
        with suppress(asyncio.IncompleteReadError, OSError), _closing(writer):
            while True:
                frame = await _frame(reader)
                (key,) = struct.unpack(">h", frame[4:6])
                asked[frame[8:12]] = key
                if key == _OFFSET_COMMIT and not self.passes_commits.is_set():
                    self.held += 1
                    await self.passes_commits.wait()
                writer.write(frame)

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: dict[bytes, int]
    ) -> None:
        theirs, ours = (b"127.0.0.1" + struct.pack(">i", port) for port in (self._port, self._ours))
        self._writers.add(writer)
        with suppress(asyncio.IncompleteReadError, OSError), _closing(writer):
            while True:
                frame = (await _frame(reader)).replace(theirs, ours)
                if asked.pop(frame[4:8]) == _METADATA and self.denies:
                    frame = _without_brokers(frame)
                    self.denied += 1
                writer.write(frame)


def _without_brokers(frame: bytes) -> bytes:
    """An answer about the cluster, in a version of today, without its brokers."""
    end = _BEFORE_BROKERS + 1
    for _ in range(frame[_BEFORE_BROKERS] - 1):
        # Its number, host, port, rack if any, and no tags.
        end += _INTEGER
        end += frame[end] + _INTEGER
        end += max(1, frame[end]) + 1
    rest = frame[4:_BEFORE_BROKERS] + b"\x01" + frame[end:]
    return struct.pack(">i", len(rest)) + rest


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
