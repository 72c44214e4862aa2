"""Stream processors within a whole instance: a user's topic turned into runs, our topics read."""

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from instances import SECONDS, Instance, running, settings_of
from pydantic import BaseModel

from stream_durable import App, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import Settings
from stream_durable.streams import Outcome, Publish, Signal, Start, StreamApp

pytestmark = pytest.mark.real


class Placed(BaseModel):
    id: str
    total: int


orders = Workflow("order", input=Placed)


@orders.step
async def charge(order: Placed) -> int:
    return order.total


payments = Workflow("payment")
paid = payments.wait_event("paid", "payment.captured", key="input.id")
released = payments.wait_signal("released", after=paid)


@payments.step
async def ship(paid: object, released: object) -> list[object]:
    return [paid, released]


app = App("shop", workflows=[orders, payments])


class Topic:
    """A topic of the user's, written by any program."""

    def __init__(self, settings: Settings) -> None:
        self.name = f"{settings.prefix}_orders"
        self.admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
        self._producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
        [made] = self.admin.create_topics([NewTopic(self.name, 1, 1)]).values()
        made.result(SECONDS)

    async def put(self, *values: bytes | None) -> None:
        for value in values:
            self._producer.produce(self.name, value, b"k", headers=[("h", b"1")])
        assert not await asyncio.to_thread(self._producer.flush, SECONDS)

    async def rewind(self, group: str) -> None:
        """Have a group that nobody is in take everything again."""
        start = [TopicPartition(self.name, 0, 0)]
        [done] = self.admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, start)]
        ).values()
        await asyncio.to_thread(done.result, SECONDS)


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


@pytest.fixture
def topic(settings: Settings) -> Topic:
    return Topic(settings)


@pytest.fixture
async def instance(settings: Settings) -> AsyncIterator[Instance]:
    async with running(settings, app) as found:
        for definition in app.definitions():
            await found.ports.catalogue.register(definition)
        yield found


def streams_of(settings: Settings, topic: Topic, turn: Callable[[Placed], Any]) -> StreamApp:
    streams = StreamApp("shop", settings=settings)
    streams.turns(topic.name, value=Placed)(turn)
    return streams


def about(run: str, messages: list[Message]) -> list[Message]:
    return [message for message in messages if message.key() == run.encode()]


async def test_a_record_turns_into_a_run(settings: Settings, instance: Instance, topic: Topic) -> None:
    def place(message: Placed) -> Start | None:
        return Start(orders, message, id=message.id) if message.total else None

    async with streams_of(settings, topic, place).running():
        await topic.put(b'{"id":"free","total":0}', b'{"id":"o1","total":7}')
        run = await instance.begun("o1")
        assert await run.result(timeout="90s") == 7

    [record] = await instance.records("events", lambda found: len(found) == 1)
    assert record.key() == b"o1"


async def test_a_topic_that_is_not_there_is_named_with_how_to_make_it(
    settings: Settings, instance: Instance
) -> None:
    await _start_without_topic(settings)
    # Faust has made a consumer with a loop of its own, and never closes it: not while another test runs.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


async def _start_without_topic(settings: Settings) -> None:
    streams = StreamApp("shop", settings=settings)

    @streams.turns("no_such_topic", value=Placed)
    def place(message: Placed) -> None:
        """Turn into nothing."""

    with pytest.raises(RejectedError, match="no topic no_such_topic: `stream-durable topics make no_such_"):
        async with streams.running():
            pass


async def test_one_message_is_an_event_and_a_signal(
    settings: Settings, instance: Instance, topic: Topic
) -> None:
    async def pay(message: Placed) -> Outcome:
        return [
            Publish("payment.captured", key=message.id, data={"amount": message.total}),
            Signal("p1", "released", message),
        ]

    run = await instance.client.start(payments, {"id": "42"}, id="p1")
    async with streams_of(settings, topic, pay).running():
        await topic.put(b'{"id":"42","total":9}')
        assert await run.result(timeout="90s") == [{"amount": 9}, {"id": "42", "total": 9}]


