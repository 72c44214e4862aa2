"""Records on the definitions topic that are none: every process leaves them out, says so, and goes on."""

import asyncio
import json
import logging
from typing import Any

import pytest
from confluent_kafka import Producer
from instances import running, settings_of

from stream_durable import App, Workflow, connecting
from stream_durable.core.definition.nodes import encode_definition, fingerprint_of
from stream_durable.core.definition.reading import definition_key
from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

orders = Workflow("order")


@orders.step
async def ship(input: object) -> object:  # noqa: A002 - the word for it everywhere
    return input


app = App("shop", workflows=[orders])

GARBAGE = [
    b"\xff\xfe not text",
    b"[" * 100_000,
    b'{"name":"order","nodes":[{"kind":"step","name":"a","timeout_ms":' + str(10**30).encode() + b"}]}",
    b'{"name":"order","nodes":[{"kind":"step","name":"a","after":["nobody"]}]}',
    b"null",
]


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


async def spoil(settings: Settings) -> int:
    """Put garbage on the topic, some of it under a key that is right; return how many records it is."""
    await Topics(settings, settings.worker.queues).apply()
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
    records: list[tuple[bytes, bytes | None]] = [
        (key, value) for value in GARBAGE for key in (b"x", definition_key("order", fingerprint_of(value)))
    ]
    stolen = json.loads(encode_definition(orders.definition())) | {"name": "other"}
    records.append((definition_key("order", orders.fingerprint), json.dumps(stolen).encode()))
    for key, value in [*records, (b"order/gone", None)]:
        producer.produce(f"{settings.prefix}.definitions", value, key, 0)
    assert not await asyncio.to_thread(producer.flush, 30)
    return len(records)


async def test_no_record_of_a_definition_stops_anybody(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "stream_durable")
    count = await spoil(settings)

    async with running(settings, app) as instance:
        started = await instance.client.start(orders, {"n": 1})
        output: Any = await started.result(timeout="90s")
        await instance.emit(b'{"start":"order","id":"outside","input":2}', key="outside")
        run = await instance.begun("outside")
        assert (output, await run.result(timeout="90s")) == ({"n": 1}, 2)
        # A client that comes later reads all of it as well.
        async with connecting.client(settings) as late:
            assert await (await late.start("order", 3)).result(timeout="90s") == 3
        rendered = instance.metrics.render().decode()

    said = [r for r in caplog.records if "definition.rejected" in r.getMessage()]
    offsets = {r.msg["offset"] for r in said if isinstance(r.msg, dict)}
    assert len(offsets) == count
    (counted,) = [
        line for line in rendered.splitlines() if line.startswith("stream_durable_definitions_rejected_total")
    ]
    # The reconciler, the ingress and the worker share these metrics, and each has said it once.
    assert float(counted.split()[-1]) >= 2 * count
