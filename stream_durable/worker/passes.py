"""Passes of attempts: functions that keep values and wait, and suspended functions that are kept for later.

A suspended coroutine is kept as long as there is room; the one that has waited longest goes first. The next
pass of an attempt that is not here any more runs from the top of the function, with all answers.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Generator, Sequence
from functools import partial
from threading import get_ident
from typing import Any, Final, Protocol

from msgspec import Raw

from stream_durable.core.effects import Kept
from stream_durable.core.format import INSIDE
from stream_durable.core.ids import MESSAGE_BYTES_MAX
from stream_durable.core.messages import AttemptMessage, AttemptNoted, AttemptWaits, InnerWait
from stream_durable.core.messages.passes import WAITS_MAX
from stream_durable.ports import Clock
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.inside import CHECKPOINT, Suspended
from stream_durable.settings import WorkerSettings
from stream_durable.worker.answered import asked_of
from stream_durable.worker.fitting import Fitting
from stream_durable.worker.job import Job, JobKey
from stream_durable.worker.threads import Threads

#: What a pass returns that ended with a wait.
WAITS: Final = object()
#: What a suspended function yields to `drive`, and to nobody else.
_PAUSE: Final = object()
#: Estimated bytes of a suspended function beside its command.
_SUSPENDED_BYTES: Final = 4_000
#: The bytes of all waits in one message at most, and of each beside its node.
_WAITS_BYTES_MAX: Final = MESSAGE_BYTES_MAX - 10_000
_WAIT_BYTES: Final = 20
#: Of so many functions that were given up it is known.
_GIVEN_UP_MAX: Final = 10_000


class Say(Protocol):
    """Publishes a message about an attempt, and calls `then` on acknowledgement."""

    def __call__(self, job: Job, message: AttemptMessage, then: Callable[[], None]) -> None: ...


class drive:  # noqa: N801 - used like a function that is awaited
    """Await the function of an attempt until it ends, or waits: then the result is `WAITS`.

    The coroutine is driven by hand, since another task goes on with it after the wait, with the context
    variables as the function left them.
    """

    __slots__ = ("_job",)

    def __init__(self, job: Job) -> None:
        self._job = job

    def __await__(self) -> Generator[Any, Any, Any]:
        job, coroutine = self._job, self._job.coroutine
        assert coroutine is not None
        given: Any = None
        send: Callable[[Any], Any] = coroutine.send
        throw: Callable[[Any], Any] = coroutine.throw
        if job.variables is not None:
            within: Callable[..., Any] = job.variables.run
            send, throw = partial(within, send), partial(within, throw)
        go_on = send
        while True:
            try:
                yielded = go_on(given)
            except StopIteration as stop:
                job.coroutine = None
                return stop.value
            except BaseException:
                job.coroutine = None
                raise
            if yielded is _PAUSE:
                job.variables = job.variables or contextvars.copy_context()
                return WAITS
            try:
                given = yield yielded
                go_on = send
            except BaseException as error:
                given, go_on = error, throw


class _Pause:
    """Awaited where a function waits."""

    def __await__(self) -> Generator[Any, None, None]:
        yield _PAUSE


class Passes:
    """What the attempts of a worker keep, and the suspended functions."""

    def __init__(
        self, who: Callable[[Job], dict[str, Any]], say: Say, clock: Clock, settings: WorkerSettings,
        fitting: Fitting, threads: Threads,
    ) -> None:  # fmt: skip
        """Nothing is kept yet."""
        self._who = who
        self._say = say
        self._clock = clock
        self._settings = settings
        self._fitting = fitting
        self.threads = threads
        #: The suspended functions, the one that has waited longest first.
        self._suspended: dict[JobKey, Job] = {}
        self._bytes = 0
        #: The last pass of functions that were given up lately, by attempt.
        self._given_up: dict[JobKey, int] = {}

    async def keep(self, job: Job, note: Kept) -> None:
        """Publish a value and wait for the acknowledgement."""
        value = await self._fitting.note(job.command, note.name, bytes(note.value))
        message = AttemptNoted(
            **self._who(job), format=INSIDE, passes=job.command.passes, note=note.name, at=note.at,
            is_checkpoint=note.kind == CHECKPOINT, value=Raw(value), returns=job.command.returns,
            losses=job.command.losses,
        )  # fmt: skip
        heard = asyncio.Event()
        then: Callable[[], None] = heard.set
        if not job.has_noted:
            then = self._announced(job, message, heard)
        self._say(job, message, then)
        await heard.wait()

    def _announced(self, job: Job, message: AttemptNoted, heard: asyncio.Event) -> Callable[[], None]:
        """Announce the attempt with its first note: its lease counts from then on, and not its command."""
        job.has_noted = True
        now = self._clock.now()
        job.announced = job.beat = now
        lease_ms, timeout = self._settings.lease_ms, job.timeout_ms
        message.is_first = True
        message.lease_ms = lease_ms
        message.timeout_ms = None if timeout is None else max(0, job.started + timeout - now) + lease_ms
        marks = tuple(job.marks)

        def done() -> None:
            for offsets, offset in marks:
                offsets.done(offset)
            heard.set()

        return done

    async def kept(self, job: Job) -> bool:
        """Publish the value kept by a plain function before the next call; False: it waits."""
        note, job.note = job.note, None
        if note is None:
            return False
        await self.keep(job, note)
        job.values = None
        job.within().again(note)
        return True

    def waits(self, job: Job) -> AttemptWaits:
        """Return the message of a waiting pass, and keep the function if it is suspended.

        Raises `Fail` for waits too many or too large for a message.
        """
        waits, job.waits = job.waits, ()
        size = sum(len(bytes(wait.node)) + _WAIT_BYTES for wait in waits)
        if len(waits) > WAITS_MAX:
            close(job)
            text = f"the step waits for {len(waits)} at a time, and {WAITS_MAX} are the most: gather fewer"
            raise Fail("too_many_waits", text, retryable=False)
        if size > _WAITS_BYTES_MAX:
            close(job)
            text = (
                f"the waits at a time, with the inputs of called runs, have {size} bytes of JSON, and "
                f"{_WAITS_BYTES_MAX} are the most: gather fewer, or hand on where large values are kept"
            )
            raise Fail("input_too_large", text, retryable=False)
        message = AttemptWaits(
            **self._who(job),
            format=INSIDE,
            passes=job.command.passes,
            waits=tuple(waits),
            returns=job.command.returns,
            losses=job.command.losses,
            spent=None if job.values is None else job.values.take_spent(),
        )
        if job.is_cancelled:
            close(job)
        elif job.coroutine is not None:
            message.is_kept = self._suspend(job)
        return message

    def _suspend(self, job: Job) -> bool:
        if self._given_up.get(job.key) == job.command.passes:
            # The run may wait with another call's word, which this one did not see.
            close(job)
            return False
        count, bytes_max = self._settings.suspended_max, self._settings.suspended_bytes_max
        self._suspended[job.key] = job
        self._bytes += job.size + _SUSPENDED_BYTES
        while self._suspended and (len(self._suspended) > count or self._bytes > bytes_max):
            self.drop(next(iter(self._suspended)))
        return job.key in self._suspended

    def has_waited(self, job: Job) -> bool:
        """Return whether the function is suspended after the very pass that a command asks for."""
        held = self._suspended.get(job.key)
        return held is not None and asked_of(held) == asked_of(job)

    def taken(self, job: Job) -> Job | None:
        """Return the suspended function for a command with the rest of the answers; None: it is not here."""
        held = self._suspended.get(job.key)
        is_kept_here = job.command.keeper == self._who(job)["worker"]
        if held is None or not is_kept_here or held.command.passes + 1 != job.command.passes:
            return None
        self._forget(held)
        held.go_on(job)
        return held

    def drop(self, key: JobKey) -> None:
        """Give up a suspended function; its `finally` blocks run now."""
        held = self._suspended.get(key)
        if held is not None:
            self._forget(held)
            self._given_up[key] = held.command.passes
            if len(self._given_up) > _GIVEN_UP_MAX:
                del self._given_up[next(iter(self._given_up))]
            close(held)

    def close(self) -> None:
        """Give up all suspended functions."""
        for key in tuple(self._suspended):
            self.drop(key)

    def _forget(self, job: Job) -> None:
        del self._suspended[job.key]
        self._bytes -= job.size + _SUSPENDED_BYTES


def close(job: Job) -> None:
    """Unwind the coroutine of a job, whatever it does about it."""
    coroutine, job.coroutine = job.coroutine, None
    if coroutine is not None:
        try:
            coroutine.close()
        except BaseException as error:
            # A `finally` that awaits something, say: nobody is left to wait for it.
            job.wrote("error", f"the suspended function was ended badly: {type(error).__name__}")


class JobKeeper:
    """The keeper of an attempt's values and waits, for its function."""

    __slots__ = ("_job", "_passes")

    def __init__(self, job: Job, passes: Passes) -> None:
        """Serve the function of a job."""
        self._job = job
        self._passes = passes

    @property
    def is_in_thread(self) -> bool:
        """Whether the function is a plain one."""
        return self._job.is_in_thread

    async def keep(self, note: Kept) -> None:
        """Return when a value is on the log."""
        if not self.is_in_thread:
            await self._passes.keep(self._job, note)
            return
        task = self._job.task
        if task is None or _is_here(task.get_loop()):
            # Nothing can be awaited in the loop's own thread: the function is called again with the value.
            self._job.note = note
            raise Suspended
        asyncio.run_coroutine_threadsafe(self._passes.keep(self._job, note), task.get_loop()).result()

    async def wait_for(self, waits: Sequence[InnerWait]) -> None:
        """Suspend the function."""
        job = self._job
        if self.is_in_thread:
            job.waits = waits
            raise Suspended
        if job.coroutine is None or asyncio.current_task() is not job.task:
            raise Fail(
                "cannot_wait",
                "only the step's own function waits, and no condition, time-out or task of it; for several "
                "at a time there is ctx.gather()",
                retryable=False,
            )
        job.waits = waits
        await _Pause()

    async def call(self, function: Callable[[], Any]) -> Any:
        """Call a plain function in a thread."""
        if self.is_in_thread:
            return function()
        run = partial(contextvars.copy_context().run, function)
        return await self._passes.threads.call(self._job.command, run)


def _is_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether a loop turns in this thread, as that of the testing engine does."""
    return getattr(loop, "_thread_id", None) in (None, get_ident())
