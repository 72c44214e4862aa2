"""The other ports in memory: log, publisher, definitions and clock, over a broker in this process."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context, copy_context

from stream_durable.memory.broker import Broker, LogPartition
from stream_durable.ports import (
    Assigned,
    Headers,
    Instead,
    LogBounds,
    LogEvent,
    LogLost,
    Outgoing,
    Record,
    Refusal,
    Revoked,
    without,
)
from stream_durable.wire.topics import BLOBS

#: How long a member that is told to give partitions up waits for the batch under way.
_REVOKE_SECONDS = 5.0

Later = Callable[[float, Callable[[], None]], object]


class VirtualClock:
    """The time of the running loop, as milliseconds since some morning."""

    EPOCH_MS = 1_700_000_000_000

    def __init__(self, time: Callable[[], float], skew_ms: int = 0) -> None:
        """Read seconds from `time`; be wrong by `skew_ms`."""
        self._time = time
        self._skew_ms = skew_ms

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return self.EPOCH_MS + int(self._time() * 1_000) + self._skew_ms


class MemoryLog:
    """A topic read as a member of a group; serves as inbox and as command log."""

    def __init__(
        self,
        broker: Broker,
        topic: str,
        group: str,
        later: Later,
        *,
        records_max: int = 500,
        latency: Callable[[], float] = lambda: 0.0,
        client: str = "",
    ) -> None:
        """Join nothing yet; `later` calls back in the process that reads, `latency` says when."""
        self.client = client
        self.broker = broker
        self.name = topic
        self.group = broker.group(group, topic)
        self._later = later
        self._latency = latency
        self._records_max = records_max
        self.fetching: dict[int, int] = {}
        #: The identity of each log when its fetch began: a client notices a change.
        self._read: dict[int, LogPartition] = {}
        #: The topic at the last check. A recreation is noticed at once here; in reality possibly at the next
        #: check, with the log grown beyond our position.
        self._known: dict[int, str] = {}
        self._events: deque[LogEvent] = deque()
        #: These overtake records.
        self._moves: deque[Assigned | Revoked] = deque()
        self._is_revoking = False
        self._held = 0
        self._arrived = asyncio.Event()
        self._on_arrival: tuple[Context, Callable[[], None]] | None = None
        self._releasing: list[int] = []
        self._is_polling = False
        self.is_expired = False
        #: Partitions assigned by the group, and those known to the reader.
        self._given: set[int] = set()
        self._heard: set[int] = set()
        #: Partitions read without an assignment.
        self._adopted: set[int] = set()
        #: How many stops of each partition are ordered and not carried out yet.
        self._stopping: dict[int, int] = {}
        self.times_revoked: Counter[int] = Counter()
        #: Partitions wanted by the reader against its assignment.
        self.trespasses: list[int] = []

    def open(self) -> None:
        """Join the group."""
        self.is_expired = False
        self.broker.listen(self.name, self._poke)
        self.group.join(self)

    async def next(self) -> LogEvent:
        """Wait for the next events."""
        self._release()
        while not self._moves and not self._events:
            await self._arrival()
        if self._moves:
            return self._move()
        event = self._events.popleft()
        if isinstance(event, list):
            self._held -= len(event)
            self._poke()
        return event

    def on_arrival(self, call: Callable[[], None] | None) -> None:
        """Call this, where the caller runs, whenever something has arrived; with None no more."""
        self._on_arrival = None if call is None else (copy_context(), call)

    def take_records(self) -> list[Record] | None:
        """Return arrived records if next in order."""
        if self._moves or not self._events or not isinstance(event := self._events[0], list):
            return None
        self._events.popleft()
        self._held -= len(event)
        self._poke()
        return event

    async def moved(self) -> Assigned | Revoked:
        """Wait until partitions are given or taken away."""
        self._release()
        while not self._moves:
            await self._arrival()
        return self._move()

    async def _arrival(self) -> None:
        self._arrived.clear()
        await self._arrived.wait()

    def _move(self) -> Assigned | Revoked:
        move = self._moves.popleft()
        if isinstance(move, Assigned):
            self._heard.update(move.partitions)
            self._adopted.difference_update(move.partitions)
        else:
            self._heard.difference_update(move.partitions)
        self._is_revoking = isinstance(move, Revoked)
        return move

    def fetch(self, partition: int, offset: int, leader_epoch: int) -> None:
        """Begin to fetch a partition at an offset; an order that a revocation has overtaken is void."""
        if partition not in self._given and partition not in self._adopted:
            return
        log = self.broker.topic(self.name).partitions[partition]
        if not log.reaches(leader_epoch, offset):
            self._tell(LogLost(partition))
            return
        self.fetching[partition] = offset
        self._read[partition] = log
        self._poke()

    def lived(self, partition: int, start: int, end: int) -> list[Record]:
        """Return all records between two offsets of the log being read."""
        # It may have been replaced since.
        return self._read[partition].lived(start, end)

    def hear(self, partition: int, *, is_ours: bool) -> None:
        """Record that the reader has adopted or disowned a partition; the order may arrive later."""
        (self._heard.add if is_ours else self._heard.discard)(partition)

    def look(self, partition: int) -> None:
        """Record a fault if the reader touches a partition known to be foreign."""
        if partition not in self._heard and partition not in self._adopted:
            self.trespasses.append(partition)

    def stop_fetching(self, partition: int) -> None:
        """Fetch no more from a partition, and drop records read but not taken."""
        self.fetching.pop(partition, None)
        self.drop([partition])

    def begin_stop(self, partition: int) -> None:
        """Drop records read but not taken, and late ones until `has_stopped`."""
        self._stopping[partition] = self._stopping.get(partition, 0) + 1
        self.drop([partition])

    def has_stopped(self, partition: int) -> None:
        """Keep further records: a stop was carried out."""
        self._stopping[partition] -= 1
        if not self._stopping[partition]:
            del self._stopping[partition]

    def adopt(self, partition: int) -> None:
        """Fetch a partition not yet assigned by the group."""
        self._adopted.add(partition)

    def disown(self, partition: int) -> None:
        """Stop fetching an adopted partition."""
        self._adopted.discard(partition)
        self.stop_fetching(partition)

    def drop(self, partitions: Iterable[int]) -> None:
        """Forget records of partitions read but not taken."""
        self._events = without(self._events, set(partitions))
        self._held = sum(len(event) for event in self._events if isinstance(event, list))

    async def bounds(self, partition: int) -> LogBounds:
        """Return the log's identity and bounds."""
        topic = self.broker.topic(self.name)
        log = topic.partitions[partition]
        self._known[partition] = topic.id
        return LogBounds(topic.id, log.low, log.high)

    def note_progress(self, offsets: dict[int, int]) -> None:
        """Nobody looks at the lag here."""

    async def committed(self, partition: int) -> tuple[int | None, str | None]:
        """Return the committed offset and metadata of a partition."""
        return self.group.offsets.get(partition, (None, None))

    def commit(self, marks: list[tuple[int, int, str]], done: Callable[[bool], None]) -> None:
        """Commit (partition, offset, metadata), if still a member of the group."""
        done(self.store_marks(marks))

    def store_marks(self, marks: list[tuple[int, int, str]]) -> bool:
        """Store the marks of a member, for owned partitions or partitions being released."""
        ours = self._given.union(self._releasing)
        if self not in self.group.members or not ours.issuperset(mark[0] for mark in marks):
            return False
        for partition, offset, metadata in marks:
            self.group.offsets[partition] = (offset, metadata)
        return True

    async def close(self) -> None:
        """Leave the group."""
        self.broker.stop_listening(self.name, self._poke)
        self.fetching.clear()
        self.group.leave(self)

    def expire(self) -> None:
        """Be removed from the group after a long silence."""
        if self in self.group.members:
            self.is_expired = True
            self.group.leave(self)

    def rejoin(self) -> None:
        """Notice the loss of membership, and join again."""
        if self.is_expired:
            self.is_expired = False
            self._releasing.clear()
            self.fetching.clear()
            gone = sorted(self._given)
            self._given.clear()
            self._tell(Revoked(tuple(gone)))
            self.group.join(self)

    def assign(self, partitions: list[int]) -> None:
        """Tell the reader its intended partitions."""
        self._given.update(partitions)
        self._tell(Assigned(tuple(partitions)))

    def revoke(self, partitions: list[int]) -> None:
        """Stop fetching, inform the reader, and release the partitions after the reader's confirmation."""
        for partition in partitions:
            self.fetching.pop(partition, None)
        self._given.difference_update(partitions)
        self._tell(Revoked(tuple(partitions)))
        self._releasing += partitions
        self._later(_REVOKE_SECONDS, lambda: self._release_these(partitions))

    def _release(self) -> None:
        if self._is_revoking and self._releasing:
            self._release_these(list(self._releasing))

    def _release_these(self, partitions: list[int]) -> None:
        mine = [p for p in partitions if p in self._releasing]
        self._releasing = [p for p in self._releasing if p not in mine]
        if mine:
            self.group.released(self, mine)

    def _tell(self, event: LogEvent) -> None:
        if isinstance(event, Assigned | Revoked):
            if isinstance(event, Revoked):
                self.drop(event.partitions)
                self.times_revoked.update(event.partitions)
            self._moves.append(event)
        else:
            self._events.append(event)
        self._arrived.set()
        if self._on_arrival is not None:
            asyncio.get_running_loop().call_soon(self._arrive, context=self._on_arrival[0])

    def _arrive(self) -> None:
        if self._on_arrival is not None:
            self._on_arrival[1]()

    def _poke(self) -> None:
        if self.fetching and not self._is_polling and self._held < self._records_max:
            self._is_polling = True
            self._later(self._latency(), self._poll)

    def _poll(self) -> None:
        self._is_polling = False
        topic = self.broker.topic(self.name)
        found: list[Record] = []
        for partition, offset in list(self.fetching.items()):
            log = topic.partitions[partition]
            is_another = self._read[partition] is not log and offset > 0
            is_another |= self._known.get(partition, topic.id) != topic.id
            if is_another or not log.low <= offset <= log.high:
                del self.fetching[partition]
                self._tell(LogLost(partition))
                continue
            records = log.read(offset, self._records_max - len(found))
            if records:
                self.fetching[partition] = records[-1].offset + 1
                if partition not in self._stopping:
                    found += records
        if found:
            self._held += len(found)
            self._tell(found)


