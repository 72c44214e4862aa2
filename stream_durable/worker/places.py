"""Chooses the next command to begin: queues in turn, as far as each has a place, and a thread if needed.

Within a queue what has begun goes first, so that runs end before others begin; higher priority before either.
With lanes by priority each lower one has a share of the turns.

A command that would have to wait for a thread is passed over and not begun: neither time-out nor lease runs,
and the command moves to another worker with its partition.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from stream_durable.core.lanes import first_lane, parts_of, queue_of
from stream_durable.settings import WorkerSettings
from stream_durable.worker.job import Job
from stream_durable.worker.queue import Queue
from stream_durable.worker.shares import Shares

#: Of so many turns one is for the first lane of a queue, if both lanes have something: its share.
_SHARE = 32
#: Of so many turns one is for each part of a queue below the highest that has something.
_LOW_SHARE = 8


class Line:
    """The waiting commands of a lane."""

    __slots__ = ("_bytes", "_bytes_max", "_count_max", "_for_threads", "_refill_below", "_room", "_waiting",
                 "number")  # fmt: skip

    def __init__(self, number: int, *, count_max: int, bytes_max: int) -> None:
        """Create an empty line of the queue with this number."""
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


class Lines:
    """The lines of a queue, or of a part by priority."""

    __slots__ = ("_begun", "_first", "_passed_over", "number")

    def __init__(self, begun: Line, first: Line) -> None:
        """Serve `begun` before `first`, except for the share of `first`."""
        self.number = begun.number
        self._begun = begun
        self._first = first
        #: How often the first lane had something and was not served.
        self._passed_over = 0

    @property
    def count(self) -> int:
        """How many wait."""
        return self._begun.count + self._first.count

    def next(self, *, has_thread: bool) -> Queue | None:
        """Return the position of the next startable job, or None."""
        found = self._begun.first(has_thread=has_thread)
        if not self._first.count:
            return found
        first = self._first.first(has_thread=has_thread)
        if first is None or found is None:
            return found or first
        if first.priority != found.priority:
            return first if first.priority > found.priority else found
        return first if self._passed_over >= _SHARE - 1 else found

    def has(self, line: Line) -> bool:
        """Whether a line is here."""
        return line is self._begun or line is self._first

    def took(self, line: Line) -> None:
        """Count a turn of a line."""
        if line is self._first:
            self._passed_over = 0
        elif self._first.count:
            self._passed_over += 1


class Parts:
    """The lines of a queue by priority, the highest first."""

    __slots__ = ("_parts", "_passed_over", "number")

    def __init__(self, parts: Sequence[Lines]) -> None:
        """Serve higher parts before lower parts, except for the share of the lower."""
        self.number = parts[0].number
        self._parts = parts
        #: How often each part had something while another was served.
        self._passed_over = [0] * len(parts)

    @property
    def count(self) -> int:
        """How many wait."""
        return sum(lines.count for lines in self._parts)

    def next(self, *, has_thread: bool) -> Queue | None:
        """Return the position of the next startable job, or None."""
        highest: Queue | None = None
        due: Queue | None = None
        for lines, passed_over in zip(self._parts, self._passed_over, strict=True):
            found = lines.next(has_thread=has_thread) if lines.count else None
            if found is None:
                continue
            highest = highest or found
            if passed_over >= _LOW_SHARE - 1:
                due = found
        return due or highest

    def took(self, line: Line) -> None:
        """Count a turn of a line."""
        for number, lines in enumerate(self._parts):
            if lines.has(line):
                lines.took(line)
                self._passed_over[number] = 0
            elif lines.count:
                self._passed_over[number] += 1


class Places:
    """The lines of all queues, and their shared places."""

    def __init__(self, lanes: Sequence[str], settings: WorkerSettings) -> None:
        """Nothing waits and nothing runs."""
        self._numbers = {queue: n for n, queue in enumerate(dict.fromkeys(map(queue_of, lanes)))}
        count = len(self._numbers)
        self.lines = {
            lane: Line(
                self._numbers[queue_of(lane)],
                count_max=max(1, settings.concurrency // count),
                bytes_max=settings.waiting_bytes_max // len(lanes),
            )
            for lane in lanes
        }
        self._attempts = Shares(settings.concurrency, count)
        self._threads = Shares(settings.threads, count)
        #: By number.
        self._queues = [self._lines_of(queue) for queue in self._numbers]
        #: Whose turn it is stands first.
        self._turns = deque(self._queues)

    def _lines_of(self, queue: str) -> Lines | Parts:
        parts = [
            Lines(self.lines[part], self.lines[first_lane(part)])
            for part in parts_of(queue, by_priority=True)
            if part in self.lines
        ]
        return Parts(parts) if len(parts) > 1 else parts[0]

    @property
    def count(self) -> int:
        """How many wait."""
        return sum(line.count for line in self.lines.values())

    def hold(self, queue: str) -> None:
        """Let no waiting job of a queue begin until `release`."""
        self._attempts.hold(self._numbers[queue])

    def release(self, queue: str) -> None:
        """Let jobs of a queue begin again."""
        self._attempts.release(self._numbers[queue])

    @property
    def held(self) -> int:
        """How many wait because their queue is held."""
        return sum(lines.count for lines in self._queues if self._attempts.is_held(lines.number))

    def waiting(self, queue: str) -> int:
        """Return the number of waiting jobs of a queue, in all lanes."""
        return self._queues[self._numbers[queue]].count

    def running(self, queue: str) -> int:
        """Return the number of jobs of a queue under way."""
        return self._attempts.used(self._numbers[queue])

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
        self._queues[job.line.number].took(job.line)
        self._attempts.take(job.line.number)
        if job.needs_thread:
            self._threads.take(job.line.number)
            job.has_thread = True
        return job

    def _best(self) -> Queue | None:
        """Return where the next job waits, and let the next queue have its turn."""
        turns = self._turns
        if len(turns) == 1:
            only = turns[0]
            is_possible = only.count and self._attempts.has(0)
            return only.next(has_thread=self._threads.has(0)) if is_possible else None
        best: Queue | None = None
        for lines in turns:
            if lines.count and self._attempts.has(lines.number):
                found = lines.next(has_thread=self._threads.has(lines.number))
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
        for line in self.lines.values():
            line.keep(is_kept)
