"""The identity and the bounds of a partition's log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from stream_durable.kafka.answers import answer_of
from stream_durable.kafka.config import CALL_SECONDS, away, config, transient
from stream_durable.kafka.leaders import learn_leaders
from stream_durable.kafka.lives import Kept
from stream_durable.kafka.mock import is_mock
from stream_durable.ports import LogBounds
from stream_durable.settings import KafkaSettings


class Bounds:
    """Asks the brokers about the partitions of a topic."""

    def __init__(self, settings: KafkaSettings, client: str, topic: str) -> None:
        """Connect when first asked."""
        self._settings = settings
        self._topic = topic
        self._admin = Kept(lambda: AdminClient(config(settings, client)))
        self._is_real = False

    def ask(self, partition: int) -> LogBounds:
        """Return identity and bounds; raise `TransientError` where the brokers do not answer. Blocks."""
        part = TopicPartition(self._topic, partition)
        try:
            [ends] = ends_of(self._admin(), self._settings, [part]).values()
            return LogBounds(self._id(), *ends)
        except KafkaException as error:
            self._admin.blame(error)
            raise transient(error, self._settings) from error

    def close(self) -> None:
        """Let go of the client."""
        self._admin.let_go()

    def _id(self) -> str:
        admin = self._admin()
        if not self._is_real:
            # The stubs know of no id.
            cluster: Any = admin.list_topics(self._topic, timeout=CALL_SECONDS).cluster_id
            if is_mock(cluster):
                # It answers no administrator, but it holds nothing that is older than itself.
                return str(cluster)
            self._is_real = True
        topics = admin.describe_topics(TopicCollection([self._topic]), request_timeout=CALL_SECONDS)
        return str(answer_of(topics[self._topic]).topic_id)


def ends_of(
    admin: AdminClient, settings: KafkaSettings, parts: Sequence[TopicPartition]
) -> dict[TopicPartition, tuple[int, int]]:
    """Return the first and the next offset of each partition.

    Raises `TransientError` for an answer without an offset, as starting brokers give; otherwise the errors of
    Kafka's client.
    """
    learn_leaders(admin, parts)
    low, high = (
        _answers(admin, dict.fromkeys(parts, spec)) for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
    )
    found = {part: (low[part], high[part]) for part in parts}
    for part, ends in found.items():
        if min(ends) < 0:
            raise away(settings, f"partition {part.partition} of {part.topic} has no offsets yet")
    return found


def offsets_of(admin: AdminClient, asked: Mapping[TopicPartition, OffsetSpec]) -> dict[TopicPartition, int]:
    """Return the offset of each partition, -1 if there is none; raise the errors of Kafka's client."""
    learn_leaders(admin, asked)
    return _answers(admin, asked)


def _answers(admin: AdminClient, asked: Mapping[TopicPartition, OffsetSpec]) -> dict[TopicPartition, int]:
    answers = admin.list_offsets(dict(asked), request_timeout=CALL_SECONDS)
    return {part: answer_of(answer).offset for part, answer in answers.items()}
