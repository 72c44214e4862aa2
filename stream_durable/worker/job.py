"""One command on its way through a worker: taken, perhaps queued, attempted, reported, done."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from stream_durable.core.effects import Command
from stream_durable.worker.offsets import DoneOffsets

JobKey = tuple[str, str, int]


class Job:
    """A command, where it came from, and how far its attempt is.

    It is also what the handler's context asks about the attempt, from whichever thread it runs in.
    """

    __slots__ = ("announced", "beat", "command", "is_cancelled", "is_overdue", "label", "marks",
                 "percent", "started", "task")  # fmt: skip

    def __init__(self, command: Command, offsets: DoneOffsets, offset: int) -> None:
        """A command that has been taken but not begun."""
        self.command = command
        #: Where the command is on its topic; in several places if the attempt was asked for repeatedly.
        self.marks = [(offsets, offset)]
        #: Milliseconds of this machine's clock.
        self.started = 0
        #: When the reconciler was told that the attempt is under way, and last that it still is.
        self.announced = 0
        self.beat = 0
        self.task: asyncio.Task[None] | None = None
        #: Whether the run asked for it to be dropped.
        self.is_cancelled = False
        #: Whether its time is over while a thread, which cannot be stopped, still works at it.
        self.is_overdue = False
        self.percent: float | None = None
        self.label: str | None = None

    @property
    def key(self) -> JobKey:
        """What tells this attempt from every other."""
        return (self.command.run, self.command.step, self.command.attempt)

    def done(self) -> None:
        """Count the command as done for Kafka: it will not be delivered again."""
        for offsets, offset in self.marks:
            offsets.done(offset)

    def stand_for(self, repeated: Job) -> None:
        """Take on a command that asks for the same attempt: it is done when this one is.

        A lease that the attempt had may be over by now, so it is announced anew.
        """
        self.marks += repeated.marks
        self.announced = 0

    def leave(self, gone: DoneOffsets) -> bool:
        """Forget the places in a partition that was taken away; say whether there are no others."""
        self.marks = [mark for mark in self.marks if mark[0] is not gone]
        return not self.marks

    @property
    def deadline(self) -> datetime | None:
        """When the attempt runs out of time."""
        timeout = self.command.timeout_ms
        return None if timeout is None else datetime.fromtimestamp((self.started + timeout) / 1_000, UTC)

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the attempt any more."""
        return self.is_cancelled or self.is_overdue

    def progress(self, percent: float, label: str | None, /) -> None:
        """Note how far the attempt is; it travels with the next heartbeat."""
        self.percent, self.label = percent, label
