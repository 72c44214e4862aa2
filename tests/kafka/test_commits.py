"""Offsets are committed while records are read: a coordinator that does not answer holds up none."""

import asyncio
import secrets

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from proxy import Door
from waiting import eventually

from stream_durable.kafka.log import GroupLog
from stream_durable.local.kafka import LocalKafka
from stream_durable.ports import Assigned
from stream_durable.settings import KafkaSettings

pytestmark = pytest.mark.real

SECONDS = 60.0


def new_topic(broker: LocalKafka) -> str:
    name = f"commits-{secrets.token_hex(4)}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(SECONDS)
    return name


async def opened(door: Door, topic: str) -> GroupLog:
    """Return a log that reads the topic from its beginning."""
    log = GroupLog(
        KafkaSettings(bootstrap=door.bootstrap, replication=1), topic, topic, client="c", reset="earliest"
    )
    log.open()
    while not (isinstance(event := await log.next(), Assigned) and event.partitions):
        pass
    log.fetch(0, 0, -1)
    return log


async def read(log: GroupLog, count: int) -> list[bytes | None]:
    values: list[bytes | None] = []
    while len(values) < count:
        event = await log.next()
        if isinstance(event, list):
            values += [record.value for record in event]
    return values


def committed(broker: LocalKafka, topic: str) -> tuple[int, str | None]:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "log_level": 0, "group.id": topic})
    try:
        (part,) = consumer.committed([TopicPartition(topic, 0)], timeout=SECONDS)
        return part.offset, part.metadata
    finally:
        consumer.close()


async def test_a_commit_that_is_not_answered_holds_up_no_record(kafka_broker: LocalKafka) -> None:
    topic = new_topic(kafka_broker)
    producer = Producer({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
    stored: list[tuple[int, bool]] = []
    async with Door(kafka_broker.port).open() as door, asyncio.timeout(3 * SECONDS):
        log = await opened(door, topic)
        try:
            producer.produce(topic, b"0")
            assert await read(log, 1) == [b"0"]

            door.passes_commits.clear()
            for offset in (1, 2):
                log.commit([(0, offset, "m")], lambda ok, offset=offset: stored.append((offset, ok)))
            await eventually(_is_true(lambda: door.held), "a commit is under way", seconds=SECONDS)
            for number in range(1, 11):
                producer.produce(topic, str(number).encode())
            # Long before the client would give up waiting for an answer, which takes a minute.
            async with asyncio.timeout(30):
                assert await read(log, 10) == [str(number).encode() for number in range(1, 11)]
            assert stored == []

            door.passes_commits.set()
            await eventually(_is_true(lambda: len(stored) == 2), "both are stored", seconds=SECONDS)
        finally:
            door.passes_commits.set()
            await log.close()
    assert stored == [(1, True), (2, True)]
    assert committed(kafka_broker, topic) == (2, "m")


async def test_what_was_done_is_committed_before_the_log_is_closed(kafka_broker: LocalKafka) -> None:
    topic = new_topic(kafka_broker)
    async with Door(kafka_broker.port).open() as door, asyncio.timeout(3 * SECONDS):
        log = await opened(door, topic)
        log.commit([(0, 7, "a")], lambda _: None)
        log.commit([(0, 9, "b")], lambda _: None)
        await log.close()
    assert committed(kafka_broker, topic) == (9, "b")


def _is_true(look):  # type: ignore[no-untyped-def]
    async def now() -> bool:
        return bool(look())

    return now
