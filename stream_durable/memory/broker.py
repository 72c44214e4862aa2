"""Kafka in memory: topics of partitions, and consumer groups.

Models only the behaviour used by the engine: offsets with gaps, log-append time, the murmur2 partitioner,
cooperative rebalancing with revocation before assignment, expiring sessions, committed offsets, truncated and
recreated topics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from stream_durable.core.ids import partition_of
from stream_durable.ports import Clock, Headers, Record
from stream_durable.wire.topics import DEFINITIONS


class Member(Protocol):
    """A member of a group, with the group's callbacks."""

    #: Who reads: the name of the process.
    client: str

    def assign(self, partitions: list[int]) -> None:
        """Receive partitions."""

    def revoke(self, partitions: list[int]) -> None:
        """Release partitions, and confirm the release."""


class LogPartition:
    """Records in the order of offsets, possibly with gaps."""

    __slots__ = ("epochs", "expired", "high", "low", "records")

    def __init__(self) -> None:
        """Begin empty."""
        self.records: list[Record] = []
        #: Unreadable records, kept for invariants about the past.
        self.expired: list[Record] = []
        self.low = 0
        self.high = 0
        #: Where the records of each leader begin.
        self.epochs = [0]

    def read(self, offset: int, limit: int) -> list[Record]:
        """Return at most `limit` records from an offset on."""
        records = self.records
        lower, upper = 0, len(records)
        while lower < upper:
            middle = (lower + upper) // 2
            if records[middle].offset < offset:
                lower = middle + 1
            else:
                upper = middle
        return records[lower : lower + limit]

    def cut(self, low: int) -> None:
        """Let everything below an offset expire."""
        self.low = max(self.low, min(low, self.high))
        self.expired += [record for record in self.records if record.offset < self.low]
        self.records = [record for record in self.records if record.offset >= self.low]

    def until(self, high: int) -> LogPartition:
        """Return a view of this log up to an offset, as seen by an outdated reader."""
        other = LogPartition()
        other.expired = list(self.expired)
        other.records = [record for record in self.records if record.offset < high]
        # Not in the middle of a gap: nobody could tell that its end has been read.
        high = other.records[-1].offset + 1 if other.records else min(self.low, high)
        other.low, other.high = min(self.low, high), high
        other.epochs = [*(min(start, high) for start in self.epochs), high]
        return other

    def reaches(self, epoch: int, offset: int) -> bool:
        """Return whether a leader's records before an offset are still there; True for an unknown leader."""
        return not 0 <= epoch < len(self.epochs) - 1 or offset <= self.epochs[epoch + 1]

    def lived(self, start: int, end: int | None) -> list[Record]:
        """Return all records between two offsets that ever existed."""
        return [
            record
            for record in (*self.expired, *self.records)
            if start <= record.offset and (end is None or record.offset < end)
        ]


class Topic:
    """A topic; a recreated topic has another id."""

    def __init__(self, name: str, number: int, partitions: int) -> None:
        """Begin empty."""
        self.name = name
        self.id = f"{name}#{number}"
        self.partitions = [LogPartition() for _ in range(partitions)]

    def records(self) -> list[Record]:
        """Return all records, partition by partition."""
        return [record for partition in self.partitions for record in partition.records]


