"""A revocation is answered once: a client that is closing ends with the first answer, and hears no second.

A client that stands still while it joins is replaced.
"""

import asyncio
import secrets

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream_durable.kafka import joining
from stream_durable.kafka import log as module
from stream_durable.kafka.log import GroupLog
from stream_durable.local.kafka import LocalKafka
from stream_durable.ports import Assigned, Revoked
from stream_durable.settings import KafkaSettings

pytestmark = pytest.mark.real

SECONDS = 60.0
PARTITIONS = 4
_ROUNDS = 8


def new_topic(broker: LocalKafka) -> str:
    name = f"leaving-{secrets.token_hex(4)}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(SECONDS)
    return name


def opened(broker: LocalKafka, topic: str) -> GroupLog:
    settings = KafkaSettings(bootstrap=broker.bootstrap, replication=1)
    log = GroupLog(settings, topic, topic, client="c", reset="earliest")
    log.open()
    return log


async def fetch(log: GroupLog) -> set[int]:
    """Fetch what the group gives first."""
    while not (isinstance(event := await log.next(), Assigned) and event.partitions):
        pass
    for partition in event.partitions:
        log.fetch(partition, 0, -1)
    return set(event.partitions)


async def test_a_revocation_is_answered_with_one_call(
    kafka_broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[set[int]] = []

    class Counted(Consumer):
        def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
            answers.append({part.partition for part in partitions})
            super().incremental_unassign(partitions)

    monkeypatch.setattr(module, "Consumer", Counted)
    topic = new_topic(kafka_broker)
    async with asyncio.timeout(2 * SECONDS):
        first = opened(kafka_broker, topic)
        assert await fetch(first) == {*range(PARTITIONS)}
        second = opened(kafka_broker, topic)
        taking = asyncio.create_task(fetch(second))
        while not isinstance(event := await first.next(), Revoked):
            pass
        going_on = asyncio.create_task(first.next())
        moved = await taking
        assert moved == set(event.partitions)
        assert answers == [moved]

        await second.close()
        going_on.cancel()
        await first.close()

    assert answers[0] == moved
    assert sorted(map(sorted, answers[1:])) == sorted([sorted(moved), sorted({*range(PARTITIONS)} - moved)])


async def test_members_that_close_during_a_revocation_close_every_time(kafka_broker: LocalKafka) -> None:
    """One closes while the group takes partitions away, the other while the group gives them."""
    topic = new_topic(kafka_broker)
    async with asyncio.timeout(4 * SECONDS):
        for _ in range(_ROUNDS):
            first = opened(kafka_broker, topic)
            assert await fetch(first) == {*range(PARTITIONS)}
            second = opened(kafka_broker, topic)
            while not isinstance(await first.next(), Revoked):
                pass

            await asyncio.gather(first.close(), second.close())

            assert not first._thread.is_alive()
            assert not second._thread.is_alive()


async def test_a_client_that_never_joins_is_replaced(
    kafka_broker: LocalKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Consumer] = []

    class FirstStandsStill(Consumer):
        def subscribe(self, topics: list[str], **moves: object) -> None:
            made.append(self)
            if len(made) > 1:
                super().subscribe(topics, **moves)

    monkeypatch.setattr(module, "Consumer", FirstStandsStill)
    monkeypatch.setattr(joining, "JOIN_SECONDS", 12.0)
    log = opened(kafka_broker, new_topic(kafka_broker))
    async with asyncio.timeout(2 * SECONDS):
        assert await fetch(log) == {*range(PARTITIONS)}
        assert len(made) == 2
        await log.close()
    assert not log._thread.is_alive()


async def test_a_member_without_partitions_is_given_its_empty_share(kafka_broker: LocalKafka) -> None:
    topic = new_topic(kafka_broker)
    logs = [opened(kafka_broker, topic) for _ in range(PARTITIONS + 1)]

    async def joined(log: GroupLog) -> None:
        while not isinstance(await log.next(), Assigned):
            pass

    async with asyncio.timeout(2 * SECONDS):
        await asyncio.gather(*map(joined, logs))
        assert not any(log._joining._since for log in logs)
        await asyncio.gather(*(log.close() for log in logs))
