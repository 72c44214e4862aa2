"""The time of a test on real services: this machine's clock, and how far the test has gone ahead of it."""

from __future__ import annotations

import time

from stream_durable.ports import Log, LogBounds, LogEvent, Record


class ShiftedClock:
    """This machine's clock, and how far the test has gone ahead of it."""

    def __init__(self) -> None:
        """Begin with the time there is."""
        self.ahead_ms = 0

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000 + self.ahead_ms


class ShiftedLog:
    """A log whose records are of the test's time: of when each was first read, however often it is."""

    def __init__(self, log: Log, clock: ShiftedClock, seen: dict[tuple[int, int], int]) -> None:
        """`seen` remembers by how much each record was shifted, also for later readers."""
        self._log = log
        self._clock = clock
        self._seen = seen

    async def next(self) -> LogEvent:
        """Wait for what comes next."""
        event = await self._log.next()
        return [self._shifted(record) for record in event] if isinstance(event, list) else event

    def fetch(self, partition: int, offset: int, leader_epoch: int) -> None:
        """Begin to fetch a partition."""
        self._log.fetch(partition, offset, leader_epoch)

    def stop_fetching(self, partition: int) -> None:
        """Fetch no more from a partition."""
        self._log.stop_fetching(partition)

    def adopt(self, partition: int) -> None:
        """Let a partition be fetched though the group has not given it to us."""
        self._log.adopt(partition)

    def disown(self, partition: int) -> None:
        """Stop fetching an adopted partition."""
        self._log.disown(partition)

    async def bounds(self, partition: int) -> LogBounds:
        """Say which log this partition is now."""
        return await self._log.bounds(partition)

    def note_progress(self, offsets: dict[int, int]) -> None:
        """Tell lag tools how far we are."""
        self._log.note_progress(offsets)

    async def close(self) -> None:
        """Leave the group."""
        await self._log.close()

    def _shifted(self, record: Record) -> Record:
        ahead = self._seen.setdefault((record.partition, record.offset), self._clock.ahead_ms)
        return record._replace(time=record.time + ahead)
