"""Members and positions of the groups reading a topic, from outside of the groups."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from stream_durable.core.errors import RejectedError
from stream_durable.kafka.answers import GROUP_SECONDS, answer_of
from stream_durable.kafka.bounds import ends_of
from stream_durable.kafka.config import CALL_SECONDS, Admin, away, transient
from stream_durable.kafka.lives import Kept
from stream_durable.kafka.mock import is_mock
from stream_durable.ports import GroupMember, Span
from stream_durable.settings import KafkaSettings

_CLIENT: Final = "stream-durable-status"


class Group(NamedTuple):
    """The members of a group, and the progress within a topic."""

    members: tuple[GroupMember, ...]
    #: The records that there are, by partition.
    bounds: Mapping[int, Span]
    #: Remaining records by partition; all of them without a commit.
    left: Mapping[int, Span]

    @property
    def lag(self) -> int:
        """How many records are left."""
        return sum(span.end - span.start for span in self.left.values())


class Groups:
    """The topics of an instance and the groups reading them. A few requests to the brokers each."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Ask nothing yet."""
        self._settings = settings
        self._admin = Kept(lambda: Admin(settings, _CLIENT))

    async def topics(self, prefix: str) -> list[str] | None:
        """Return the topics with these prefixes; None: a broker in memory, without groups."""
        return await asyncio.to_thread(self._topics, prefix)

    async def read(self, of: Mapping[str, str]) -> dict[str, Group]:
        """Return how far groups are: by topic, for the groups given by topic."""
        return await asyncio.to_thread(self._read, of) if of else {}

    def _topics(self, prefix: str) -> list[str] | None:
        try:
            cluster = self._admin().list_topics(timeout=CALL_SECONDS)
        except KafkaException as error:
            self._admin.blame(error)
            raise transient(error, self._settings) from error
        if is_mock(cluster.cluster_id):
            return None
        return sorted(name for name in cluster.topics if name.startswith(prefix))

    def _read(self, of: Mapping[str, str]) -> dict[str, Group]:
        try:
            bounds = self._bounds(list(of))
            members = self._members(list(of.values()))
            return {
                topic: Group(members[group], bounds[topic], _left(bounds[topic], self._committed(group)))
                for topic, group in of.items()
            }
        except KafkaException as error:
            self._admin.blame(error)
            raise transient(error, self._settings) from error

    def _bounds(self, topics: Sequence[str]) -> dict[str, dict[int, Span]]:
        """Return the first and the next offset of each partition."""
        cluster = self._admin().list_topics(timeout=CALL_SECONDS)
        found = cluster.topics
        if missing := [topic for topic in topics if topic not in found]:
            if not cluster.brokers:
                raise away(self._settings, "no broker has registered yet")
            text = f"there is no topic {missing[0]}: run `stream-durable topics apply`"
            raise RejectedError("topics_missing", text)
        parts = [TopicPartition(topic, p) for topic in topics for p in found[topic].partitions]
        bounds: dict[str, dict[int, Span]] = {topic: {} for topic in topics}
        for part, ends in ends_of(self._admin(), self._settings, parts).items():
            bounds[part.topic][part.partition] = Span(part.partition, *ends)
        return bounds

    def _members(self, groups: list[str]) -> dict[str, tuple[GroupMember, ...]]:
        found = self._admin().describe_consumer_groups(groups, request_timeout=GROUP_SECONDS)
        return {
            group: tuple(
                GroupMember(one.client_id, one.host.lstrip("/"), len(one.assignment.topic_partitions))
                for one in answer_of(answer).members
            )
            for group, answer in found.items()
        }

    def _committed(self, group: str) -> dict[int, int]:
        asked = [ConsumerGroupTopicPartitions(group)]
        (answer,) = self._admin().list_consumer_group_offsets(asked, request_timeout=GROUP_SECONDS).values()
        return {part.partition: part.offset for part in answer_of(answer).topic_partitions}


def _left(bounds: Mapping[int, Span], committed: Mapping[int, int]) -> dict[int, Span]:
    """Return the remaining records of each partition; without an offset, all of them."""
    return {
        partition: Span(partition, min(max(span.start, committed.get(partition, 0)), span.end), span.end)
        for partition, span in bounds.items()
    }
