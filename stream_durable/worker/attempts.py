"""Attempts: users' functions called, bounded in number and in time, each ending in one report.

A fixed number of tasks take jobs from one queue, one after another, so that an attempt that need not
wait costs no task of its own. Async functions run on the loop, plain ones in threads.

Whatever a user's function raises ends here and becomes a recorded failure; this is the one place
where that is so.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.messages import (
    AttemptCompleted,
    AttemptFailed,
    AttemptHeartbeat,
    AttemptMessage,
    AttemptReturned,
    AttemptStarted,
)
from stream_durable.ports import Clock
from stream_durable.sdk.answers import Fail, failure_from
from stream_durable.sdk.context import Context
from stream_durable.sdk.errors import NotCarriedError
from stream_durable.sdk.handler import Handler
from stream_durable.settings import WorkerSettings
from stream_durable.telemetry import Metrics
from stream_durable.worker.job import Job, JobKey
from stream_durable.worker.offsets import DoneOffsets
from stream_durable.worker.reports import Reports

#: After so many attempts that did not wait, the loop gets its turn.
_TURN = 64
#: How long a command that no code here can serve is put off; a deployment takes about that long.
_NO_HANDLER_MS = 5_000
_LOOK_SECONDS = 0.25


class Attempts:
    """Runs jobs and reports how they ended."""

    def __init__(
        self,
        handler: Callable[[str, str], Handler],
        reports: Reports,
        clock: Clock,
        settings: WorkerSettings,
        metrics: Metrics,
        *,
        worker: str,
    ) -> None:
        """Run nothing yet; `handler` finds the function of a workflow's step."""
        self._handler = handler
        self._reports = reports
        self._clock = clock
        self._settings = settings
        self._metrics = metrics
        self._worker = worker
        self._queue: deque[Job] = deque()
        self._jobs: dict[JobKey, Job] = {}
        self._running: dict[JobKey, Job] = {}
        metrics.attempts_running.set_function(self._running.__len__)
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="attempt")
        self._room = asyncio.Event()
        self._room.set()
        self._is_draining = False

    def add(self, job: Job) -> None:
        """Take a job; it begins as soon as a place is free."""
        key = job.key
        known = self._jobs.get(key)
        if known is not None:
            # The same attempt asked for twice, after a takeover say: one of the two will do, but neither
            # is done before it is.
            known.stand_for(job)
            return
        self._jobs[key] = job
        self._queue.append(job)
        if len(self._queue) >= self._settings.concurrency:
            self._room.clear()
        if len(self._tasks) < self._settings.concurrency:
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def room(self) -> None:
        """Wait until jobs can be taken without piling up."""
        await self._room.wait()
        await self._reports.room()

    async def heard(self) -> None:
        """Wait until something more that attempts had to say has been heard."""
        await self._reports.heard()

    def cancel(self, key: JobKey) -> None:
        """Drop an attempt, whether it waits or runs."""
        job = self._jobs.get(key)
        if job is not None and not job.is_cancelled:
            job.is_cancelled = True
            if job.task is not None:
                job.task.cancel()

    def leave(self, offsets: DoneOffsets) -> int:
        """Drop the jobs of a partition that was taken away, as far as they have not begun.

        Return how many commands were dropped.
        """
        dropped = 0
        kept: deque[Job] = deque()
        for job in self._queue:
            before = len(job.marks)
            is_over = job.leave(offsets)
            dropped += before - len(job.marks)
            if is_over:
                del self._jobs[job.key]
            else:
                kept.append(job)
        self._queue = kept
        if len(kept) < self._settings.concurrency:
            self._room.set()
        return dropped

    async def drain(self, seconds: float) -> None:
        """Begin nothing more; let what runs end, and give back what does not in time.

        Jobs that were not begun are simply left: their commands are not done, so another worker gets
        them. An announced one is, so it is given back by a message.
        """
        self._is_draining = True
        self._queue.clear()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for job in list(self._running.values()):
            if job.task is not None:
                job.task.cancel()
            if job.announced:
                self._say(job, AttemptReturned(**self._who(job), reason="the worker stops"), lambda: None)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def watch(self) -> None:
        """Announce attempts that take long, and keep their leases alive."""
        settings = self._settings
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now = self._clock.now()
            for job in list(self._running.values()):
                if job.is_cancelled:
                    continue
                if not job.announced:
                    if now - job.started >= settings.started_after_ms:
                        self._announce(job, now)
                elif now - job.beat >= settings.heartbeat_ms:
                    job.beat = now
                    beat = AttemptHeartbeat(
                        **self._who(job), lease_ms=settings.lease_ms, percent=job.percent, label=job.label
                    )
                    self._say(job, beat, lambda: None)

    def _announce(self, job: Job, now: int) -> None:
        job.announced = job.beat = now
        timeout = job.command.timeout_ms
        left = None if timeout is None else max(0, job.started + timeout - now) + self._settings.lease_ms
        # From its acknowledgement on the reconciler's lease owns the re-attempt, not Kafka.
        started = AttemptStarted(**self._who(job), lease_ms=self._settings.lease_ms, timeout_ms=left)
        self._say(job, started, job.done)

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        turn = 0
        while self._queue:
            job = self._queue.popleft()
            if len(self._queue) < self._settings.concurrency:
                self._room.set()
            if job.is_cancelled:
                job.done()
                del self._jobs[job.key]
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
        try:
            report = await self._made(job)
        except asyncio.CancelledError as error:
            if task.cancelling() == 0:
                # The author's own: something the step awaited was cancelled, and nobody cancelled us.
                report = self._failed(job, failure_from(error))
            elif job.is_cancelled:
                # Asked for by the run, not by our own end: this task goes on with the next job.
                task.uncancel()
                report = None
            else:
                raise
        except Exception as error:
            report = self._failed(job, failure_from(error))
        finally:
            job.task = None
            del self._running[key]
            del self._jobs[key]
        if report is None or job.is_cancelled:
            self._metrics.count_attempts("cancelled")
            job.done()
        else:
            self._say(job, report, job.done)

    async def _made(self, job: Job) -> AttemptMessage:
        """Make the attempt and return what to report of it."""
        command = job.command
        try:
            handler = self._handler(command.workflow, command.step)
        except NotCarriedError as error:
            # A deployment is under way, or workers of different code share a queue. Not the run's fault.
            return AttemptReturned(**self._who(job), delay_ms=_NO_HANDLER_MS, reason=str(error))

        def context(value: Any) -> Context[Any]:
            return Context(
                value, job, run_id=command.run, workflow=command.workflow, step=command.step,
                attempt=command.attempt,
            )  # fmt: skip

        outputs = {name: bytes(value) for name, value in command.outputs.items()}
        arguments = handler.arguments(bytes(command.input), outputs, context)
        if handler.is_async and command.timeout_ms is None:
            result = await handler.call(arguments)
        else:
            result = await self._bounded(handler, arguments, job)
        output = handler.encode(result)
        if len(output) > PAYLOAD_BYTES_MAX:
            text = f"the step returned {len(output)} bytes of JSON; {PAYLOAD_BYTES_MAX} are the most"
            return self._failed(job, Failure("output_too_large", text, retryable=False))
        self._metrics.count_attempts("completed")
        return AttemptCompleted(
            **self._who(job), output=Raw(output), started=job.started, finished=self._clock.now()
        )

    async def _bounded(self, handler: Handler, arguments: Any, job: Job) -> Any:
        """Call a function that has a time-out, or that needs a thread."""
        timeout = job.command.timeout_ms
        limit = asyncio.timeout(None if timeout is None else timeout / 1_000)
        try:
            async with limit:
                if handler.is_async:
                    return await handler.call(arguments)
                run = contextvars.copy_context().run
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, run, handler.call, arguments)
        except TimeoutError as error:
            if not limit.expired():
                raise
            # A thread cannot be stopped: `ctx.cancelled` tells it that nobody waits any more.
            job.is_overdue = not handler.is_async
            raise Fail("timeout", f"the attempt did not end within {timeout} ms") from error

    def _failed(self, job: Job, failure: Failure) -> AttemptFailed:
        self._metrics.count_attempts("failed")
        return AttemptFailed(
            **self._who(job), failure=failure, started=job.started, finished=self._clock.now()
        )

    def _who(self, job: Job) -> dict[str, Any]:
        command = job.command
        return {
            "key": command.run,
            "step": command.step,
            "attempt": command.attempt,
            "worker": self._worker,
        }

    def _say(self, job: Job, message: AttemptMessage, then: Callable[[], None]) -> None:
        self._reports.add(None, message, then)