class Broker:
    """All topics and groups."""

    def __init__(self, clock: Clock, partitions: int) -> None:
        """Create a broker with a number of partitions per topic, except topics with a single partition."""
        self._clock = clock
        self.partition_count = partitions
        self._topics: dict[str, Topic] = {}
        self._numbers = 0
        self.groups: dict[tuple[str, str], Group] = {}
        #: How many offsets the next record skips, as control records do.
        self.gap: Callable[[], int] = lambda: 0
        #: Called with each record that is appended.
        self.watchers: list[Callable[[str, Record], None]] = []
        self._readers: dict[str, list[Callable[[], None]]] = {}
        self._homes: dict[bytes | None, int] = {}
        #: How large a message a topic takes; any, if it is not here.
        self.limits: dict[str, int] = {}
        #: Partitions without a leader: (topic, partition) -> until when, in milliseconds.
        self.leaderless: dict[tuple[str, int], int] = {}
        #: Called with a client's forbidden action.
        self.complain: Callable[[str], None] = lambda what: None
        #: Whether records were ever lost.
        self.has_been_lost = False

    def has_no_leader(self, topic: str, partition: int) -> bool:
        """Say whether a partition takes nothing at the moment."""
        return self.leaderless.get((topic, partition), 0) > self._clock.now()

    def topic(self, name: str) -> Topic:
        """Return a topic, created on the first request."""
        topic = self._topics.get(name)
        if topic is None:
            self._numbers += 1
            count = 1 if name == DEFINITIONS else self.partition_count
            topic = self._topics[name] = Topic(name, self._numbers, count)
        return topic

    def recreate(self, name: str) -> None:
        """Delete a topic and create the topic again, empty."""
        self.has_been_lost = True
        self._topics.pop(name, None)
        self.topic(name)
        self._wake(name)

    def expire(self, name: str, partition: int, low: int) -> None:
        """Let everything in a partition below an offset go."""
        self.has_been_lost = True
        self.topic(name).partitions[partition].cut(low)
        self._wake(name)

    def truncate(self, name: str, partition: int, high: int) -> None:
        """Elect a leader without the records of a partition from an offset on."""
        partitions = self.topic(name).partitions
        self.has_been_lost = True
        partitions[partition] = partitions[partition].until(high)
        self._wake(name)

    def append(
        self,
        name: str,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
    ) -> Record:
        """Append a record at the log's own time."""
        topic = self.topic(name)
        if partition is None:
            partition = self.home(key)
        log = topic.partitions[partition]
        offset = log.high + self.gap()
        epoch = len(log.epochs) - 1
        record = Record(partition, offset, self._clock.now(), key, value, epoch, headers)
        log.records.append(record)
        log.high = offset + 1
        for watch in self.watchers:
            watch(name, record)
        self._wake(name)
        return record

    def home(self, key: bytes | None) -> int:
        """Return the partition of a key."""
        home = self._homes.get(key)
        if home is None:
            try:
                home = partition_of((key or b"").decode(), self.partition_count)
            except UnicodeDecodeError:
                home = 0
            self._homes[key] = home
        return home

    def names(self) -> list[str]:
        """Return the names of all topics."""
        return list(self._topics)

    def group(self, name: str, topic: str) -> Group:
        """Return a group reading a topic."""
        return self.groups.setdefault((name, topic), Group(len(self.topic(topic).partitions)))

    def listen(self, topic: str, reader: Callable[[], None]) -> None:
        """Call a reader whenever a topic has more."""
        self._readers.setdefault(topic, []).append(reader)

    def stop_listening(self, topic: str, reader: Callable[[], None]) -> None:
        """Call a reader no more."""
        readers = self._readers.get(topic, [])
        if reader in readers:
            readers.remove(reader)

    def _wake(self, topic: str) -> None:
        for reader in self._readers.get(topic, ()):
            reader()


class Group:
    """A group's assignments and committed offsets."""

    def __init__(self, partitions: int) -> None:
        """Begin without members."""
        self._count = partitions
        self.members: list[Member] = []
        self.owners: dict[int, Member] = {}
        self._target: dict[int, Member] = {}
        self._leaving: dict[int, Member] = {}
        self.offsets: dict[int, tuple[int, str]] = {}
        #: How often a partition was taken from a member for another, or from one that was given up.
        self.moves = 0

    @property
    def is_stable(self) -> bool:
        """Whether every partition is with the intended member."""
        return not self._leaving and len(self.owners) == self._count

    def join(self, member: Member) -> None:
        """Add a member and redistribute the partitions."""
        self.members.append(member)
        self.rebalance()

    def leave(self, member: Member) -> None:
        """Remove a member, leaving or silent for too long."""
        if member not in self.members:
            return
        self.members.remove(member)
        self.moves += sum(owner is member for owner in self.owners.values())
        self._leaving = {p: m for p, m in self._leaving.items() if m is not member}
        self.owners = {p: m for p, m in self.owners.items() if m is not member}
        self.rebalance()

    def rebalance(self) -> None:
        """Share out evenly, and move as little as possible."""
        if not self.members:
            self._target = {}
            return
        most = -(-self._count // len(self.members))
        held: dict[int, Member] = {}
        load = {id(member): 0 for member in self.members}
        for partition, owner in sorted(self.owners.items()):
            if load[id(owner)] < most:
                held[partition] = owner
                load[id(owner)] += 1
        for partition in range(self._count):
            if partition not in held:
                least = min(self.members, key=lambda member: load[id(member)])
                held[partition] = least
                load[id(least)] += 1
        self.share_out(held)

    def share_out(self, target: dict[int, Member]) -> None:
        """Move every partition to the intended member."""
        self._target = target
        leaving: dict[int, tuple[Member, list[int]]] = {}
        free = []
        for partition, member in sorted(target.items()):
            owner = self.owners.get(partition)
            if owner is None:
                free.append(partition)
            elif owner is not member and partition not in self._leaving:
                self._leaving[partition] = owner
                self.moves += 1
                leaving.setdefault(id(owner), (owner, []))[1].append(partition)
        for owner, partitions in leaving.values():
            owner.revoke(partitions)
        self._give(free)

    def released(self, member: Member, partitions: Iterable[int]) -> None:
        """Receive a member's release of partitions."""
        free = [p for p in partitions if self._leaving.get(p) is member]
        for partition in free:
            del self._leaving[partition], self.owners[partition]
        self._give(free)

    def _give(self, partitions: list[int]) -> None:
        given: dict[int, tuple[Member, list[int]]] = {}
        for partition in partitions:
            member = self._target.get(partition)
            if member is not None and member in self.members:
                self.owners[partition] = member
                given.setdefault(id(member), (member, []))[1].append(partition)
        for member, theirs in given.values():
            member.assign(theirs)
