"""Threads for functions that are not async.

The standard library's pool is not used because threads cannot be stopped: a thread running on after its
attempt's end would keep its place for ever and block the interpreter's exit. Here such a thread is overdue:
not counted, replaced when needed, and reused or ended when its function returns. The number of overdue
threads is bounded; beyond the bound the process must be replaced, since memory and connections held by
threads cannot be freed.

The caller bounds the number of calls at a time; no call waits here for a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from stream_durable.core.effects import Command
from stream_durable.core.errors import StreamDurableError
from stream_durable.telemetry import THREAD_REPLACED, THREAD_RETURNED, logger

_log = logger(__name__)

#: As many are named where people look.
_NAMED_MAX = 5


class WorkerExhaustedError(StreamDurableError):
    """Too many threads of a worker hang: the process must be replaced."""

    code = "threads_overdue"


class _Pool(Executor):
    """Threads started when none is idle; some are kept."""

    def __init__(self, count: int) -> None:
        """Begin without threads; keep up to `count` idle ones."""
        self._count = count
        self._begun = 0
        self._idle: list[SimpleQueue[Callable[[], None] | None]] = []
        self._lock = Lock()

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Call the function in a thread, at once."""
        future: Future[Any] = Future()
        # Nobody can take it back: there is nothing that it waits for.
        future.set_running_or_notify_cancel()
        with self._lock:
            calls = self._idle.pop() if self._idle else self._begin()
        calls.put(partial(self._call, calls, future, partial(function, *arguments, **named)))
        return future

    def close(self) -> None:
        """End idle threads; busy ones end after their calls, or with the process."""
        with self._lock:
            self._count = 0
            while self._idle:
                self._idle.pop().put(None)

    def _begin(self) -> SimpleQueue[Callable[[], None] | None]:
        calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._begun += 1
        # One that is overdue must not keep the process from ending.
        Thread(target=_serve, args=(calls,), name=f"attempt-{self._begun}", daemon=True).start()
        return calls

    def _call(
        self,
        calls: SimpleQueue[Callable[[], None] | None],
        future: Future[Any],
        function: Callable[[], Any],
    ) -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = function()
        except StopIteration:
            # The one that no future of asyncio takes.
            failure = RuntimeError("the function raised StopIteration")
        except BaseException as error:
            failure = error
        with self._lock:
            if len(self._idle) < self._count:
                self._idle.append(calls)
            else:
                calls.put(None)
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)


def _serve(calls: SimpleQueue[Callable[[], None] | None]) -> None:
    """Run calls from the queue until None."""
    while (call := calls.get()) is not None:
        call()
        # Else what it was about lives on until the next one comes.
        del call


class _Call:
    """A call of a function for a command."""

    __slots__ = ("command", "function", "is_over", "is_said", "since")

    def __init__(self, command: Command, function: Callable[[], Any]) -> None:
        self.command = command
        self.function = function
        #: Whether the function has ended; set by the thread.
        self.is_over = False
        #: Since when nobody waits for it any more, and whether that was said.
        self.since = 0
        self.is_said = False

    def make(self) -> Any:
        try:
            return self.function()
        finally:
            self.is_over = True

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since / 1_000, UTC).isoformat(timespec="seconds")
        command = self.command
        return f"step {command.step!r} of run {command.run!r}, attempt {command.attempt}, since {since}"


class Threads:
    """Calls functions in threads, and tracks abandoned calls."""

    def __init__(self, count: int, overdue_max: int, now: Callable[[], int]) -> None:
        """Begin no thread yet; `now` returns milliseconds since the epoch."""
        self._pool = _Pool(count)
        self._overdue_max = overdue_max
        self._now = now
        self._overdue: list[_Call] = []
        #: Set when more threads are overdue than may be.
        self.exhausted = asyncio.Event()

    async def call(self, command: Command, function: Callable[[], Any]) -> Any:
        """Call a function in a thread; a cancelled caller leaves an overdue call behind."""
        call = _Call(command, function)
        answer = asyncio.get_running_loop().run_in_executor(self._pool, call.make)
        try:
            return await answer
        except asyncio.CancelledError:
            # Not if it is the function that was cancelled in something of its own.
            if answer.cancelled():
                call.since = self._now()
                self._overdue.append(call)
            raise

    @property
    def overdue(self) -> int:
        """The number of calls running for ended attempts."""
        return sum(not call.is_over for call in self._overdue)

    def look(self) -> None:
        """Log overdue calls and their ends, and detect exhaustion."""
        for call in [call for call in self._overdue if call.is_over]:
            self._overdue.remove(call)
            if call.is_said:
                seconds = round((self._now() - call.since) / 1_000, 3)
                _log.info(THREAD_RETURNED, **_of(call.command), seconds=seconds)
        for call in self._overdue:
            if not call.is_said:
                call.is_said = True
                _log.warning(THREAD_REPLACED, **_of(call.command), overdue=len(self._overdue))
        if len(self._overdue) > self._overdue_max:
            self.exhausted.set()

    def trouble(self) -> str | None:
        """Return the reason for beginning nothing more, if any."""
        if not self.exhausted.is_set():
            return None
        named = "; ".join(str(call) for call in self._overdue[:_NAMED_MAX])
        return (
            f"{len(self._overdue)} threads go on at attempts whose time is over, and "
            f"worker.threads_overdue_max allows {self._overdue_max}: {named}"
        )

    def close(self) -> None:
        """End idle threads; the others end with the process."""
        self._pool.close()


def _of(command: Command) -> dict[str, Any]:
    return {"run": command.run, "step": command.step, "attempt": command.attempt}
