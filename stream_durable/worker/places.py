"""Chooses the next command to begin: queues in turn, as far as each has a place, and a thread if needed.

A command that would have to wait for a thread is passed over and not begun: neither time-out nor lease runs,
and the command moves to another worker with its partition.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from stream_durable.settings import WorkerSettings
from stream_durable.worker.job import Job
from stream_durable.worker.queue import Queue
from stream_durable.worker.shares import Shares


class Line:
    """The waiting commands of a queue."""

    __slots__ = ("_bytes", "_bytes_max", "_count_max", "_for_threads", "_refill_below", "_room", "_waiting",
                 "number")  # fmt: skip

    def __init__(self, number: int, *, count_max: int, bytes_max: int) -> None:
        """Create an empty line with a number among the lines."""
        self.number = number
        self._count_max = count_max
        self._bytes_max = bytes_max
        #: Room is made when half of the places to wait are free, so that the lane is not woken for each.
        self._refill_below = max(1, count_max // 2)
        self._bytes = 0
        self._waiting = Queue()
        #: Those that were passed over, since there was no thread for them.
        self._for_threads = Queue()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def count(self) -> int:
        """How many wait."""
        return self._waiting.count + self._for_threads.count

    @property
    def has_room(self) -> bool:
        """Whether more can be taken without piling up."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait until more can be taken without piling up."""
        await self._room.wait()

    def add(self, job: Job) -> None:
        """Let a job wait."""
        self._waiting.add(job)
        self._bytes += job.size
        if self.count >= self._count_max or self._bytes >= self._bytes_max:
            self._room.clear()

    def first(self, *, has_thread: bool) -> Queue | None:
        """Return the position of the next startable job, or None."""
        waiting, passed_over = self._waiting, self._for_threads
        if passed_over.count and has_thread:
            if not waiting.count or passed_over.priority >= waiting.priority:
                return passed_over
            return waiting
        while waiting.count:
            if has_thread or not waiting.first.needs_thread:
                return waiting
            passed_over.add(waiting.take())
        return None

    def took(self, job: Job) -> None:
        """Record the beginning of a job."""
        self._bytes -= job.size
        if not self._room.is_set():
            self.make_room()

    def keep(self, is_kept: Callable[[Job], bool]) -> None:
        """Drop unwanted jobs."""
        for queue in (self._waiting, self._for_threads):
            self._bytes -= sum(job.size for job in queue.keep(is_kept))
        self.make_room()

    def make_room(self) -> None:
        """Let more be taken if there is room again."""
        if self.count < self._refill_below and self._bytes < self._bytes_max:
            self._room.set()


class Places:
    """The lines of all queues, and their shared places."""

    def __init__(self, queues: Sequence[str], settings: WorkerSettings) -> None:
        """Nothing waits and nothing runs."""
        count = len(queues)
        self.lines = {
            queue: Line(
                number,
                count_max=max(1, settings.concurrency // count),
                bytes_max=settings.waiting_bytes_max // count,
            )
            for number, queue in enumerate(queues)
        }
        self._attempts = Shares(settings.concurrency, count)
        self._threads = Shares(settings.threads, count)
        #: Whose turn it is stands first.
        self._turns = deque(self.lines.values())

    @property
    def count(self) -> int:
        """How many wait."""
        return sum(line.count for line in self._turns)

    def hold(self, queue: str) -> None:
        """Let no waiting job of a queue begin until `release`."""
        self._attempts.hold(self.lines[queue].number)

    def release(self, queue: str) -> None:
        """Let jobs of a queue begin again."""
        self._attempts.release(self.lines[queue].number)

    @property
    def held(self) -> int:
        """How many wait because their queue is held."""
        return sum(line.count for line in self._turns if self._attempts.is_held(line.number))

    def running(self, queue: str) -> int:
        """Return the number of jobs of a queue under way."""
        return self._attempts.used(self.lines[queue].number)

    def may_begin(self, job: Job) -> bool:
        """Whether there is a place for a job, and a thread if needed."""
        number = job.line.number
        return self._attempts.has(number) and (not job.needs_thread or self._threads.has(number))

    def take(self) -> Job | None:
        """Return the next job and occupy places; None: nothing can begin."""
        best = self._best()
        if best is None:
            return None
        job = best.take()
        job.line.took(job)
        self._attempts.take(job.line.number)
        if job.needs_thread:
            self._threads.take(job.line.number)
            job.has_thread = True
        return job

    def _best(self) -> Queue | None:
        """Return where the next job waits, and let the next queue have its turn."""
        turns = self._turns
        if len(turns) == 1:
            line = turns[0]
            is_possible = line.count and self._attempts.has(0)
            return line.first(has_thread=self._threads.has(0)) if is_possible else None
        best: Queue | None = None
        for line in turns:
            if line.count and self._attempts.has(line.number):
                found = line.first(has_thread=self._threads.has(line.number))
                if found is not None and (best is None or found.priority > best.priority):
                    best = found
        if best is not None:
            turns.rotate(-1)
        return best

    def leave(self, job: Job) -> None:
        """Give back the places of a job."""
        self._attempts.leave(job.line.number)
        if job.has_thread:
            self.leave_thread(job)

    def leave_thread(self, job: Job) -> None:
        """Release the thread place of a job going on without a thread."""
        job.has_thread = False
        self._threads.leave(job.line.number)

    def keep(self, is_kept: Callable[[Job], bool]) -> None:
        """Drop unwanted waiting jobs."""
        for line in self._turns:
            line.keep(is_kept)
