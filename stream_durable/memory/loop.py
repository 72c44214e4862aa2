"""An event loop without real time: when nothing is ready, the clock jumps to the next timer.

One thread, no sleeping, no sockets. The order of events depends only on the program and on requested times,
so the same times repeat the same run.

Callbacks carry their process in their context. Callbacks of a stopped process are deferred until the process
continues; those of a dead process are dropped, as on a real machine.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol, TypeVar

_Result = TypeVar("_Result")

#: Longer than any simulation takes: what schedules this many callbacks at one moment goes round in circles.
_SPIN_MAX = 200_000


class Keeper(Protocol):
    """Decides whether callbacks of a simulated process run."""

    @property
    def is_running(self) -> bool:
        """Whether callbacks run now."""

    def hold(self, handle: asyncio.Handle) -> None:
        """Keep a callback for later."""

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Record a task created by the process."""


#: The simulated process of the running code; None: the world itself.
PROCESS: ContextVar[Keeper | None] = ContextVar("stream_durable_process", default=None)


class DeadlockError(Exception):
    """Nothing is ready and no timer is set, so nothing will ever happen again."""


class SpinError(Exception):
    """Time does not pass any more: something schedules itself again and again."""


class _Call(asyncio.Handle):
    """A callback for the present moment. Without support for debugging: worlds make thousands."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: Context | None,
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback: Callable[..., object] | None = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None

    def cancel(self) -> None:
        self._cancelled = True
        self._callback, self._args = None, ()


class _Timer(_Call, asyncio.TimerHandle):
    """A callback for a later moment. In the heap, equal moments have no order of their own."""

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: Context | None,
    ) -> None:
        _Call.__init__(self, callback, args, loop, context)
        self._when = when
        self._scheduled = True

    def __lt__(self, other: object) -> bool:
        return False


class VirtualLoop(asyncio.BaseEventLoop):
    """An asyncio loop on virtual time."""

    def __init__(self) -> None:
        """Begin at zero."""
        super().__init__()
        self._now = 0.0
        self._ready: Any
        self._closed: bool
        self._stopping: bool
        #: By moment; among equal moments the heap decides.
        self._scheduled: list[tuple[float, _Timer]]
        self._spins = 0
        #: Asked whenever nothing is left to do at this moment; True: it has stopped the loop, or moved time.
        self.at_rest: Callable[[], bool] | None = None
        #: How many seconds a call in a thread takes.
        self.thread_seconds: Callable[[], float] = lambda: 0.0

    def time(self) -> float:
        """Return virtual seconds."""
        return self._now

    def call_soon(  # type: ignore[override]  # the base class ties the arguments to the callback
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call now, after earlier callbacks."""
        if self._closed:
            raise RuntimeError("the loop is closed")
        handle = _Call(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]  # the base class ties the arguments to the callback
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call after so many seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # the base class ties the arguments to the callback
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call at a moment of virtual time."""
        if self._closed:
            raise RuntimeError("the loop is closed")
        timer = _Timer(when, callback, args, self, context)
        heapq.heappush(self._scheduled, (when, timer))
        return timer

    def create_task(
        self,
        coro: Generator[Any, None, _Result] | Coroutine[Any, Any, _Result],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[_Result]:
        """Create a task, and register the task with the owning process."""
        task: asyncio.Task[_Result] = asyncio.Task(
            coro, loop=self, name=None if name is None else str(name), context=context
        )
        keeper = PROCESS.get() if context is None else context.get(PROCESS)
        if keeper is not None:
            keeper.adopt(task)
        return task

    def run_in_executor(  # type: ignore[override]  # the base class types it for its own futures
        self, executor: object, func: Callable[..., _Result], *args: Any
    ) -> asyncio.Future[_Result]:
        """Call the function here, a little later; the result comes after a thread's time."""
        future: asyncio.Future[_Result] = self.create_future()

        def call() -> None:
            # As in a thread: no loop is running there, so the function may run one of its own.
            asyncio._set_running_loop(None)
            try:
                answer = func(*args)
            except BaseException as error:  # noqa: BLE001 - whatever it is goes to who waits for the thread
                self.call_later(self.thread_seconds(), _fail, future, error)
            else:
                self.call_later(self.thread_seconds(), _answer, future, answer)
            finally:
                asyncio._set_running_loop(self)

        self.call_soon(call)
        return future

    def _run_once(self) -> None:
        ready, timers = self._ready, self._scheduled
        pop, take, process = heapq.heappop, ready.popleft, PROCESS
        while True:
            if not ready and not self._move():
                return
            now = self._now
            while timers and timers[0][0] <= now:
                ready.append(pop(timers)[1])
            self._spins += len(ready)
            if self._spins > _SPIN_MAX:
                raise SpinError(f"time stands still at {self._now:.3f} s")
            for _ in range(len(ready)):
                handle = take()
                if handle._cancelled:
                    continue
                keeper = handle._context.get(process)
                if keeper is None or keeper.is_running:
                    handle._run()
                else:
                    keeper.hold(handle)
            if self._stopping:
                return

    def _move(self) -> bool:
        """Go to the next moment with an event; False: handled elsewhere."""
        timers = self._scheduled
        while timers and timers[0][1]._cancelled:
            heapq.heappop(timers)
        if timers and timers[0][0] <= self._now:
            return True
        if self.at_rest is not None and self.at_rest():
            return False
        if not timers:
            raise DeadlockError(f"nothing can happen any more after {self._now:.3f} s")
        self.jump(timers[0][0])
        return True

    def next_moment(self) -> float:
        """Return the next moment of virtual time."""
        return self._scheduled[0][0] if self._scheduled else math.inf

    def jump(self, moment: float) -> None:
        """Let time pass at once, as for a machine that was suspended."""
        self._now = max(self._now, moment)
        self._spins = 0

    def resume(self, handles: list[asyncio.Handle]) -> None:
        """Run callbacks held back by a process."""
        self._ready.extend(handles)

    def _write_to_self(self) -> None:
        """Do nothing: no other thread could have called."""


def _answer(future: asyncio.Future[_Result], answer: _Result) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
