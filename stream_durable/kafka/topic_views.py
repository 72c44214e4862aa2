"""Topics, seen from outside of the groups. A few requests to the brokers each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from stream_durable.kafka.answers import GROUP_SECONDS, answer_of
from stream_durable.kafka.bounds import offsets_of
from stream_durable.kafka.config import Admin, transient
from stream_durable.kafka.reader import KafkaReader
from stream_durable.ports import TopicPlace
from stream_durable.settings import KafkaSettings
from stream_durable.wire.topics import full_name

_RECORDS_MAX: Final = 1_000


class KafkaTopicViews:
    """Looks at topics."""

    def __init__(self, settings: KafkaSettings, prefix: str, *, client: str) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._prefix = prefix
        self._client = client

    async def partitions(self, topic: str, group: str) -> list[TopicPlace]:
        """Return how far a group has read each partition; `group` without the instance's prefix."""
        bounds = await self.reader(topic).bounds()
        marks = await asyncio.to_thread(self._committed, full_name(self._prefix, group))
        found = []
        for partition, span in sorted(bounds.items()):
            offset, metadata = marks.get((full_name(self._prefix, topic), partition), (None, None))
            found.append(TopicPlace(partition, span.low, span.high, offset, metadata))
        return found

    async def offsets_at(self, topic: str, time: int) -> Mapping[int, int]:
        """Return the offset of the first record at or after a time, by partition; else the next offset."""
        ends = {partition: found.high for partition, found in (await self.reader(topic).bounds()).items()}
        found = await asyncio.to_thread(self._at, topic, list(ends), time)
        return {partition: found.get(partition, end) for partition, end in ends.items()}

    def reader(self, topic: str) -> KafkaReader:
        """Return a reader of a topic."""
        name = full_name(self._prefix, topic)
        return KafkaReader(self._settings, name, client=self._client, records_max=_RECORDS_MAX)

    def _committed(self, group: str) -> dict[tuple[str, int], tuple[int, str | None]]:
        admin = Admin(self._settings, self._client)
        try:
            asked = [ConsumerGroupTopicPartitions(group)]
            (answer,) = admin.list_consumer_group_offsets(asked, request_timeout=GROUP_SECONDS).values()
            parts = answer_of(answer).topic_partitions
            return {(p.topic, p.partition): (p.offset, p.metadata) for p in parts if p.offset >= 0}
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return {}
            raise transient(error, self._settings) from error

    def _at(self, topic: str, partitions: list[int], time: int) -> dict[int, int]:
        admin = Admin(self._settings, self._client)
        try:
            name = full_name(self._prefix, topic)
            asked = {TopicPartition(name, p): OffsetSpec.for_timestamp(time) for p in partitions}
            found = offsets_of(admin, asked)
            return {part.partition: offset for part, offset in found.items() if offset >= 0}
        except KafkaException as error:
            raise transient(error, self._settings) from error
