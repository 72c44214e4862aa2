"""Runs attempts: calls users' functions, bounded in number and time, with one report each.

A bounded number of asyncio tasks take jobs in turn (`tasks.py`). Async functions run on the loop, plain
functions in threads.

Every exception of a user's function ends here and becomes a recorded failure; no other place does so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any

from stream_durable.core.effects import CancelAttempt
from stream_durable.core.messages import AttemptEnd, AttemptMessage, AttemptStarted, AttemptWaits
from stream_durable.metrics import Metrics
from stream_durable.ports import Clock
from stream_durable.sdk.answers import failure_from
from stream_durable.sdk.errors import NotCarriedError
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.inside import Keeper
from stream_durable.settings import WorkerSettings
from stream_durable.wire.tokens import NO_TOKENS, Tokens
from stream_durable.worker.answered import Answered, Asked, asked_of
from stream_durable.worker.calling import Calling, needs_thread
from stream_durable.worker.endings import cancelled, given_back, report_of
from stream_durable.worker.fitting import Fitting
from stream_durable.worker.job import Job, JobKey
from stream_durable.worker.leases import Leases
from stream_durable.worker.logs import WRITER, keeping_of, listen_on
from stream_durable.worker.making import Making
from stream_durable.worker.offsets import DoneOffsets
from stream_durable.worker.passes import JobKeeper, Passes, close
from stream_durable.worker.places import Line, Places
from stream_durable.worker.reports import Reports
from stream_durable.worker.tasks import Tasks, is_running
from stream_durable.worker.threads import WorkerExhaustedError

#: After so many attempts that did not wait, or so long, the loop gets its turn: reports go out then.
_TURN = 500
_TURN_MS = 5
_LOOK_SECONDS = 0.25


class Attempts:
    """Runs jobs and reports their ends."""

    def __init__(
        self,
        handler: Callable[[str, str], Handler],
        reports: Reports,
        fitting: Fitting,
        clock: Clock,
        settings: WorkerSettings,
        metrics: Metrics,
        *,
        worker: str,
        lanes: Sequence[str],
    ) -> None:
        """Run nothing yet; `handler` finds the function of a workflow's step."""
        self._reports = reports
        #: Held while what is said is handed over.
        self.gate = reports.gate
        self.clock = clock
        self._settings = settings
        self._step_timeout_ms = settings.step_timeout_ms or None
        self._keeping = keeping_of(settings)
        self._metrics = metrics
        #: What signs tokens of steps.
        self.signs: Tokens = NO_TOKENS
        #: The name under which attempts are reported.
        self.worker = worker
        #: Where jobs wait, by lane.
        self.places = Places(lanes, settings)
        self._jobs: dict[JobKey, Job] = {}
        self.running: dict[JobKey, Job] = {}
        metrics.attempts_running.set_function(self.running.__len__)
        self._tasks = Tasks(self._work, settings.concurrency)
        self._calling = Calling(settings, clock.now, self._leave_thread)
        metrics.threads_overdue.set_function(lambda: self._calling.threads.overdue)
        self._is_draining = False
        self.leases = Leases(self.running, self.who, self._say, clock, settings)
        self._isolation = self.leases.isolation
        self._passes = Passes(self.who, self._say, clock, settings, fitting, self._calling.threads)
        self._answers = Answered()
        self._making = Making(
            handler, self._calling, fitting, self._passes, self.leases, clock, metrics, self.who
        )

    def add(self, job: Job, line: Line) -> None:
        """Put a job into a line; jobs begin when they get a place."""
        if not job.command.redriven and job in self._answers:
            # Its answer is on the log; a successor of whoever asked for it has asked once more.
            job.done()
            return
        key = job.key
        known = self._jobs.get(key)
        if known is not None and known.covers(job):
            # The same attempt asked for twice, after a takeover say: one of the two will do, but neither
            # is done before it is.
            known.repeat(job)
            return
        if job.command.is_rest:
            held = self._passes.taken(job)
            if held is None:
                self._say(job, given_back(self.who(job), job, "its function is not kept here"), job.done)
                return
            self._jobs[key] = held
            self._enter(held, line)
            return
        if not job.command.redriven and self._passes.has_waited(job):
            job.done()
            return
        self._passes.drop(key)
        job.keeper = self._keeper_of
        if job.timeout_ms is None:
            job.timeout_ms = self._step_timeout_ms
        try:
            job.handler = handler = self._making.handler_of(job.command)
        except NotCarriedError:
            # The attempt finds out again when it begins, and says so.
            pass
        else:
            job.needs_thread = needs_thread(handler)
        self._jobs[key] = job
        self._enter(job, line)

    def _enter(self, job: Job, line: Line) -> None:
        job.clock, job.line, job.keeping, job.signs = self.clock, line, self._keeping, self.signs
        if job.is_cancelled:
            self._drop(job)
            return
        line.add(job)
        # With all tasks at work the next one that is free takes it.
        if self._tasks.next is None and self.places.may_begin(job):
            self._tasks.begin()

    def _keeper_of(self, job: Job) -> Keeper:
        return JobKeeper(job, self._passes)

    def line(self, lane: str) -> Line:
        """Return where the commands of a lane wait."""
        return self.places.lines[lane]

    def release(self, queue: str) -> None:
        """Begin jobs of a held queue again."""
        self.places.release(queue)
        if self.places.waiting(queue):
            self._tasks.begin()

    def has_room(self, line: Line) -> bool:
        """Whether jobs of a lane can be taken without piling up: all together as many wait as may run."""
        return line.has_room and self._reports.has_room

    async def room(self, line: Line) -> None:
        """Wait until jobs of a lane can be taken without piling up."""
        await line.room()
        await self._reports.room()

    async def heard(self) -> None:
        """Wait until another message of attempts is acknowledged."""
        await self._reports.heard()

    def cancel(self, cancel: CancelAttempt, offsets: DoneOffsets, offset: int) -> None:
        """Drop an attempt, waiting or running; report a result if the run awaits one."""
        self._passes.drop((cancel.run, cancel.step, cancel.attempt))
        is_ours = not cancel.worker or cancel.worker == self.worker
        job = self._jobs.get((cancel.run, cancel.step, cancel.attempt)) if is_ours else None
        if job is not None and job.is_reported:
            job = None
        if job is None or not cancel.must_answer:
            # One that is not here has ended, and what it said comes; or another worker is at it and says so
            # by its heartbeats. To answer in its place could hide what it did.
            offsets.done(offset)
        else:
            job.must_answer = True
            job.marks.append((offsets, offset))
        if job is not None and not job.is_cancelled:
            job.is_cancelled = True
            following = job.following
            if following is not None:
                following.is_cancelled, following.must_answer = True, job.must_answer
            # A thread cannot be stopped, and an answer that is waited for is the one it comes to.
            if job.task is None:
                # Its turn may be far: the queue is paused, or what runs takes long.
                job.line.keep(lambda one: one is not job)
                job.marks += [] if following is None else following.marks
                self._drop(job)
            elif not (job.must_answer and job.is_in_thread):
                job.task.cancel()

    def leave(self, offsets: DoneOffsets, reply_to: Callable[[], int | None]) -> int:
        """Drop unbegun jobs of a revoked partition.

        Returns the number of dropped commands. Begun jobs are cancelled through `reply_to`.
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

        for job in self.running.values():
            if any(mark[0] is offsets for mark in job.marks):
                job.reply_to = reply_to
                # A suspect without its turn is not begun either.
                if job.is_suspect and not (job.is_cancelled or is_kept(job)):
                    self._isolation.leave(job)
        self.places.keep(is_kept)
        return dropped

    def announce_all(self) -> None:
        """Announce all running attempts, so that their leases count rather than their partitions."""
        self.leases.announce_all()

    def begin_no_more(self) -> None:
        """Begin nothing more, and announce running attempts: other workers can have the partitions then.

        Unbegun jobs are left: their commands are not done, so another worker gets them.
        """
        self._is_draining = True
        self.places.keep(lambda _: False)
        self._isolation.give_up()
        self.announce_all()

    async def drain(self, seconds: float) -> None:
        """Let running attempts end, and return late ones."""
        await self._tasks.ended(seconds)
        for job in list(self.running.values()):
            if job.task is not None:
                job.task.cancel()
            if job.announced:
                self._say(job, given_back(self.who(job), job, "the worker stops"), lambda: None)
        await self._tasks.ended(1.0)
        self._count_completed()
        self._passes.close()
        self._calling.close()

    async def watch(self) -> None:
        """Announce long attempts, and keep their leases alive."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._count_completed()
            self.leases.look()
            if not self._is_draining:
                self._calling.threads.look()

    def trouble(self) -> str | None:
        """Return the reason for beginning nothing more, if any."""
        return self._calling.threads.trouble()

    async def exhausted(self) -> None:
        """Wait until too many threads hang, then raise: the process must be replaced."""
        await self._calling.threads.exhausted.wait()
        raise WorkerExhaustedError(str(self.trouble()))

    def _leave_thread(self, job: Job) -> None:
        self.places.leave_thread(job)
        if self.places.count:
            self._tasks.begin()

    def _count_completed(self) -> None:
        if self._making.completed:
            self._metrics.count_attempts("completed", self._making.completed)
            self._making.completed = 0

    async def _work(self) -> None:
        task = self._tasks.begun()
        turn, turn_began = 0, self.clock.now()
        while True:
            while self._isolation.is_entered and self.places.count:
                await self._isolation.left()
            job = self.places.take()
            if job is None:
                return
            if self._tasks.next is None and self.places.count:
                self._tasks.begin()
            try:
                is_clean = await self._attempt(job, task)
            finally:
                self.places.leave(job)
                if job.following is not None:
                    following, job.following = job.following, None
                    self.add(following, job.line)
            if not is_clean:
                self._tasks.replace(task)
                return
            turn += 1
            if turn >= _TURN or job.started >= turn_began + _TURN_MS:
                await asyncio.sleep(0)
                turn, turn_began = 0, self.clock.now()

    async def _attempt(self, job: Job, task: asyncio.Task[None]) -> bool:
        """Make an attempt; return whether the function left all context variables as they were."""
        key = job.key
        self.running[key] = job
        job.task = task
        job.started = self.clock.now()
        WRITER.set(job)
        given = copy_context()
        listen_on()
        end: AttemptEnd | AttemptStarted | AttemptWaits | None
        try:
            end = await self._making.made(job)
        except asyncio.CancelledError as error:
            if job.is_cancelled and task.cancelling():
                # Asked for by the run, not by our own end: this task goes on with the next job.
                end = None
            elif task.cancelling() == 0:
                # The author's own: something the step awaited was cancelled, and nobody cancelled us.
                end = self._making.failed(job, failure_from(error))
            else:
                raise
        except BaseException as error:
            if isinstance(error, GeneratorExit) and not is_running(task):
                # The loop is taken down, and this with it.
                raise
            # `sys.exit()` in a step is the step's failure, and so is whatever else it raises.
            end = self._making.failed(job, failure_from(error))
        finally:
            job.task = None
            # One that was left may have come back before its task went on.
            if self.running.get(key) is job:
                del self.running[key]
            self._isolation.leave(job)
        self._report(job, task, end)
        # By identity: values of others may be compared in ways of their own, and raise.
        now = copy_context()
        return len(now) == len(given) and all(now.get(one) is value for one, value in given.items())

    def _report(
        self, job: Job, task: asyncio.Task[None], end: AttemptEnd | AttemptStarted | AttemptWaits | None
    ) -> None:
        """Publish what an attempt, or a pass of it, came to; None: it was cancelled by its run, or left."""
        if job.is_cancelled:
            if task.cancelling():
                task.uncancel()
            # With an answer that is waited for, what came out all the same counts.
            if not job.must_answer or end is None:
                self._drop(job)
                return
        if end is None:
            return
        if not isinstance(end, AttemptEnd):
            # By the time it is acknowledged the job may be for the next pass.
            del self._jobs[job.key]
            self._say(job, end, partial(self._passed, tuple(job.marks), asked_of(job)))
            return
        job.answer_following()
        if job.has_noted:
            end.call = job.call
        report: AttemptMessage = end
        if job.values is not None or job.lines is not None:
            report = report_of(end, job)
        job.is_reported = True
        self._say(job, report, partial(self._answered, job))

    def _passed(self, marks: Sequence[tuple[DoneOffsets, int]], asked: Asked) -> None:
        """Record an acknowledged wait: the command of the pass is done."""
        for offsets, offset in marks:
            offsets.done(offset)
        self._answers.add_asked(asked)

    def _answered(self, job: Job) -> None:
        """Record an acknowledged result: a repeated command is not executed."""
        if self._jobs.get(job.key) is job:
            del self._jobs[job.key]
        job.done()
        self._answers.add(job)

    def _drop(self, job: Job) -> None:
        """Let a cancelled attempt be over, with a word if somebody waits for it."""
        del self._jobs[job.key]
        close(job)
        self._metrics.count_attempts("cancelled")
        if job.must_answer:
            self._say(job, cancelled(self.who(job)), job.done)
        else:
            job.done()

    def who(self, job: Job) -> dict[str, Any]:
        """Return the message fields identifying an attempt and this worker."""
        command = job.command
        return {
            "key": command.run,
            "step": command.step,
            "attempt": command.attempt,
            "worker": self.worker,
        }

    def _say(self, job: Job, message: AttemptMessage, then: Callable[[], None]) -> None:
        self._reports.add(job.partition, message, then)
