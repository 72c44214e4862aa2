"""Attempts: users' functions called, bounded in number and in time, each ending in one report.

A fixed number of tasks take jobs from one queue, one after another, so that an attempt that need not
wait costs no task of its own. Async functions run on the loop, plain ones in threads.

Whatever a user's function raises ends here and becomes a recorded failure; this is the one place
where that is so.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

from stream_durable.core.effects import CancelAttempt
from stream_durable.core.failure import Failure
from stream_durable.core.messages import (
    AttemptEnd,
    AttemptFailed,
    AttemptMessage,
    AttemptReturned,
    LogLine,
)
from stream_durable.payloads import Payloads
from stream_durable.ports import Clock
from stream_durable.sdk.answers import failure_from
from stream_durable.sdk.durations import milliseconds
from stream_durable.sdk.errors import NotCarriedError
from stream_durable.sdk.handler import Handler
from stream_durable.settings import WorkerSettings
from stream_durable.telemetry import Metrics
from stream_durable.worker.calling import Calling
from stream_durable.worker.ends import end_of, given_of
from stream_durable.worker.fitting import Fitting
from stream_durable.worker.job import Job, JobKey
from stream_durable.worker.leases import Leases
from stream_durable.worker.logs import WRITER, Missed, listen_on, tell_failure
from stream_durable.worker.offsets import DoneOffsets
from stream_durable.worker.queue import Queue
from stream_durable.worker.reports import Reports

#: After so many attempts that did not wait, the loop gets its turn.
_TURN = 64
#: Answered attempts that are kept in mind.
_ENDED_MAX = 10_000
#: How long a command that no code here can serve is put off; a deployment takes about that long.
_NO_HANDLER_MS = 5_000
_LOOK_SECONDS = 0.25


class Attempts:
    """Runs jobs and reports how they ended."""

    def __init__(
        self,
        handler: Callable[[str, str], Handler],
        reports: Reports,
        payloads: Payloads,
        clock: Clock,
        settings: WorkerSettings,
        metrics: Metrics,
        *,
        worker: str,
    ) -> None:
        """Run nothing yet; `handler` finds the function of a workflow's step."""
        self._handler = handler
        self._reports = reports
        self._fitting = Fitting(payloads, settings.payload_inline_bytes_max)
        self._clock = clock
        self._settings = settings
        self._metrics = metrics
        self._worker = worker
        self._queue = Queue()
        #: Room is made when half of the places to wait are free, so that the lanes are not woken for each.
        self._refill_below = max(1, settings.concurrency // 2)
        self._jobs: dict[JobKey, Job] = {}
        self._running: dict[JobKey, Job] = {}
        metrics.attempts_running.set_function(self._running.__len__)
        self._tasks: set[asyncio.Task[None]] = set()
        self._calling = Calling(settings)
        self._missed = Missed()
        self._room = asyncio.Event()
        self._room.set()
        self._is_draining = False
        self._leases = Leases(self._running, self._who, self._say, clock, settings)
        self._isolation = self._leases.isolation
        #: What was asked for, and has been answered; the latest.
        self._ended: OrderedDict[tuple[str, str, int, int, int], None] = OrderedDict()
        #: Attempts that have completed and are not counted yet: one by one it is dear.
        self._completed = 0

    def add(self, job: Job) -> None:
        """Take a job; it begins as soon as a place is free."""
        if not job.command.redriven and _asked(job) in self._ended:
            # Its answer is on the log; a successor of whoever asked for it has asked once more.
            job.done()
            return
        key = job.key
        known = self._jobs.get(key)
        if known is not None:
            # The same attempt asked for twice, after a takeover say: one of the two will do, but neither
            # is done before it is.
            known.stand_for(job)
            return
        job.clock = self._clock
        self._jobs[key] = job
        self._queue.add(job)
        if self._queue.count >= self._settings.concurrency:
            self._room.clear()
        if len(self._tasks) < self._settings.concurrency:
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @property
    def has_room(self) -> bool:
        """Whether jobs can be taken without piling up: as many may wait as may run."""
        return self._room.is_set() and self._reports.has_room

    async def room(self) -> None:
        """Wait until jobs can be taken without piling up."""
        await self._room.wait()
        await self._reports.room()

    async def heard(self) -> None:
        """Wait until something more that attempts had to say has been heard."""
        await self._reports.heard()

    def cancel(self, cancel: CancelAttempt, offsets: DoneOffsets, offset: int) -> None:
        """Drop an attempt, whether it waits or runs; if the run waits for the answer, let it have one."""
        job = self._jobs.get((cancel.run, cancel.step, cancel.attempt))
        if job is None or not cancel.must_answer:
            # One that is not here has ended, and what it said comes; or another worker is at it and says so
            # by its heartbeats. To answer in its place could hide what it did.
            offsets.done(offset)
        else:
            job.must_answer = True
            job.marks.append((offsets, offset))
        if job is not None and not job.is_cancelled:
            job.is_cancelled = True
            # A thread cannot be stopped, and an answer that is waited for is the one it comes to.
            if job.task is not None and not (job.must_answer and job.is_in_thread):
                job.task.cancel()

    def leave(self, offsets: DoneOffsets) -> int:
        """Drop the jobs of a partition that was taken away, as far as they have not begun.

        Return how many commands were dropped.
        """
        dropped = 0

        def is_kept(job: Job) -> bool:
            nonlocal dropped
            before = len(job.marks)
            is_over = job.leave(offsets)
            dropped += before - len(job.marks)
            if is_over:
                del self._jobs[job.key]
            return not is_over

        self._queue.keep(is_kept)
        self._make_room()
        return dropped

    def announce_all(self) -> None:
        """Announce whatever runs, so that its lease counts and not the partition of its command."""
        self._leases.announce_all()

    def begin_no_more(self) -> None:
        """Begin nothing more, and announce what runs: other workers can have the partitions then.

        Jobs that were not begun are simply left: their commands are not done, so another worker gets them.
        """
        self._is_draining = True
        self._queue.clear()
        self.announce_all()

    async def drain(self, seconds: float) -> None:
        """Let what runs end, and give back what does not in time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for job in list(self._running.values()):
            if job.task is not None:
                job.task.cancel()
            if job.announced:
                self._say(job, self._given_back(job, "the worker stops"), lambda: None)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        self._count_completed()
        self._calling.close()

    async def watch(self) -> None:
        """Announce attempts that take long, and keep their leases alive."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._count_completed()
            self._leases.look()

    def _make_room(self) -> None:
        if self._queue.count < self._refill_below:
            self._room.set()

    def _count_completed(self) -> None:
        if self._completed:
            self._metrics.count_attempts("completed", self._completed)
            self._completed = 0

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        turn = 0
        while self._queue.count:
            if self._isolation.is_entered:
                await self._isolation.left()
                continue
            job = self._queue.take()
            if self._queue.count < self._refill_below:
                self._room.set()
            if job.is_cancelled:
                del self._jobs[job.key]
                self._drop(job)
                continue
            await self._attempt(job, task)
            turn += 1
            if turn >= _TURN:
                turn = 0
                await asyncio.sleep(0)

    async def _attempt(self, job: Job, task: asyncio.Task[None]) -> None:
        key = job.key
        self._running[key] = job
        job.task = task
        job.started = self._clock.now()
        WRITER.set(job)
        listen_on()
        end: AttemptEnd | None
        try:
            end = await self._made(job)
        except asyncio.CancelledError as error:
            if job.is_cancelled and task.cancelling():
                # Asked for by the run, not by our own end: this task goes on with the next job.
                end = None
            elif task.cancelling() == 0:
                # The author's own: something the step awaited was cancelled, and nobody cancelled us.
                end = self._failed(job, failure_from(error))
            else:
                raise
        except BaseException as error:
            if isinstance(error, GeneratorExit) and not _is_running(task):
                # The loop is taken down, and this with it.
                raise
            # `sys.exit()` in a step is the step's failure, and so is whatever else it raises.
            end = self._failed(job, failure_from(error))
        finally:
            job.task = None
            del self._running[key]
            del self._jobs[key]
            self._isolation.leave(job)
        if job.is_cancelled:
            if task.cancelling():
                task.uncancel()
            # With an answer that is waited for, what came out all the same counts.
            if not job.must_answer or end is None:
                self._drop(job)
                return
        assert end is not None, "only a cancelled attempt ends without a word"
        if job.values is not None or job.lines is not None:
            _add_what_is_left(end, job)
        self._say(job, end, partial(self._answered, job))

    def _answered(self, job: Job) -> None:
        """Take note that the answer of an attempt is acknowledged: asked for once more, it is not called."""
        job.done()
        self._ended[_asked(job)] = None
        if len(self._ended) > _ENDED_MAX:
            self._ended.popitem(last=False)

    def _given_back(self, job: Job, reason: str, delay_ms: int = 0) -> AttemptReturned:
        return AttemptReturned(**self._who(job), delay_ms=delay_ms, reason=reason, returns=job.returns)

    def _drop(self, job: Job) -> None:
        """Let a cancelled attempt be over, with a word if somebody waits for it."""
        self._metrics.count_attempts("cancelled")
        if job.must_answer:
            self._say(job, _cancelled(self._who(job)), job.done)
        else:
            job.done()

    async def _made(self, job: Job) -> AttemptEnd:
        """Make the attempt and return what to report of it."""
        command = job.command
        if job.settle is not None:
            await self._leases.announce_first(job, job.settle)
        try:
            handler = self._handler(command.workflow, command.function or command.step)
        except NotCarriedError as error:
            # A deployment is under way, or workers of different code share a queue. Not the run's fault.
            self._missed.tell(command, str(error))
            return self._given_back(job, str(error), _NO_HANDLER_MS)
        if job.has_references:
            job.command = await self._fitting.resolved(command)
        given = given_of(job.command, job.context)
        if (
            handler.is_async
            and job.timeout_ms is None
            and handler.condition is None
            and handler.limit is None
            and not handler.in_process
        ):
            # As most are: nothing stands between the loop and the function.
            result = await handler.call(handler.arguments(given))
        else:
            result = await self._calling.result(handler, given, job)
            if isinstance(result, AttemptFailed):
                return self._failed(job, result.failure, result.logs)
        end = end_of(handler, result, self._who(job))
        if job.values is not None or end.changes or self._fitting.is_large(end):
            await self._fitting.fit(job, end)
        if type(end) is AttemptReturned:
            end.returns = job.returns
        else:
            self._completed += 1
        end.started, end.finished = job.started, self._clock.now()
        return end

    def _failed(self, job: Job, failure: Failure, logs: tuple[LogLine, ...] = ()) -> AttemptFailed:
        self._metrics.count_attempts("failed")
        if not job.is_cancelled:
            tell_failure(job.command, failure)
        end = AttemptFailed(
            **self._who(job), failure=failure, logs=logs, started=job.started, finished=self._clock.now()
        )
        end.delay_ms = self._delay(job, failure) if failure.retryable else None
        return end

    def _delay(self, job: Job, failure: Failure) -> int | None:
        """Ask the author's own function, if there is one, how long to wait before the next attempt."""
        command = job.command
        try:
            backoff = self._handler(command.workflow, command.function or command.step).backoff
            if backoff is None:
                return None
            return milliseconds(backoff(command.ordinal or command.attempt, failure))
        except Exception as error:
            # It must not hide why the attempt failed.
            job.wrote(
                "error", f"the policy's own delay is taken: backoff= failed: {failure_from(error).message}"
            )
            return None

    def _who(self, job: Job) -> dict[str, Any]:
        command = job.command
        return {
            "key": command.run,
            "step": command.step,
            "attempt": command.attempt,
            "worker": self._worker,
        }

    def _say(self, job: Job, message: AttemptMessage, then: Callable[[], None]) -> None:
        self._reports.add(job.partition, message, then)


def _asked(job: Job) -> tuple[str, str, int, int, int]:
    """Return what a command asks for: given back, or lost with its worker, an attempt is another one."""
    command = job.command
    return command.run, command.step, command.attempt, command.returns, command.losses


def _is_running(task: asyncio.Task[None]) -> bool:
    try:
        return asyncio.current_task() is task
    except RuntimeError:
        return False


def _cancelled(who: dict[str, Any]) -> AttemptFailed:
    return AttemptFailed(**who, failure=Failure("cancelled", "the attempt was cancelled", retryable=False))


def _add_what_is_left(end: AttemptEnd, job: Job) -> None:
    """Add what the attempt changed and wrote, before what a process of its own said of that."""
    changes, logs = job.left()
    end.logs = (*logs, *end.logs)
    if type(end) is not AttemptFailed:
        end.changes = (*changes, *end.changes)
