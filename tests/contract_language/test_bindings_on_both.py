"""Bindings: in memory and on Postgres and Kafka."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import pytest
from protobufs import message_class
from pydantic import BaseModel
from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.sdk.topic import Topic
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


class Order(BaseModel):
    id: str


def shop(topic: Topic[Any], **options: Any) -> App:
    flow = Workflow("order", input=Order)

    @flow.step
    def take(order: Order) -> str:
        return order.id

    app = App("shop", workflows=[flow])
    app.on(topic, start=flow, id="id", name="orders", **options)
    return app


def runs(engine: Engine) -> set[str]:
    assert {run.status for run in engine.runs} <= {"completed"}
    return {run.id for run in engine.runs}


@pytest.mark.parametrize("written", ["json", "avro", "protobuf"])
async def test_records_start_runs_once_through_pauses_repeats_and_replays(
    engine: Engine, written: Any
) -> None:
    made: Any = message_class() if written == "protobuf" else Order
    topic = Topic(f"orders-{token_hex(4)}", made, written)
    taken = {"id": "id"} if written == "protobuf" else ""
    await engine.deliver(topic, made(id="before"))
    await engine.advance("1s")
    await engine.deploy_app(shop(topic, input=taken))
    await engine.deliver(topic, made(id="a"), key="k")
    await engine.deliver(topic, b"\xff", key="k")
    await engine.deliver(topic, made(id="b"), key="k")
    await engine.until_idle()
    assert runs(engine) == {"a", "b"}
    state = await engine.binding("orders")
    assert (state.lag, state.bad_records, state.trouble, state.stopped) == (0, 1, "", "")

    await engine.pause_binding("orders", "enough")
    await engine.deliver(topic, made(id="c"), key="k")
    await engine.until_idle()
    assert runs(engine) == {"a", "b"} and (await engine.binding("orders")).lag == 1
    await engine.resume_binding("orders")
    await engine.until_idle()
    assert runs(engine) == {"a", "b", "c"}

    preview = await engine.replay_binding("orders", 0, preview=True)
    assert (preview.records, preview.matched, preview.bad) == (5, 5, 1)
    for _ in range(2):
        await engine.replay_binding("orders", 0, pace="1ms")
    await engine.until_idle()
    assert runs(engine) == {"before", "a", "b", "c"}


async def test_a_partition_stops_at_a_bad_record_and_goes_on_when_it_can_be_taken(engine: Engine) -> None:
    topic = Topic(f"orders-{token_hex(4)}")
    await engine.deploy_app(shop(topic, bad="stop", input={"id": "name"}))
    await engine.deliver(topic, {"id": "a", "name": "a"}, key="k")
    await engine.deliver(topic, {"id": "b"}, key="k")
    await engine.deliver(topic, {"id": "c", "name": "c"}, key="k")
    await engine.until_idle()
    state = await engine.binding("orders")
    assert runs(engine) == {"a"} and state.lag == 2 and "path_missing" in state.stopped

    await engine.deploy_app(shop(topic, bad="stop"))
    await engine.until_idle()
    assert runs(engine) == {"a", "b", "c"} and (await engine.binding("orders")).stopped == ""


async def test_a_partition_goes_past_a_record_that_a_person_skips(engine: Engine) -> None:
    topic = Topic(f"orders-{token_hex(4)}")
    await engine.deploy_app(shop(topic, bad="stop"))
    for value in (b"garbage", {"id": "a"}, b"rubbish", {"id": "b"}):
        await engine.deliver(topic, value, key="k")
    await engine.until_idle()

    async def stands(*, past: int) -> int:
        async def look() -> list[int]:
            places = (await engine.binding("orders")).partitions
            return [each.position or 0 for each in places if each.stopped and (each.position or 0) > past]

        [offset] = await eventually(look, f"the binding stands behind offset {past}", seconds=30)
        await engine.until_idle()
        return offset

    first = await stands(past=-1)
    assert runs(engine) == set()
    skipped = await engine.skip_record("orders", offset=first, reason="a test")
    assert skipped.is_ordered
    second = await stands(past=first)
    assert second == first + 2 and runs(engine) == {"a"}
    assert not (await engine.skip_record("orders", skipped.partition, first)).is_ordered
    await engine.skip_record("orders", skipped.partition, second)
    await engine.until_idle()
    assert runs(engine) == {"a", "b"}
    state = await engine.binding("orders")
    assert (state.lag, state.bad_records, state.stopped) == (0, 2, "")
