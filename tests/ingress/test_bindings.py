"""Bindings of a whole instance: raw producers, a registry, a topic that comes later, a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import BytesIO
from secrets import token_hex
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from fastavro import parse_schema, schemaless_writer
from instances import SECONDS, Instance, running, settings_of
from registry import Registry, serving

from stream_durable import App, Context, Workflow
from stream_durable.client import BindingState
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.process import free_ports
from stream_durable.sdk.topic import Topic
from stream_durable.services.doctor.looking import examine
from stream_durable.settings import Settings
from stream_durable.wire.foreign import framed

pytestmark = pytest.mark.real

SCHEMA = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


def shop(topic: str, *also: Workflow, schema: Any = None, **options: Any) -> App:
    flow = Workflow("order")
    flow.add("take", lambda order: order["id"])
    app = App("shop", workflows=[flow, *also])
    bound = app.topic(topic) if schema is None else app.topic(topic, format="avro", schema=schema)
    app.on(bound, start=flow, id="id", name="orders", **options)
    return app


def make(settings: Settings, topic: str, partitions: int = 3) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(SECONDS)


def produce(settings: Settings, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(SECONDS) == 0


def avro(number: int, value: Any) -> bytes:
    body = BytesIO()
    schemaless_writer(body, parse_schema(SCHEMA), value)
    return framed(number, body.getvalue())


async def until(instance: Instance, is_so: Callable[[BindingState], bool]) -> BindingState:
    """Wait for a state of the binding."""
    async with asyncio.timeout(SECONDS):
        while True:
            found = [one for one in await instance.client.bindings() if is_so(one)]
            if found:
                return found[0]


async def test_a_missing_topic_is_named_and_read_from_its_first_record_once_it_is_there(
    settings: Settings,
) -> None:
    topic = f"later-{token_hex(4)}"
    async with running(settings, shop(topic)) as instance:
        state = await until(instance, lambda one: bool(one.trouble))
        assert f"`stream-durable topics make {topic}`" in state.trouble and state.lag is None
        _, faults = await examine(settings)
        [fault] = [one for one in faults if one.check == "bindings"]
        assert fault.cause == f"reads nothing: there is no topic '{topic}'"
        assert f"`stream-durable topics make {topic}`" in fault.remedy
        # The events topic is served meanwhile.
        await instance.emit({"start": "order", "id": "other", "input": {"id": "x"}})
        await (await instance.begun("other")).result(timeout="90s")

        await asyncio.to_thread(make, settings, topic)
        await asyncio.to_thread(produce, settings, topic, *(b'{"id":"r%d"}' % n for n in range(30)))
        for n in range(30):
            assert await (await instance.begun(f"r{n}")).result(timeout="90s") == f"r{n}"
        state = await until(instance, lambda one: one.lag == 0)
        assert len(state.partitions) == 3 and sum(one.end for one in state.partitions) == 30


async def test_a_position_outlives_the_instance(settings: Settings) -> None:
    topic = f"orders-{token_hex(4)}"
    make(settings, topic, 1)
    async with running(settings, shop(topic, since="earliest")) as instance:
        produce(settings, topic, b'{"id":"a"}', b"garbage")
        await (await instance.begun("a")).result(timeout="90s")
        await until(instance, lambda one: one.lag == 0)
        [letter] = await instance.dead_letters(1)
        assert letter.reason.startswith("binding 'orders': the value is not JSON")
        assert letter.headers["sd_topic"] == f":{topic}".encode()
    produce(settings, topic, b'{"id":"b"}')
    async with running(settings, shop(topic, since="earliest")) as instance:
        assert await (await instance.begun("b")).result(timeout="90s") == "b"
        state = await until(instance, lambda one: one.lag == 0)
        assert (state.bad_records, state.partitions[0].position) == (1, 3)
        assert (await instance.client.count()).found == 2


async def test_a_registry_that_is_away_holds_its_binding_until_it_is_back(settings: Settings) -> None:
    topic, [port] = f"avro-{token_hex(4)}", free_ports(1)
    make(settings, topic)
    settings = settings.override({"registry.url": f"http://127.0.0.1:{port}"})
    async with running(settings, shop(topic, schema=SCHEMA, since="earliest")) as instance:
        produce(settings, topic, avro(1, {"id": "a"}), avro(2, {"id": "b"}), avro(1, {"id": "c"}))
        await instance.emit({"start": "order", "id": "other", "input": {"id": "x"}})
        await (await instance.begun("other")).result(timeout="90s")
        registry = Registry(port)
        try:
            registry.add("orders-value", SCHEMA)
            for name in ("a", "c"):
                assert await (await instance.begun(name)).result(timeout="90s") == name
            [letter] = await instance.dead_letters(1)
            assert letter.code == "unknown_schema" and "has no schema 2" in letter.reason
        finally:
            registry.close()


async def test_steps_write_with_the_registry_and_bindings_read_what_they_wrote(settings: Settings) -> None:
    topic = f"emitted-{token_hex(4)}"
    make(settings, topic)
    with serving() as registry:
        settings = settings.override({"registry.url": registry.url})
        seller = Workflow("seller")
        parcels: Topic[Any] = Topic(topic, format="avro", schema=SCHEMA)

        @seller.step
        def sell(ctx: Context) -> None:
            ctx.emit(parcels, key="k", value={"id": "sold"})

        async with running(settings, shop(topic, seller, schema=SCHEMA)) as instance:
            await instance.client.start(seller, id="s")
            assert await (await instance.begun("sold")).result(timeout="90s") == "sold"
        assert list(registry.subjects) == [f"{topic}-value"]
