"""Worker processes for CPU-bound functions: each runs one attempt at a time.

The standard library's pool is not used because ending one of its processes ends all. A process is started on
first need and kept. On time-out or cancellation of an attempt the process is killed, and replaced when
needed.
"""

from __future__ import annotations

import asyncio
import atexit
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from stream_durable.core.effects import Command
from stream_durable.core.messages import (
    AttemptCancels,
    AttemptCompleted,
    AttemptEmitted,
    AttemptEnd,
    AttemptExpanded,
    AttemptFailed,
    AttemptFinished,
    AttemptHeartbeat,
    AttemptJumped,
    AttemptReturned,
    AttemptSkipped,
)
from stream_durable.log_lines import configured
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.handler import Handler
from stream_durable.worker.child import Call, not_importable, serve
from stream_durable.worker.logs import ALL, Keeping

#: Only this way nothing of us, our threads and connections least of all, is copied into them.
_spawn = multiprocessing.get_context("spawn")
_JOIN_SECONDS = 5.0

Progress = Callable[[float, str | None], None]

_Said = (
    AttemptHeartbeat
    | AttemptCompleted
    | AttemptFailed
    | AttemptReturned
    | AttemptSkipped
    | AttemptJumped
    | AttemptExpanded
    | AttemptFinished
    | AttemptEmitted
    | AttemptCancels
)
_encode = msgspec.json.Encoder().encode
_decode: Callable[[bytes], _Said] = msgspec.json.Decoder(_Said).decode


class _Process:
    """A process with a connection. One thread at a time uses the connection; any thread may kill."""

    def __init__(self) -> None:
        """Start the process, importing the function's module meanwhile."""
        self._line, theirs = _spawn.Pipe()
        self._process = _spawn.Process(target=serve, args=(theirs, configured()), name="attempt")
        self._process.start()
        theirs.close()

    def ask(self, call: bytes, progress: Progress) -> AttemptEnd | AttemptEmitted:
        """Have an attempt made."""
        try:
            self._line.send_bytes(call)
            while isinstance(said := _decode(self._line.recv_bytes()), AttemptHeartbeat):
                progress(said.percent or 0, said.label)
        except (EOFError, OSError):
            self._process.join(_JOIN_SECONDS)
            code = self._process.exitcode
            raise Fail(
                "process_died",
                f"the process that made the attempt ended with exit code {code}"
                + (", so it was killed, perhaps for the memory it took" if code == -9 else ""),
            ) from None
        return said

    def end(self) -> None:
        """Kill the process, busy or not."""
        self._process.kill()
        self._process.join(_JOIN_SECONDS)
        self._line.close()


class Processes:
    """As many processes as are needed, up to a number."""

    def __init__(self, count: int, keeping: Keeping = ALL) -> None:
        """Begin without processes; limits apply to the functions' log lines."""
        self._count = count
        self._keeping = keeping
        self._places = asyncio.Semaphore(count)
        self._idle: list[_Process] = []
        self._threads: ThreadPoolExecutor | None = None

    async def make(
        self,
        handler: Handler,
        command: Command,
        deadline_ms: int | None,
        progress: Progress,
        tokens: dict[str, str],
    ) -> AttemptEnd | AttemptEmitted:
        """Make an attempt in a separate process; cancelling the call kills the process."""
        function = handler.function
        module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
        if not name or "<" in name:
            raise not_importable(module, name, "it is a lambda, or defined within another function")
        call = _encode(Call(command, module, name, deadline_ms, self._keeping, tokens))
        async with self._places:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._count, thread_name_prefix="process")
                # A process that waits for us would be waited for when the interpreter ends.
                atexit.register(self.close)
            run = asyncio.get_running_loop().run_in_executor
            process = self._idle.pop() if self._idle else await run(self._threads, _Process)
            try:
                end = await run(self._threads, process.ask, call, progress)
            except BaseException:
                process.end()
                raise
            self._idle.append(process)
            return end

    def close(self) -> None:
        """End idle processes; busy ones are ended by the attempts waiting for them."""
        while self._idle:
            self._idle.pop().end()
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            atexit.unregister(self.close)
