"""The processes of a deployment in memory: they can be killed, frozen and blocked.

A process reaches the world only through `Process.call`. There requests are delayed or lost, answers
are late or lost, and the process may be killed. A killed process ends as with kill -9: no more of its code
runs, but messages already sent may still arrive. A frozen process stops in the middle of its work and
continues later without noticing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from inspect import CORO_CLOSED, getcoroutinestate, iscoroutine
from typing import Any, NoReturn, TypeVar

from stream_durable.core.errors import TransientError
from stream_durable.memory.loop import PROCESS
from stream_durable.memory.weather import Weather

_Answer = TypeVar("_Answer")

_CLOSE_MAX = 100


class Killed(BaseException):
    """Raised where code of a dead process, which is only being cleared away, reaches for the world."""


class Process:
    """A process of the deployment, from start to death."""

    def __init__(self, weather: Weather, name: str, died: Callable[[Process], None] | None = None) -> None:
        """Start nothing yet; `died` is called at the end. Without `died` the process never dies: a client."""
        self.weather = weather
        self.name = name
        self._died = died
        self.is_running = True
        self.is_dead = False
        self.failure: BaseException | None = None
        #: Suspends this process for longer than the group's patience.
        self.stall: Callable[[], None] = lambda: None
        self._tasks: list[asyncio.Task[Any]] = []
        self._held: list[asyncio.Handle] = []
        self._context = Context()
        self._context.run(PROCESS.set, self)
        self._outside = Context()
        self._outside.run(PROCESS.set, _Threads(self))
        #: Whether only the loop stands still, while threads go on.
        self.is_blocked = False
        self._main: asyncio.Task[None] | None = None

    def start(self, main: Coroutine[Any, Any, None]) -> None:
        """Run the program of the process."""
        self._main = self.weather.loop.create_task(main, context=self._context)
        self._main.add_done_callback(self._ended, context=Context())

    def stop(self) -> None:
        """Ask the process to end in good order."""
        if self._main is not None:
            self._main.cancel()

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """Let something happen in the process."""
        self.weather.loop.call_later(seconds, call, context=self._context)

    def beside(self, seconds: float, call: Callable[[], object]) -> None:
        """Let an event happen in another thread of the process than the loop's."""
        self.weather.loop.call_later(seconds, call, context=self._outside)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Record a task created by the process."""
        if len(self._tasks) > 200:
            self._tasks = [each for each in self._tasks if not each.done()]
        self._tasks.append(task)

    def hold(self, handle: asyncio.Handle) -> None:
        """Keep callbacks of a suspended process; drop those of a dead one."""
        if not self.is_dead:
            self._held.append(handle)

    def freeze(self) -> None:
        """Suspend the process in the middle of its work."""
        self.is_running = self.is_blocked = False

    def block(self) -> bool:
        """Let the loop stand still, and nothing else; False: it stands still already."""
        if not self.is_running:
            return False
        self.is_running, self.is_blocked = False, True
        return True

    def thaw(self) -> None:
        """Go on as if nothing had been."""
        if not self.is_dead and not self.is_running:
            self.is_running, self.is_blocked = True, False
            held, self._held = self._held, []
            self.weather.loop.resume(held)

    def kill(self) -> None:
        """End at once. What was under way to the world arrives; no code of the process runs any more."""
        if self.is_dead:
            return
        self.is_dead = True
        self.is_running = self.is_blocked = False
        self._held.clear()
        self.weather.later(0.0, self._clear_away)
        if self._died is not None:
            self._died(self)

    def alive(self) -> None:
        """Let nothing of a dead process pass."""
        if self.is_dead:
            raise Killed(self.name)

    async def crash_point(self, where: str) -> None:
        """Perhaps die here."""
        self.alive()
        if self.falls(where):
            await self.weather.loop.create_future()

    def falls(self, where: str) -> bool:
        """Perhaps die here; return whether: then nothing more may be done."""
        weather = self.weather
        faults = weather.faults
        if self._died is None or not faults.crash or weather.crashes >= faults.crashes_max:
            return False
        if not weather.chance(faults.crash, f"crash at {where}"):
            return False
        weather.crashes += 1
        self.kill()
        return True

    async def die(self) -> NoReturn:
        """Die now, from within."""
        self.weather.crashes += 1
        self.kill()
        await self.weather.loop.create_future()
        raise AssertionError("a dead process went on")

    async def call(self, where: str, service: str, act: Callable[[], _Answer]) -> _Answer:
        """Send a request to a service and wait for the answer, if any comes."""
        await self.crash_point(f"{where}, before")
        weather, faults = self.weather, self.weather.faults
        if where == "publish" and weather.chance(faults.stall, "stall before publishing"):
            self.stall()
            await asyncio.sleep(0.0)
        weather.calls += 1
        loop = weather.loop
        if weather.is_out(service) or (faults.refuse and weather.chance(faults.refuse, f"{where} refused")):
            await asyncio.sleep(0.02)
            raise TransientError(f"{service} refuses {where}")
        answer: asyncio.Future[_Answer] = loop.create_future()
        delay = weather.delay()
        if faults.late and weather.chance(faults.late, f"{where} late"):
            delay += weather.rng.uniform(0.2, 3.0)
        if faults.lose_answer and weather.chance(faults.lose_answer, f"{where} answer lost"):
            # Applied before the error is reported, after it, or not at all.
            patience = weather.delay()
            if weather.rng.random() < 0.75:
                weather.later(delay, lambda: _quietly(act))
            await asyncio.sleep(min(delay, 0.3) + patience)
            raise TransientError(f"no answer to {where}")
        # The answer travels too: it is old when it comes.
        there = delay * weather.rng.random()
        weather.later(there, lambda: _settle(answer, act))
        # Dying here the request is sent and on its way.
        await self.crash_point(f"{where}, sent")
        await asyncio.sleep(delay)
        got = await answer
        await self.crash_point(f"{where}, after")
        return got

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self.is_dead:
            return
        if not task.cancelled():
            self.failure = task.exception()
        self.is_dead = True
        self.is_running = self.is_blocked = False
        self.weather.later(0.0, self._clear_away)
        if self._died is not None:
            self._died(self)

    def _clear_away(self) -> None:
        """Unwind suspended coroutines, so that nothing lingers; they reach nothing outside."""
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                close(task.get_coro())
        self._tasks.clear()


class _Threads:
    """Threads of a process beside its loop's thread; frozen with the process."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @property
    def is_running(self) -> bool:
        return self._process.is_running or self._process.is_blocked

    def hold(self, handle: asyncio.Handle) -> None:
        self._process.hold(handle)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        raise AssertionError("no thread but that of the loop makes tasks")


def close(coroutine: Any) -> None:
    """Close a suspended coroutine from the inside out, however often its `finally` blocks await something."""
    for _ in range(_CLOSE_MAX):
        if getcoroutinestate(coroutine) == CORO_CLOSED:
            return
        chain = []
        inner = coroutine
        while iscoroutine(inner):
            chain.append(inner)
            inner = inner.cr_await
        for each in reversed(chain):
            # The process is dead: nobody is left to receive the error.
            with suppress(BaseException):
                each.close()


def _settle(answer: asyncio.Future[_Answer], act: Callable[[], _Answer]) -> None:
    try:
        result = act()
    except Exception as error:
        if not answer.done():
            answer.set_exception(error)
            # Whoever asked may have been stopped meanwhile, and nobody is left to hear of it.
            answer.exception()
    else:
        if not answer.done():
            answer.set_result(result)


def _quietly(act: Callable[[], object]) -> None:
    # The caller has given up waiting for it.
    with suppress(Exception):
        act()


def immediately(coroutine: Coroutine[Any, Any, _Answer]) -> _Answer:
    """Return the result of a coroutine without awaits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        answer: _Answer = stop.value
        return answer
    raise AssertionError("it waited")
