"""What steps emit reaches topics of others, on a real Kafka; what these refuse is kept with the step."""

import asyncio

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from instances import SECONDS, running, settings_of

from stream_durable import App, Context, Workflow
from stream_durable.client import RunHandle, StepState
from stream_durable.local.kafka import LocalKafka

pytestmark = pytest.mark.real

RECORDS = 50


def emitting(prefix: str) -> Workflow:
    flow = Workflow("emitting")

    @flow.step
    def tell(ctx: Context) -> str:
        for n in range(RECORDS):
            ctx.emit(f"{prefix}-told", key="one", value=n)
        ctx.emit(f"{prefix}-nowhere", value="lost")
        ctx.emit(f"{prefix}-told", key="one", value="x" * 30_000)
        ctx.emit(f"{prefix}-told", key="one", value="last")
        return "told"

    return flow


async def refused_twice(run: RunHandle[object]) -> StepState:
    while True:
        step = (await run.state()).steps["tell"]
        if len(step.refused) == 2:
            return step
        await asyncio.sleep(0.1)


def read(kafka: LocalKafka, topic: str, count: int) -> list[tuple[bytes | None, dict[str, bytes]]]:
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "log_level": 0, "group.id": "unused"})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = [m for _ in range(count) if (m := consumer.poll(SECONDS)) is not None]
        return [(m.value(), {name: value or b"" for name, value in m.headers() or ()}) for m in found]
    finally:
        consumer.close()


async def test_records_arrive_in_order_and_refusals_are_told_to_the_run(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix)
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap, "log_level": 0})
    new = NewTopic(f"{prefix}-told", 1, 1, config={"max.message.bytes": "20000"})
    for made in admin.create_topics([new]).values():
        await asyncio.to_thread(made.result)
    flow = emitting(prefix)
    async with running(settings, App("emitting", workflows=[flow])) as instance, asyncio.timeout(SECONDS):
        run = await instance.client.start(flow, id="run-1")
        assert await run.result() == "told"
        step = await refused_twice(run)
    found = await asyncio.to_thread(read, kafka_broker, f"{prefix}-told", RECORDS + 1)

    assert [value for value, _ in found] == [*(b"%d" % n for n in range(RECORDS)), b'"last"']
    assert [h["sd-id"] for _, h in found][:2] == [b"run-1//tell/1/1", b"run-1//tell/1/2"]
    assert {(r.code, r.topic) for r in step.refused} == {
        ("no_topic", f"{prefix}-nowhere"), ("too_large", f"{prefix}-told"),
    }  # fmt: skip
