"""Runs an attempt that has killed several workers alone, without neighbours to lose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from stream_durable.worker.job import Job, JobKey

_LOOK_SECONDS = 0.05


class Isolation:
    """Keeps the other attempts of a worker from beginning while a suspect begins."""

    def __init__(self, running: Mapping[JobKey, Job], seconds: float) -> None:
        """Isolate nothing yet; a suspect that has lived for so many seconds is let be."""
        self._running = running
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._inside: Job | None = None
        self._left = asyncio.Event()

    @property
    def is_entered(self) -> bool:
        """Whether nothing else may begin now."""
        return self._inside is not None

    async def left(self) -> None:
        """Wait until others may begin."""
        await self._left.wait()

    async def enter(self, job: Job, patience: float) -> None:
        """Wait for a turn, and until all begun attempts have ended or hold a lease.

        Where a lease does not help, wait for their ends, up to so many seconds, and keep the others away as
        long.
        """
        await self._turn.acquire()
        self._inside = job
        self._left.clear()
        until = asyncio.get_running_loop().time() + patience
        while self._has_neighbours() or self._has_others(until):  # noqa: ASYNC110 - once for a suspect
            await asyncio.sleep(_LOOK_SECONDS)
        asyncio.get_running_loop().call_later(max(self._seconds, patience), self.leave, job)

    def _has_neighbours(self) -> bool:
        return any(not other.announced and not other.is_suspect for other in self._running.values())

    def _has_others(self, until: float) -> bool:
        if asyncio.get_running_loop().time() >= until:
            return False
        return any(not other.is_suspect for other in self._running.values())

    def leave(self, job: Job) -> None:
        """Let others begin; no effect unless inside."""
        if self._inside is job:
            self._inside = None
            self._left.set()
            self._turn.release()
