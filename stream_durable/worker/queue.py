"""Commands waiting for a place: higher priority first, otherwise in order of arrival.

One line per priority, so adding and taking cost the same however many wait. Most commands have priority 0,
and its line always exists.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable

from stream_durable.worker.job import Job


class Queue:
    """Jobs not yet begun."""

    __slots__ = ("_others", "_priorities", "_usual", "count")

    def __init__(self) -> None:
        """Nothing waits."""
        self._usual: deque[Job] = deque()
        #: Lines of other priorities, none of them empty, and these priorities with the highest last.
        self._others: dict[int, deque[Job]] = {}
        self._priorities: list[int] = []
        #: How many wait.
        self.count = 0

    def add(self, job: Job) -> None:
        """Put a job behind others of the same priority."""
        self.count += 1
        priority = job.command.priority
        if not priority:
            self._usual.append(job)
            return
        line = self._others.get(priority)
        if line is None:
            line = self._others[priority] = deque()
            insort(self._priorities, priority)
        line.append(job)

    def take(self) -> Job:
        """Return the first job of the highest priority; the queue must not be empty."""
        self.count -= 1
        if self._priorities and (self._priorities[-1] > 0 or not self._usual):
            return self._take_other(self._priorities[-1])
        return self._usual.popleft()

    @property
    def first(self) -> Job:
        """The next command to take; the queue must not be empty."""
        if self._priorities and (self._priorities[-1] > 0 or not self._usual):
            return self._others[self._priorities[-1]][0]
        return self._usual[0]

    @property
    def priority(self) -> int:
        """The highest priority there is; something must wait."""
        if self._priorities and (self._priorities[-1] > 0 or not self._usual):
            return self._priorities[-1]
        return 0

    def keep(self, is_kept: Callable[[Job], bool]) -> list[Job]:
        """Drop and return all commands not to be kept."""
        jobs = [*self._usual, *(job for line in self._others.values() for job in line)]
        self.clear()
        dropped = []
        for job in jobs:
            if is_kept(job):
                self.add(job)
            else:
                dropped.append(job)
        return dropped

    def clear(self) -> None:
        """Drop all."""
        self._usual.clear()
        self._others.clear()
        self._priorities.clear()
        self.count = 0

    def _take_other(self, priority: int) -> Job:
        line = self._others[priority]
        job = line.popleft()
        if not line:
            del self._others[priority]
            self._priorities.pop()
        return job
