"""What a log's thread has handed to the event loop and nobody has taken yet."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from stream_durable.ports import Assigned, LogEvent, Record, Revoked, without


class Held:
    """Counts records passed from one thread and not yet taken by another.

    Lock-free, since each count has one writer: concurrent changes lose nothing.
    """

    __slots__ = ("_bytes_in", "_bytes_out", "_records_in", "_records_out", "taken")

    def __init__(self) -> None:
        """Hold nothing."""
        self._records_in = self._bytes_in = self._records_out = self._bytes_out = 0
        #: Set whenever records are taken.
        self.taken = threading.Event()

    @property
    def records(self) -> int:
        """How many records are held."""
        return self._records_in - self._records_out

    @property
    def bytes(self) -> int:
        """Bytes of the held records."""
        return self._bytes_in - self._bytes_out

    def hand_over(self, records: list[Record]) -> None:
        """Hold further records; for the producing thread."""
        self._records_in += len(records)
        self._bytes_in += _bytes_of(records)

    def take(self, records: list[Record]) -> None:
        """Subtract taken records; called by the receiving thread."""
        self._records_out += len(records)
        self._bytes_out += _bytes_of(records)
        self.taken.set()


def _bytes_of(records: list[Record]) -> int:
    return sum(len(record.value) for record in records if record.value is not None)


class Arrivals:
    """Records in order. Assignments and revocations overtake records: a full reader must get them too."""

    def __init__(self, records_max: int) -> None:
        """Nothing has arrived; batches that wait together are joined up to so many records."""
        self._records_max = records_max
        self._events: deque[LogEvent] = deque()
        self._moves: deque[Assigned | Revoked] = deque()
        self._arrived = asyncio.Event()
        #: How many stops of each partition the log's thread has not carried out yet.
        self._stopping: dict[int, int] = {}
        self._failure: BaseException | None = None
        #: Called for each arrival, if anything.
        self.on_arrival: Callable[[], None] | None = None

    def put(self, event: LogEvent) -> list[Record]:
        """Keep an event; return dropped records of revoked and stopped partitions."""
        dropped: list[Record] = []
        if isinstance(event, Assigned | Revoked):
            if isinstance(event, Revoked):
                dropped = self.drop(set(event.partitions))
            self._moves.append(event)
        else:
            if self._stopping and isinstance(event, list):
                dropped = [record for record in event if record.partition in self._stopping]
                event = [record for record in event if record.partition not in self._stopping]
                if not event:
                    return dropped
            self._events.append(event)
        self._arrived.set()
        if self.on_arrival is not None:
            self.on_arrival()
        return dropped

    def stop(self, partition: int) -> list[Record]:
        """Drop unread records of a partition, and others until `has_stopped`; return the first.

        Without the ones dropped here, those read before the thread has stopped would come with a gap before.
        """
        self._stopping[partition] = self._stopping.get(partition, 0) + 1
        return self.drop({partition})

    def has_stopped(self, partition: int) -> None:
        """Keep what comes of a partition from now on: the thread has carried out a stop."""
        self._stopping[partition] -= 1
        if not self._stopping[partition]:
            del self._stopping[partition]

    def fail(self, error: BaseException) -> None:
        """Raise an error in a reader waiting for more."""
        self._failure = error
        self._arrived.set()

    async def next(self) -> LogEvent:
        """Wait for the next events."""
        while not self._moves and not self._events:
            await self._arrival()
        if self._moves:
            return self._moves.popleft()
        event = self._events.popleft()
        if isinstance(event, list):
            self._join(event)
        return event

    def take_records(self) -> list[Record] | None:
        """Return records if next in order; leave other events in place."""
        if self._moves or not self._events or not isinstance(event := self._events[0], list):
            return None
        self._events.popleft()
        self._join(event)
        return event

    async def moved(self) -> Assigned | Revoked:
        """Wait until partitions are given or taken away, and leave records where they are."""
        while not self._moves:
            await self._arrival()
        return self._moves.popleft()

    async def _arrival(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._arrived.clear()
        await self._arrived.wait()

    def _join(self, records: list[Record]) -> None:
        """Add records that have arrived right behind these."""
        while self._events and len(records) < self._records_max:
            if not isinstance(following := self._events[0], list):
                break
            records += following
            self._events.popleft()

    def drop(self, gone: set[int]) -> list[Record]:
        """Drop unread records of partitions and return them: a second read would mix with them."""
        dropped = [
            record
            for event in self._events
            if isinstance(event, list)
            for record in event
            if record.partition in gone
        ]
        self._events = without(self._events, gone)
        return dropped


def record_of(partition: int, message: Any) -> Record:
    """Return the client's message as a plain value."""
    epoch = message.leader_epoch()
    return Record(
        partition, message.offset(), message.timestamp()[1], message.key(), message.value(),
        -1 if epoch is None else epoch, message.headers(),
    )  # fmt: skip
