"""The way of a record to its consumer and nothing else: the least time of any engine on Kafka."""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream_durable.bench.errors import BenchError
from stream_durable.kafka.config import config, reading
from stream_durable.settings import Settings
from stream_durable.wire.topics import full_name

_TOPIC: Final = "bench-round-trip"
_SECONDS: Final = 10.0
_VALUE: Final = b"x" * 150


class RoundTrip:
    """A topic, its producer and its consumer, with the settings of the engine's own."""

    def __init__(self, settings: Settings) -> None:
        """Create the topic, and make the first trip."""
        self._topic = full_name(settings.prefix, _TOPIC)
        self._admin = AdminClient(config(settings.kafka, "bench"))
        created = self._admin.create_topics([NewTopic(self._topic, 1, settings.kafka.replication)])
        created[self._topic].result(_SECONDS)
        self._producer = Producer(config(settings.kafka, "bench", enable_idempotence=True, linger_ms=0))
        self._consumer = Consumer(reading(settings.kafka, self._topic, "bench"))
        self._consumer.assign([TopicPartition(self._topic, 0, 0)])
        self.milliseconds()

    def milliseconds(self) -> float:
        """Produce a record; return the milliseconds until the consumer has it."""
        begin = time.monotonic_ns()
        self._producer.produce(self._topic, _VALUE)
        message = self._consumer.poll(_SECONDS)
        if message is None or message.error() is not None:
            raise BenchError(f"a record on {self._topic} does not come: {message and message.error()}")
        return (time.monotonic_ns() - begin) / 1_000_000

    def close(self) -> None:
        """Remove the topic."""
        self._consumer.close()
        self._admin.delete_topics([self._topic])[self._topic].result(_SECONDS)
