"""Makes one attempt: finds the function, reads the command, calls, and writes the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream_durable.core.effects import Command
from stream_durable.core.failure import Failure
from stream_durable.core.messages import (
    AttemptEnd,
    AttemptFailed,
    AttemptReturned,
    AttemptStarted,
    AttemptWaits,
    LogLine,
)
from stream_durable.metrics import Metrics
from stream_durable.ports import Clock
from stream_durable.sdk.errors import NotCarriedError
from stream_durable.sdk.handler import Handler
from stream_durable.sdk.inside import Suspended
from stream_durable.worker.calling import Calling
from stream_durable.worker.endings import delay_after, given_back
from stream_durable.worker.ends import end_of, given_of
from stream_durable.worker.fitting import Fitting
from stream_durable.worker.job import Job
from stream_durable.worker.leases import Leases
from stream_durable.worker.logs import Missed, tell_failure
from stream_durable.worker.passes import WAITS, Passes, drive

#: How long a command that no code here can serve is put off; a deployment takes about that long.
_NO_HANDLER_MS = 5_000


class Making:
    """Makes attempts, or passes of them."""

    def __init__(
        self, handler: Callable[[str, str], Handler], calling: Calling, fitting: Fitting, passes: Passes,
        leases: Leases, clock: Clock, metrics: Metrics, who: Callable[[Job], dict[str, Any]],
    ) -> None:  # fmt: skip
        """Make nothing yet; `handler` finds the function of a workflow's step."""
        self._handler = handler
        self._calling = calling
        self._fitting = fitting
        self._passes = passes
        self._leases = leases
        self._clock = clock
        self._metrics = metrics
        self._who = who
        self._missed = Missed()
        #: Attempts that have completed and are not counted yet: one by one it is dear.
        self.completed = 0

    async def made(self, job: Job) -> AttemptEnd | AttemptStarted | AttemptWaits | None:
        """Make the attempt, or a pass of it, and return the report; None if it was left to another worker."""
        command = job.command
        if job.is_repeat and job.handler is not None and job.handler.takes_context:
            # It may have kept values since this command was made: it is requested again with them.
            return AttemptStarted(
                **self._who(job),
                is_repeat=True,
                passes=command.passes,
                returns=job.returns,
                losses=command.losses,
            )
        if job.settle is not None and not await self._leases.announce_first(job, job.settle):
            return None
        try:
            handler = job.handler or self.handler_of(command)
        except NotCarriedError as error:
            # A deployment is under way, or workers of different code share a queue. Not the run's fault.
            self._missed.tell(command, str(error))
            back = given_back(self._who(job), job, str(error), _NO_HANDLER_MS)
            back.is_not_carried = True
            return back
        if job.has_references:
            job.command = await self._fitting.resolved(command)
        if job.coroutine is not None:
            job.within().learn(job.command.kept)
        result = await self._passed(handler, job)
        if isinstance(result, AttemptFailed):
            return self.failed(job, result.failure, result.logs)
        if result is WAITS:
            return self._passes.waits(job)
        end = end_of(handler, result, self._who(job))
        if job.values is not None or end.changes or self._fitting.is_large(end):
            await self._fitting.fit(job, end)
        if type(end) is AttemptReturned:
            end.returns = job.returns
        else:
            self.completed += 1
        end.started, end.finished = job.started, self._clock.now()
        return end

    async def _passed(self, handler: Handler, job: Job) -> Any:
        """Call the function, a plain one perhaps several times: once more after each value that it keeps."""
        while True:
            try:
                return await self._result(handler, job)
            except Suspended:
                job.is_in_thread = False
                if not await self._passes.kept(job):
                    return WAITS

    async def _result(self, handler: Handler, job: Job) -> Any:
        """Call the function; or go on with it, where it is suspended."""
        given = given_of(job.command, job.context)
        if (
            handler.is_async
            and job.timeout_ms is None
            and handler.condition is None
            and handler.limit is None
            and not handler.in_process
        ):
            # As most are: nothing stands between the loop and the function, if that cannot wait.
            if not handler.takes_context:
                return await handler.call(handler.arguments(given))
            job.coroutine = job.coroutine or handler.call(handler.arguments(given))
            return await drive(job)
        return await self._calling.result(handler, given, job)

    def failed(self, job: Job, failure: Failure, logs: tuple[LogLine, ...] = ()) -> AttemptFailed:
        """Return the report of an attempt that failed."""
        self._metrics.count_attempts("failed")
        if not job.is_cancelled:
            tell_failure(job.command, failure)
        end = AttemptFailed(
            **self._who(job), failure=failure, logs=logs, started=job.started, finished=self._clock.now()
        )
        end.delay_ms = delay_after(job, failure) if failure.retryable else None
        return end

    def handler_of(self, command: Command) -> Handler:
        """Return the function for a command, or raise `NotCarriedError`."""
        return self._handler(command.workflow, command.function or command.step)
