"""Checks the number of partitions, used by clients for finding runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException

from stream_durable.core.errors import RejectedError
from stream_durable.kafka.config import CALL_SECONDS, transient
from stream_durable.settings import KafkaSettings

#: Errors of a missing topic or partition, from brokers or from the client.
MISSING: Final = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._UNKNOWN_TOPIC,
)


def check_partitions(consumer: Consumer, topics: Iterable[str], settings: KafkaSettings) -> None:
    """Raise if a topic is missing, or has another number of partitions than `kafka.partitions`, so that runs
    would be looked for in the wrong place. One request to the brokers per topic; blocks.
    """
    for topic in topics:
        try:
            found = consumer.list_topics(topic, CALL_SECONDS).topics[topic]
        except KafkaException as error:
            raise transient(error, settings) from error
        if found.error is not None and found.error.code() not in MISSING:
            raise transient(found.error, settings)
        if not found.partitions:
            remedy = "run `stream-durable topics apply`"
            raise RejectedError("topics_missing", f"there is no topic {topic}: {remedy}")
        if (count := len(found.partitions)) != settings.partitions:
            raise RejectedError(
                "topics_wrong",
                f"topic {topic} has {count} partitions, and kafka.partitions is {settings.partitions}: "
                f"set kafka.partitions to {count}",
            )
