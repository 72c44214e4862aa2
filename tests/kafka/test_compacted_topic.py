"""A compacted topic whose broker has just been started."""

from __future__ import annotations

import gc
import weakref
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from waiting import eventually

from stream_durable.client.edge import Edge
from stream_durable.core.errors import TransientError
from stream_durable.kafka import compacted
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


class Away(Starting):
    """A consumer without a broker."""

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def poll(self, _: float) -> None:
        """Nothing comes."""


@pytest.mark.parametrize("way", ["catch_up", "more"])
async def test_a_client_without_brokers_ends_with_the_error_and_not_with_the_next_collection(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compacted, "_QUIET_SECONDS", -1.0)
    topic = CompactedTopic(KafkaSettings(), "sd", "definitions", lambda _: None, client="test")
    made: list[weakref.ref[Away]] = []

    def make() -> Away:
        away = Away()
        made.append(weakref.ref(away))
        return away

    topic._consumer = Kept(make)  # type: ignore[assignment, arg-type]
    topic._assign = lambda _: None  # type: ignore[method-assign]
    edge = Edge(SimpleNamespace(blobs=None, where="here"), patience_seconds=0.2)  # type: ignore[arg-type]

    gc.disable()
    try:
        # Each of its attempts has another client.
        with suppress(TransientError):
            await edge.ask(getattr(topic, way), "read the definitions")

        async def all_ended() -> bool:
            return not any(one() for one in made)

        await eventually(all_ended, "the end of every client", seconds=20)
    finally:
        gc.enable()
    assert len(made) > 1
    await topic.close()
