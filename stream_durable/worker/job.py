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

    __slots__ = ("_offset", "announced", "beat", "command", "is_cancelled", "label", "offsets", "percent",
                 "started", "task")  # fmt: skip

    def __init__(self, command: Command, offsets: DoneOffsets, offset: int) -> None:
        """A command that has been taken but not begun."""
        self.command = command
        self.offsets = offsets
        self._offset = offset
        #: Milliseconds of this machine's clock.
        self.started = 0
        #: When the reconciler was told that the attempt is under way, and last that it still is.
        self.announced = 0
        self.beat = 0
        self.task: asyncio.Task[None] | None = None
        self.is_cancelled = False
        self.percent: float | None = None
        self.label: str | None = None

    @property
    def key(self) -> JobKey:
        """What tells this attempt from every other."""
        return (self.command.run, self.command.step, self.command.attempt)

    def done(self) -> None:
        """Count the command as done for Kafka: it will not be delivered again."""
        self.offsets.done(self._offset)

    @property
    def deadline(self) -> datetime | None:
        """When the attempt runs out of time."""
        timeout = self.command.timeout_ms
        return None if timeout is None else datetime.fromtimestamp((self.started + timeout) / 1_000, UTC)

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the attempt any more."""
        return self.is_cancelled

    def progress(self, percent: float, label: str | None, /) -> None:
        """Note how far the attempt is; it travels with the next heartbeat."""
        self.percent, self.label = percent, label
