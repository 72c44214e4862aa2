"""The identity and the bounds of a partition's log."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from stream_durable.kafka.config import CALL_SECONDS, away, transient
from stream_durable.kafka.mock import is_mock
from stream_durable.ports import LogBounds
from stream_durable.settings import KafkaSettings


def bounds_of(admin: AdminClient, settings: KafkaSettings, topic: str, partition: int) -> LogBounds:
    """Ask the brokers; raise `TransientError` where they do not answer."""
    part = TopicPartition(topic, partition)
    try:
        low = admin.list_offsets({part: OffsetSpec.earliest()}, request_timeout=CALL_SECONDS)
        high = admin.list_offsets({part: OffsetSpec.latest()}, request_timeout=CALL_SECONDS)
        return LogBounds(
            _topic_id(admin, topic),
            low[part].result(CALL_SECONDS).offset,
            high[part].result(CALL_SECONDS).offset,
        )
    except KafkaException as error:
        raise transient(error, settings) from error
    except TimeoutError as error:
        raise away(settings) from error


def _topic_id(admin: AdminClient, topic: str) -> str:
    # The stubs know of no id.
    cluster: Any = admin.list_topics(topic, timeout=CALL_SECONDS).cluster_id
    if is_mock(cluster):
        # It answers no administrator, but it holds nothing that is older than itself.
        return str(cluster)
    topics = admin.describe_topics(TopicCollection([topic]), request_timeout=CALL_SECONDS)
    return str(topics[topic].result(CALL_SECONDS).topic_id)