class MemoryPublisher:
    """Appends in order, at once."""

    def __init__(self, broker: Broker) -> None:
        """Publish to this broker."""
        self._broker = broker

    def send(
        self,
        messages: Sequence[tuple[Outgoing, Headers | None]],
        done: Callable[[list[Refusal]], None],
        instead: Instead | None = None,
    ) -> None:
        """Append all; none is ever refused."""
        for message, headers in messages:
            self._broker.append(message.topic, message.partition, message.key, message.value, headers)
        done([])

    async def publish(self, messages: Sequence[tuple[Outgoing, Headers | None]]) -> list[Refusal]:
        """Append all."""
        self.send(messages, lambda _: None)
        return []

    async def close(self) -> None:
        """Nothing is ever under way."""


class MemoryBlobs:
    """Large values on a topic of the broker."""

    def __init__(self, broker: Broker) -> None:
        """Store values in this broker."""
        self._broker = broker

    async def put(self, key: str, data: bytes) -> tuple[int, int]:
        """Append a value."""
        record = self._broker.append(BLOBS, None, key.encode(), data)
        return record.partition, record.offset

    async def get(self, partition: int, offset: int) -> bytes | None:
        """Return the value at a place, if present."""
        for record in self._broker.topic(BLOBS).partitions[partition].read(offset, 1):
            if record.offset == offset:
                return record.value
        return None

    async def close(self) -> None:
        """Nothing is held."""
