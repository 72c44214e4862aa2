"""The place of a command, and the readers of partitions, looked up on request.

A few requests to the brokers each, from outside of the groups. Nothing is kept between two calls but the
connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, NamedTuple

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)

from stream_durable.core.ids import partition_of
from stream_durable.kafka.answers import GROUP_SECONDS, answer_of
from stream_durable.kafka.bounds import ends_of
from stream_durable.kafka.config import CALL_SECONDS, Admin, transient
from stream_durable.kafka.lives import Kept
from stream_durable.kafka.mock import is_mock
from stream_durable.kafka.reader import KafkaReader
from stream_durable.ports import CommandPlace, InboxReading, Record, Span
from stream_durable.settings import KafkaSettings
from stream_durable.wire.topics import COMMANDS, INBOX, RECONCILERS, WORKERS, full_name
from stream_durable.worker.offsets import DoneOffsets
from stream_durable.worker.searching import CommandSearch

#: So many records behind a group's position are looked through for a command.
LOOKED_THROUGH_MAX: Final = 10_000
#: What a request says of a topic or group that is not there.
_MISSING: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND})


class _Reader(NamedTuple):
    """A member of a group with the assigned partitions of a topic."""

    name: str
    partitions: frozenset[int]


class _Partition(NamedTuple):
    """A partition with the group reading there."""

    topic_id: str
    low: int
    high: int
    readers: tuple[_Reader, ...]
    committed: int | None
    metadata: str | None

    def reader(self, partition: int) -> str:
        """Return the reader of the partition, or nothing."""
        return next((one.name for one in self.readers if partition in one.partitions), "")


class KafkaTraffic:
    """Looks at the topics and groups of an instance."""

    def __init__(self, settings: KafkaSettings, prefix: str, *, client: str) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._prefix = prefix
        self._client = client
        self._admin = Kept(lambda: Admin(settings, client))

    async def inbox(self, partition: int, position: int) -> InboxReading | None:
        """Return how a partition of the inbox is read; None: the broker shows no groups."""
        topic = full_name(self._prefix, INBOX)
        found = await asyncio.to_thread(self._look, topic, partition, full_name(self._prefix, RECONCILERS))
        if found is None:
            return None
        start = max(position, found.low)
        oldest = None
        async for record in self._read(topic, Span(partition, start, min(start + 1, found.high))):
            oldest = record.time
        return InboxReading(topic, partition, found.high, oldest, found.reader(partition))

    async def command(self, lane: str, run: str, step: str, attempt: int) -> CommandPlace | None:
        """Return the place of an attempt's command; None: no such topic, or the broker shows no groups."""
        topic = full_name(self._prefix, COMMANDS + lane)
        partition = partition_of(run, self._settings.partitions)
        found = await asyncio.to_thread(self._look, topic, partition, full_name(self._prefix, WORKERS + lane))
        if found is None:
            return None
        start = found.low if found.committed is None else max(found.low, found.committed)
        done = DoneOffsets.resume(start, found.metadata, topic_id=found.topic_id)
        search = CommandSearch(done, run, step, attempt)
        async for record in self._read(
            topic, Span(partition, start, min(found.high, start + LOOKED_THROUGH_MAX))
        ):
            if search.has_found(record):
                break
        readers = tuple(sorted(one.name for one in found.readers))
        return CommandPlace(topic, partition, search.offset, search.before, found.reader(partition), readers)

    async def _read(self, topic: str, span: Span) -> AsyncIterator[Record]:
        reader = KafkaReader(
            self._settings, topic, client=self._client, records_max=LOOKED_THROUGH_MAX, is_hasty=True
        )
        async with aclosing(reader.read([span])) as batches:
            async for records in batches:
                for record in records:
                    yield record

    def _look(self, topic: str, partition: int, group: str) -> _Partition | None:
        """Ask for bounds, readers and position of one partition. Blocks."""
        try:
            admin = self._admin()
            cluster = admin.list_topics(topic, timeout=CALL_SECONDS)
            known = cluster.topics[topic]
            # A question about ends of a missing topic is one about leaders, as of a topic that was just made.
            if is_mock(cluster.cluster_id) or (known.error is not None and known.error.code() in _MISSING):
                return None
            part = TopicPartition(topic, partition)
            told = admin.describe_topics(TopicCollection([topic]), request_timeout=CALL_SECONDS)[topic]
            [ends] = ends_of(admin, self._settings, [part]).values()
            members = admin.describe_consumer_groups([group], request_timeout=GROUP_SECONDS)[group]
            asked = [ConsumerGroupTopicPartitions(group, [part])]
            (position,) = admin.list_consumer_group_offsets(asked, request_timeout=GROUP_SECONDS).values()
            readers = tuple(
                _Reader(
                    one.client_id,
                    frozenset(p.partition for p in one.assignment.topic_partitions if p.topic == topic),
                )
                for one in answer_of(members).members
            )
            [committed] = answer_of(position).topic_partitions
            return _Partition(
                str(answer_of(told).topic_id),
                *ends,
                readers,
                committed.offset if committed.offset >= 0 else None,
                committed.metadata,
            )
        except KafkaException as error:
            if error.args[0].code() in _MISSING:
                return None
            self._admin.blame(error)
            raise transient(error, self._settings) from error
