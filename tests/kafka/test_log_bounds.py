"""What is made of the answers to a question for a partition's offsets."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from waiting import eventually

from stream_durable.core.errors import TransientError
from stream_durable.kafka.bounds import ends_of
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import KafkaSettings

PART = TopicPartition("sd.inbox", 4)


class Answer:
    def __init__(self, offset: int) -> None:
        self.offset = offset


class Brokers:
    """Answers as brokers have answered: the first offset, then the next one."""

    def __init__(self, *offsets: int) -> None:
        self._offsets = list(offsets)

    def list_offsets(self, asked: dict[TopicPartition, Any], *, request_timeout: float) -> dict[Any, Any]:
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


class Forgetful(Brokers):
    """A client that has learned from a starting broker that a topic has no leaders, and keeps to that."""

    def __init__(self, *offsets: int) -> None:
        super().__init__(*offsets)
        self._has_looked = False

    def list_offsets(self, asked: dict[TopicPartition, Any], *, request_timeout: float) -> dict[Any, Any]:
        if self._has_looked:
            return super().list_offsets(asked, request_timeout=request_timeout)
        future = Future[Answer]()
        future.set_exception(KafkaException(KafkaError(KafkaError._NOENT, "No leaders found")))
        return dict.fromkeys(asked, future)

    def list_topics(self, topic: str, *, timeout: float) -> None:
        self._has_looked = topic == PART.topic


def test_a_client_that_knows_no_leader_looks_for_one() -> None:
    assert ends_of(Forgetful(7, 407), KafkaSettings(), [PART])[PART] == (7, 407)  # type: ignore[arg-type]


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
