"""The time of a test on real services: this machine's clock, plus the time skipped by the test."""

from __future__ import annotations

import time
from collections.abc import Callable

from stream_durable.ports import Log, LogBounds, LogEvent, Record


class ShiftedClock:
    """This machine's clock, plus the time skipped by the test."""

    def __init__(self) -> None:
        """Begin with the time there is."""
        self.ahead_ms = 0

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000 + self.ahead_ms


class ShiftedLog:
    """A log with records in test time: the time of the first read, on every read."""

    def __init__(self, log: Log, clock: ShiftedClock, seen: dict[tuple[int, int], int]) -> None:
        """`seen` remembers by how much each record was shifted, also for later readers."""
        self._log = log
        self._clock = clock
        self._seen = seen

    async def next(self) -> LogEvent:
        """Wait for the next events."""
        event = await self._log.next()
        return [self._shifted(record) for record in event] if isinstance(event, list) else event

    def on_arrival(self, call: Callable[[], None] | None) -> None:
        """Call this whenever something has arrived; with None no more."""
        self._log.on_arrival(call)

    def take_records(self) -> list[Record] | None:
        """Return arrived records if next in order."""
        records = self._log.take_records()
        return None if records is None else [self._shifted(record) for record in records]

    def fetch(self, partition: int, offset: int, leader_epoch: int) -> None:
        """Begin to fetch a partition."""
        self._log.fetch(partition, offset, leader_epoch)

    def stop_fetching(self, partition: int) -> None:
        """Fetch no more from a partition."""
        self._log.stop_fetching(partition)

    def adopt(self, partition: int) -> None:
        """Fetch a partition not yet assigned by the group."""
        self._log.adopt(partition)

    def disown(self, partition: int) -> None:
        """Stop fetching an adopted partition."""
        self._log.disown(partition)

    async def bounds(self, partition: int) -> LogBounds:
        """Return the identity of a partition's log."""
        return await self._log.bounds(partition)

    def note_progress(self, offsets: dict[int, int]) -> None:
        """Report the position to lag tools."""
        self._log.note_progress(offsets)

    async def close(self) -> None:
        """Leave the group."""
        await self._log.close()

    def _shifted(self, record: Record) -> Record:
        ahead = self._seen.setdefault((record.partition, record.offset), self._clock.ahead_ms)
        return record._replace(time=record.time + ahead)
