"""Acts on all runs of a filter, as jobs of this process, with progress and a stop.

A job lives as long as the process. Requests on the log by then are carried out. After a stop, or the end of
the process, the same request begins the job again: finished runs do not match any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

from stream_durable.core.errors import RejectedError, StreamDurableError
from stream_durable.sdk.given import drawn

#: Jobs that are remembered; the oldest that has ended is forgotten first.
JOBS_MAX: Final = 100

JobStatus = Literal["running", "completed", "stopped", "failed"]

#: Does the work; is given what hears of progress, and returns how many runs were told.
Act = Callable[[Callable[[int], None]], Awaitable[int]]


class JobState(NamedTuple):
    """Where a job stands."""

    id: str
    #: `cancel`, `pause`, `resume` or `retry`.
    act: str
    status: JobStatus
    #: How many runs were told so far, and how many matched at the beginning.
    told: int
    found: int
    #: Whether exactly so many matched.
    is_exact: bool
    by: str
    reason: str
    begun: datetime
    ended: datetime | None
    #: Why it failed.
    error: str | None


@dataclass(slots=True)
class _Job:
    state: JobState
    task: asyncio.Task[None] | None = None


class Jobs:
    """The jobs of a process."""

    def __init__(self) -> None:
        """Begin without any."""
        self._jobs: dict[str, _Job] = {}

    def begin(
        self,
        act: str,
        do: Act,
        *,
        found: int,
        is_exact: bool,
        by: str,
        reason: str,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
    ) -> JobState:
        """Begin a job, unless there is one of this id; return its state.

        Raises `RejectedError` where too many are under way.
        """
        name = id or drawn()
        if name in self._jobs:
            return self._jobs[name].state
        self._forget()
        now = datetime.now(UTC)
        job = _Job(JobState(name, act, "running", 0, found, is_exact, by, reason, now, None, None))
        self._jobs[name] = job
        job.task = asyncio.create_task(self._run(job, do))
        return job.state

    def all(self) -> list[JobState]:
        """Return all jobs, the latest first."""
        return [job.state for job in reversed(self._jobs.values())]

    def state(self, job: str) -> JobState:
        """Return a job; raises `RejectedError` for an unknown job."""
        return self._known(job).state

    async def stop(self, job: str) -> JobState:
        """Stop a job after the page under way; requests sent so far stay."""
        found = self._known(job)
        if found.task is not None and not found.task.done():
            found.task.cancel()
            await asyncio.wait([found.task])
        return found.state

    async def close(self) -> None:
        """Stop all jobs."""
        for job in list(self._jobs):
            await self.stop(job)

    async def _run(self, job: _Job, do: Act) -> None:
        def progress(told: int) -> None:
            job.state = job.state._replace(told=told)

        try:
            told = await do(progress)
        except asyncio.CancelledError:
            self._end(job, "stopped")
        except StreamDurableError as error:
            self._end(job, "failed", str(error))
        else:
            progress(told)
            self._end(job, "completed")

    def _end(self, job: _Job, status: JobStatus, error: str | None = None) -> None:
        job.state = job.state._replace(status=status, ended=datetime.now(UTC), error=error)

    def _known(self, job: str) -> _Job:
        if job not in self._jobs:
            text = f"there is no job {job[:128]!r} in this process: the list of jobs shows those there are"
            raise RejectedError("unknown_job", text)
        return self._jobs[job]

    def _forget(self) -> None:
        if len(self._jobs) < JOBS_MAX:
            return
        ended = next((name for name, job in self._jobs.items() if job.state.status != "running"), None)
        if ended is None:
            raise RejectedError("too_many_jobs", f"{JOBS_MAX} jobs are under way: wait for one, or stop one")
        del self._jobs[ended]
