"""The place of a command, and the readers of partitions, in memory."""

from __future__ import annotations

from stream_durable.memory.broker import Broker, Group, Member
from stream_durable.ports import CommandPlace, InboxReading
from stream_durable.wire.topics import COMMANDS, INBOX, RECONCILERS, WORKERS
from stream_durable.worker.offsets import DoneOffsets
from stream_durable.worker.searching import CommandSearch


class MemoryTraffic:
    """Looks at the topics and groups of a broker."""

    def __init__(self, broker: Broker) -> None:
        """Look at this broker."""
        self._broker = broker

    async def inbox(self, partition: int, position: int) -> InboxReading | None:
        """Return how a partition of the inbox is read."""
        log = self._broker.topic(INBOX).partitions[partition]
        waiting = log.read(max(position, log.low), 1)
        reader = _reader(self._broker.group(RECONCILERS, INBOX), partition)
        return InboxReading(INBOX, partition, log.high, waiting[0].time if waiting else None, reader)

    async def command(self, lane: str, run: str, step: str, attempt: int) -> CommandPlace | None:
        """Return the place of an attempt's command; None: no such topic."""
        name = COMMANDS + lane
        if name not in self._broker.names():
            return None
        topic, group = self._broker.topic(name), self._broker.group(WORKERS + lane, name)
        partition = self._broker.home(run.encode())
        log = topic.partitions[partition]
        committed, metadata = group.offsets.get(partition, (log.low, None))
        start = max(log.low, committed)
        search = CommandSearch(DoneOffsets.resume(start, metadata, topic_id=topic.id), run, step, attempt)
        any(search.has_found(record) for record in log.read(start, len(log.records)))
        readers = tuple(sorted(map(_name, group.members)))
        return CommandPlace(name, partition, search.offset, search.before, _reader(group, partition), readers)


def _reader(group: Group, partition: int) -> str:
    """Return the reader of a partition, or nothing."""
    owner = group.owners.get(partition)
    return "" if owner is None else _name(owner)


def _name(member: Member) -> str:
    return member.client