async def test_a_record_that_is_taken_again_changes_nothing(
    settings: Settings, instance: Instance, topic: Topic
) -> None:
    def place(message: Placed) -> Start:
        return Start("order", message)  # named by the record, for want of an id

    await topic.put(b'{"id":"o1","total":7}')
    async with streams_of(settings, topic, place).running():
        [first] = await instance.records("events", lambda found: len(found) == 1)
    await topic.rewind(f"{settings.prefix}.streams.shop")
    async with streams_of(settings, topic, place).running():
        _, again = await instance.records("events", lambda found: len(found) == 2)
    assert again.value() == first.value()

    # What comes after it on its partition has been taken, so it has been, too.
    await instance.emit(
        {"start": "order", "id": "last", "input": {"id": "", "total": 1}}, partition=again.partition()
    )
    await (await instance.begun("last")).result(timeout="90s")
    name = (first.key() or b"").decode()
    await instance.client.signal(name, "unheard")
    said = await instance.records("runs", lambda found: len(about("last", found)) == 2)

    assert await instance.client.run(name).result(timeout="90s") == 7
    assert {m.key() for m in said} == {b"last", name.encode()}
    assert len(about(name, said)) == 2  # started and completed, once


async def test_a_stop_in_the_middle_of_a_message_does_not_lose_it(
    settings: Settings, instance: Instance, topic: Topic
) -> None:
    begun = asyncio.Event()

    async def stuck(message: Placed) -> Start:
        begun.set()
        await asyncio.Event().wait()
        return Start(orders, message, id=message.id)

    async def well(message: Placed) -> Start:
        return Start(orders, message, id=message.id)

    await topic.put(b'{"id":"o1","total":7}')
    async with asyncio.timeout(SECONDS), streams_of(settings, topic, stuck).running():
        await begun.wait()
    async with streams_of(settings, topic, well).running():
        run = await instance.begun("o1")
        assert await run.result(timeout="90s") == 7


async def test_bad_messages_go_to_the_dead_letters_and_the_next_one_is_taken(
    settings: Settings, instance: Instance, topic: Topic
) -> None:
    def place(message: Placed) -> Any:
        if message.total < 0:
            raise ArithmeticError("negative")
        return Publish("no name", key=1) if message.total == 1 else Start(orders, message, id=message.id)

    async with streams_of(settings, topic, place).running():
        await topic.put(
            b'{"id":"secret"}',
            b"{",
            None,
            b'{"id":"o0","total":-1}',
            b'{"id":"o0","total":1}',
            b'{"id":"o1","total":7}',
        )
        run = await instance.begun("o1")
        assert await run.result(timeout="90s") == 7

    letters = await instance.dead_letters(5)
    assert [letter.code for letter in letters] == [
        "invalid", "unreadable", "unreadable", "turn_raised", "bad_name",
    ]  # fmt: skip
    first = letters[0]
    assert "total" in first.reason
    assert "secret" not in first.reason
    assert (first.key, first.value, first.headers["h"]) == (b"k", b'{"id":"secret"}', b"1")
    assert (first.headers["sd_topic"], first.headers["sd_offset"]) == (b"stream:" + topic.name.encode(), b"0")
    assert [letter.headers["sd_offset"] for letter in letters] == [b"0", b"1", b"2", b"3", b"4"]


async def test_the_lifecycle_topics_are_typed_streams(settings: Settings, instance: Instance) -> None:
    streams = StreamApp("audit", settings=settings)
    seen: asyncio.Queue[StepEvent | RunEvent] = asyncio.Queue()

    @streams.agent(streams.steps)
    async def steps(events: Any) -> None:
        async for event in events.filter(lambda event: event.type == "step.completed"):
            seen.put_nowait(event)

    @streams.agent(streams.runs)
    async def runs(events: Any) -> None:
        async for event in events:
            seen.put_nowait(event)

    await instance.client.start(orders, Placed(id="o1", total=7), id="o1")
    async with asyncio.timeout(SECONDS), streams.running():
        found = [await seen.get() for _ in range(3)]

    [step] = [event for event in found if isinstance(event, StepEvent)]
    assert (step.type, step.run, step.step, step.output) == ("step.completed", "o1", "charge", b"7")
    assert [e.type for e in found if isinstance(e, RunEvent)] == ["run.started", "run.completed"]
