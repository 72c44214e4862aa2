"""Begins attempts that may have killed a worker: a few at a time, and one that has killed several alone.

Whatever is under way when a worker is killed counts as lost with it. So the fewer suspects are under way at
once, the fewer innocent ones are blamed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from stream_durable.worker.job import Job, JobKey

#: How many suspects may be under way at once, until each has ended or lived for a while.
_AT_ONCE = 16


class Isolation:
    """Gives suspects their turns, in order of arrival."""

    def __init__(self, running: Mapping[JobKey, Job], seconds: float) -> None:
        """Give no turn yet; a turn ends with the attempt, or after so many seconds."""
        self._running = running
        self._seconds = seconds
        #: Suspects without a turn; and whether each begins alone.
        self._waiting: dict[Job, tuple[asyncio.Future[None], bool]] = {}
        #: Those inside, with what ends their turns, once they have begun.
        self._inside: dict[Job, asyncio.TimerHandle | None] = {}
        #: The suspect inside that keeps everything else of the worker from beginning.
        self._alone: Job | None = None
        self._left = asyncio.Event()
        #: Set at each end of an attempt while a suspect begins alone.
        self._moved = asyncio.Event()

    @property
    def is_entered(self) -> bool:
        """Whether nothing else may begin now."""
        return self._alone is not None

    async def left(self) -> None:
        """Wait until others may begin."""
        await self._left.wait()

    async def enter(self, job: Job, *, alone: bool, patience: float) -> bool:
        """Wait for a turn; return False if the job left without one.

        A job that begins alone waits until all other begun attempts have ended or hold a lease. Where a lease
        does not help, it waits for their ends, up to so many seconds, and keeps the others away as long.
        """
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting[job] = turn, alone
        self._give_turns()
        await turn
        until = loop.time() + patience
        while self._alone is job and (self._has_neighbours() or self._has_others(until)):
            self._moved.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._moved.wait()
        if job not in self._inside:
            return False
        self._inside[job] = loop.call_later(max(self._seconds, patience), self.leave, job)
        return True

    def leave(self, job: Job) -> None:
        """End the turn of a job, or its waiting for one; let others begin."""
        if not (self._inside or self._waiting):
            return
        if job in self._waiting:
            turn, _ = self._waiting.pop(job)
            if not turn.done():
                turn.set_result(None)
        if (ends := self._inside.pop(job, None)) is not None:
            # The same job may enter again, for its next pass.
            ends.cancel()
        if self._alone is job:
            self._alone = None
            self._left.set()
        self._moved.set()
        self._give_turns()

    def give_up(self) -> None:
        """Let all leave that have not begun."""
        for job in [*self._waiting, *self._inside]:
            if job.is_suspect:
                self.leave(job)

    def _give_turns(self) -> None:
        for job, (turn, alone) in list(self._waiting.items()):
            if self._alone is not None or len(self._inside) >= (1 if alone else _AT_ONCE):
                return
            del self._waiting[job]
            self._inside[job] = None
            if alone:
                self._alone = job
                self._left.clear()
            if not turn.done():
                turn.set_result(None)

    def _has_neighbours(self) -> bool:
        return any(
            not (other.announced or other.is_suspect or other.is_cancelled)
            for other in self._running.values()
        )

    def _has_others(self, until: float) -> bool:
        if asyncio.get_running_loop().time() >= until:
            return False
        return any(not other.is_suspect for other in self._running.values())
