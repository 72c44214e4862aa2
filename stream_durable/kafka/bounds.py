"""The identity and the bounds of a partition's log."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from stream_durable.kafka.config import CALL_SECONDS, away, transient
from stream_durable.kafka.mock import is_mock
from stream_durable.ports import LogBounds
from stream_durable.settings import KafkaSettings

#: The client library has crashed where several threads asked at the same moment; answers are awaited outside.
_asking = Lock()


def bounds_of(admin: AdminClient, settings: KafkaSettings, topic: str, partition: int) -> LogBounds:
    """Ask the brokers; raise `TransientError` where they do not answer."""
    part = TopicPartition(topic, partition)
    try:
        [ends] = ends_of(admin, settings, [part]).values()
        return LogBounds(_topic_id(admin, topic), *ends)
    except KafkaException as error:
        raise transient(error, settings) from error
    except TimeoutError as error:
        raise away(settings) from error


def ends_of(
    admin: AdminClient, settings: KafkaSettings, parts: Sequence[TopicPartition]
) -> dict[TopicPartition, tuple[int, int]]:
    """Return the first and the next offset of each partition.

    Raises `TransientError` for an answer without an offset, as starting brokers give; otherwise the errors of
    Kafka's client.
    """
    with _asking:
        low, high = (
            admin.list_offsets(dict.fromkeys(parts, spec), request_timeout=CALL_SECONDS)
            for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
        )
    found = {
        part: (low[part].result(CALL_SECONDS).offset, high[part].result(CALL_SECONDS).offset)
        for part in parts
    }
    for part, ends in found.items():
        if min(ends) < 0:
            raise away(settings, f"partition {part.partition} of {part.topic} has no offsets yet")
    return found


def _topic_id(admin: AdminClient, topic: str) -> str:
    # The stubs know of no id.
    cluster: Any = admin.list_topics(topic, timeout=CALL_SECONDS).cluster_id
    if is_mock(cluster):
        # It answers no administrator, but it holds nothing that is older than itself.
        return str(cluster)
    topics = admin.describe_topics(TopicCollection([topic]), request_timeout=CALL_SECONDS)
    return str(topics[topic].result(CALL_SECONDS).topic_id)
