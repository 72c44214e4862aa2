"""What brokers really do with what they do not take, and what becomes of the neighbours."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.local.kafka import LocalKafka
from stream_durable.ports import Outgoing, Refusal
from stream_durable.settings import KafkaSettings

pytestmark = pytest.mark.real

SECONDS = 60.0


def settings_of(kafka: LocalKafka) -> KafkaSettings:
    return KafkaSettings(bootstrap=kafka.bootstrap, partitions=2)


async def made(kafka: LocalKafka, *topics: NewTopic) -> AdminClient:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for made in admin.create_topics(list(topics)).values():
        await asyncio.to_thread(made.result)
    return admin


@asynccontextmanager
async def publishing(
    kafka: LocalKafka, prefix: str, *, serves: bool = False
) -> AsyncIterator[KafkaPublisher]:
    publisher = KafkaPublisher(settings_of(kafka), prefix, client="test", serves=serves)
    try:
        async with asyncio.timeout(SECONDS):
            yield publisher
    finally:
        await publisher.close()


async def values(kafka: LocalKafka, topic: str, partition: int, count: int) -> list[bytes]:
    def read() -> list[Message]:
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "group.id": "unused"})
        try:
            consumer.assign([TopicPartition(topic, partition, 0)])
            return [m for _ in range(count) if (m := consumer.poll(SECONDS)) is not None]
        finally:
            consumer.close()

    return [message.value() or b"" for message in await asyncio.to_thread(read)]


async def test_one_that_is_too_large_costs_its_neighbours_neither_their_place_nor_a_repeat(
    kafka_broker: LocalKafka, prefix: str
) -> None:
    await made(kafka_broker, NewTopic(f"{prefix}.runs", 2, 1, config={"max.message.bytes": "20000"}))
    small = [b"%d" % n for n in range(400)]
    async with publishing(kafka_broker, prefix) as publisher:
        messages = [(Outgoing("runs", 0, b"k", value), None) for value in small]
        for at in (3, 50, 51, 200):
            messages.insert(at, (Outgoing("runs", 0, b"k", b"x" * 30_000), None))
        later = [(Outgoing("runs", 0, b"k", b"later %d" % n), None) for n in range(20)]

        burst = asyncio.ensure_future(publisher.publish(messages))
        await asyncio.sleep(0)
        refusals, none = await asyncio.gather(burst, publisher.publish(later))

    assert [(r.at, r.code) for r in refusals] == [(at, "too_large") for at in (3, 50, 51, 200)]
    assert none == []
    found = await values(kafka_broker, f"{prefix}.runs", 0, 420)
    assert found == small + [b"later %d" % n for n in range(20)]


async def test_small_messages_that_are_too_much_for_a_batch_arrive_once_and_then_in_order(
    kafka_broker: LocalKafka, prefix: str
) -> None:
    await made(kafka_broker, NewTopic(f"{prefix}.runs", 1, 1, config={"max.message.bytes": "5000"}))
    first, then = ([b"%4d" % n * 100 for n in range(begin, begin + 1_000)] for begin in (0, 2_000))
    async with publishing(kafka_broker, prefix) as publisher:
        for burst in (first, then):
            messages = [(Outgoing("runs", 0, b"k", value), None) for value in burst]
            assert await publisher.publish(messages) == []

    found = await values(kafka_broker, f"{prefix}.runs", 0, 2_000)
    # The topic's limit is learnt by the first refusal, whose neighbours may overtake in a process held up.
    assert sorted(found[:1_000]) == first
    assert found[1_000:] == then


async def test_a_topic_that_is_deleted_is_refused_for_queues_and_waited_for_where_we_cannot_do_without(
    kafka_broker: LocalKafka, prefix: str
) -> None:
    queue, runs, steps = f"{prefix}.commands.gone", f"{prefix}.runs", f"{prefix}.steps"
    admin = await made(kafka_broker, NewTopic(queue, 1, 1), NewTopic(runs, 1, 1), NewTopic(steps, 1, 1))
    async with publishing(kafka_broker, prefix, serves=True) as publisher:
        first = [(Outgoing(name, 0, b"k", b"1"), None) for name in ("commands.gone", "runs", "steps")]
        assert await publisher.publish(first) == []
        for deleted in admin.delete_topics([queue, runs]).values():
            await asyncio.to_thread(deleted.result)

        started = asyncio.get_running_loop().time()
        refused = asyncio.ensure_future(publisher.publish([(Outgoing("commands.gone", 0, b"k", b"2"), None)]))
        waiting = asyncio.ensure_future(
            publisher.publish([(Outgoing("runs", 0, b"k", b"%d" % n), None) for n in (2, 3)])
        )
        other = asyncio.ensure_future(publisher.publish([(Outgoing("steps", 0, b"k", b"2"), None)]))

        assert await other == []
        assert asyncio.get_running_loop().time() - started < 4.0, "neighbours wait for what is missing"
        [refusal] = await refused
        assert (refusal.at, refusal.code) == (0, "no_topic")
        assert not waiting.done()

        await made(kafka_broker, NewTopic(runs, 1, 1))
        assert await waiting == []
    assert await values(kafka_broker, runs, 0, 2) == [b"2", b"3"]


async def test_what_even_the_client_does_not_take_is_refused(kafka_broker: LocalKafka, prefix: str) -> None:
    await made(kafka_broker, NewTopic(f"{prefix}.dead", 1, 1, config={"max.message.bytes": "10000000"}))
    async with publishing(kafka_broker, prefix) as publisher:
        messages = [
            (Outgoing("dead", 0, None, b"x" * 12_000_000), None),
            (Outgoing("dead", 0, None, b"y"), None),
        ]
        refusals = await publisher.publish(messages)

    assert [type(refusal) for refusal in refusals] == [Refusal]
    assert refusals[0].at == 0
    assert await values(kafka_broker, f"{prefix}.dead", 0, 1) == [b"y"]
