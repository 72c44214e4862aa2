"""A compacted topic whose broker has just been started."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException

from stream_durable.kafka.compacted import CompactedTopic
from stream_durable.kafka.lives import Kept
from stream_durable.settings import KafkaSettings


class Starting:
    """A consumer on an open port of a broker that leads nothing at first."""

    def __init__(self) -> None:
        self.asked = 0

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        self.asked += 1
        if self.asked == 1:
            raise KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))
        return 0, 0

    def list_topics(self, topic: str, *, timeout: float) -> None:
        """Nobody leads it yet."""

    def close(self) -> None:
        """Nothing is open."""


async def test_a_broker_that_has_not_taken_the_partition_up_is_asked_again() -> None:
    topic = CompactedTopic(KafkaSettings(), "sd", "definitions", lambda _: None, client="test")
    consumer = Starting()
    topic._consumer = Kept(lambda: consumer)  # type: ignore[assignment, return-value]

    await topic.catch_up()
    await topic.close()

    assert consumer.asked == 2


class Forgetful(Starting):
    """A consumer that knows of no partition until it asks about the topic."""

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        if not self.asked:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))
        return 0, 0

    def list_topics(self, topic: str, *, timeout: float) -> None:
        assert topic == "sd.definitions"
        self.asked += 1


async def test_a_consumer_that_knows_no_leader_looks_for_one() -> None:
    topic = CompactedTopic(KafkaSettings(), "sd", "definitions", lambda _: None, client="test")
    consumer = Forgetful()
    topic._consumer = Kept(lambda: consumer)  # type: ignore[assignment, return-value]

    await topic.catch_up()
    await topic.close()

    assert consumer.asked == 1
