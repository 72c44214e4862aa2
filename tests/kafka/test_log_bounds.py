"""What is made of the answers to a question for a partition's offsets."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    ClusterMetadata,
    NewTopic,
    OffsetSpec,
    PartitionMetadata,
    TopicMetadata,
)
from waiting import eventually

from stream_durable.core.errors import TransientError
from stream_durable.kafka.bounds import ends_of, offsets_of
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import KafkaSettings

PART = TopicPartition("sd.inbox", 4)


class Answer:
    def __init__(self, offset: int) -> None:
        self.offset = offset


class Brokers:
    """Answers as brokers have answered: the first offset, then the next one."""

    def __init__(self, *offsets: int, leader: int = 1, error: KafkaError | None = None) -> None:
        self._offsets = list(offsets)
        self._topic = TopicMetadata()
        self._topic.error = error
        self._topic.partitions[PART.partition] = PartitionMetadata()
        self._topic.partitions[PART.partition].leader = leader
        #: What has been requested, in order.
        self.asked: list[str] = []

    def list_topics(self, topic: str, *, timeout: float) -> ClusterMetadata:
        self.asked.append(f"leaders of {topic}")
        cluster = ClusterMetadata()
        cluster.topics[topic] = self._topic
        return cluster

    def list_offsets(self, asked: dict[TopicPartition, Any], *, request_timeout: float) -> dict[Any, Any]:
        self.asked.append("offsets")
        offset, future = self._offsets.pop(0), Future[Answer]()
        future.set_result(Answer(offset))
        return dict.fromkeys(asked, future)


def ends(*offsets: int) -> tuple[int, int]:
    return ends_of(Brokers(*offsets), KafkaSettings(), [PART])[PART]  # type: ignore[arg-type]


def test_the_first_and_the_next_offset_are_returned() -> None:
    assert ends(7, 407) == (7, 407)


@pytest.mark.parametrize("offsets", [(0, OFFSET_INVALID), (OFFSET_INVALID, 407)])
def test_no_offset_is_asked_for_again_and_is_no_end_of_a_log(offsets: tuple[int, int]) -> None:
    with pytest.raises(TransientError, match=r"partition 4 of sd\.inbox has no offsets yet"):
        ends(*offsets)


def test_leaders_are_asked_for_before_offsets() -> None:
    brokers = Brokers(7, 407)
    ends_of(brokers, KafkaSettings(), [PART])  # type: ignore[arg-type]
    assert brokers.asked == ["leaders of sd.inbox", "offsets", "offsets"]

    brokers = Brokers(7)
    assert offsets_of(brokers, {PART: OffsetSpec.latest()}) == {PART: 7}  # type: ignore[arg-type]
    assert brokers.asked == ["leaders of sd.inbox", "offsets"]


NO_LEADER = KafkaError.LEADER_NOT_AVAILABLE
UNKNOWN = KafkaError.UNKNOWN_TOPIC_OR_PART


@pytest.mark.parametrize(
    ("brokers", "part", "code"),
    [
        (Brokers(leader=-1), PART, NO_LEADER),
        (Brokers(), TopicPartition("sd.inbox", 5), NO_LEADER),
        (Brokers(error=KafkaError(UNKNOWN)), PART, UNKNOWN),
    ],
)
def test_without_leaders_no_offsets_are_asked_for(brokers: Brokers, part: TopicPartition, code: int) -> None:
    with pytest.raises(KafkaException) as caught:
        ends_of(brokers, KafkaSettings(), [part])  # type: ignore[arg-type]
    assert caught.value.args[0].code() == code
    assert "offsets" not in brokers.asked


@pytest.mark.real
async def test_an_administrator_follows_a_partition_to_its_next_leader(tmp_path: Path) -> None:
    with LocalKafka(tmp_path) as broker:
        settings = KafkaSettings(bootstrap=broker.bootstrap)
        part = TopicPartition("led", 0)
        admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic("led", 1, 1)])["led"].result()

        def asked() -> tuple[int, int] | None:
            try:
                return ends_of(admin, settings, [part])[part]
            except (KafkaException, TransientError):
                return None

        async def ends() -> tuple[int, int] | None:
            return await asyncio.to_thread(asked)

        assert await eventually(ends, "offsets at the first leader", seconds=20) == (0, 0)
        broker.stop()
        broker.start()
        assert await eventually(ends, "offsets at the next leader", seconds=20) == (0, 0)
