"""B11: what a step sends to the world leaves with its result, in order, once, and not at all if it failed."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Any

import msgspec
import pytest
from fastavro import parse_schema, schemaless_reader
from pydantic import BaseModel

from stream_durable import App, Context, Expand, Fail, Finish, Jump, Retry, Skip, Snooze, Workflow
from stream_durable.sdk.topic import Topic, TopicError
from stream_durable.testing import Engine
from stream_durable.testing.virtual import VirtualBackend


class Parcel(BaseModel):
    id: int
    to: str
    weight: float | None = None
    tags: list[str] = []


PARCELS = Topic("shop.parcels", Parcel)


def values(engine: Engine, topic: str) -> list[Any]:
    return [msgspec.json.decode(record.value or b"null") for record in engine.emitted(topic)]


async def test_records_leave_in_order_with_ids_made_of_run_step_and_attempt(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def ship(ctx: Context) -> str:
        for n in range(3):
            ctx.emit(PARCELS, key=ctx.run_id, value=Parcel(id=n, to="ann"))
        ctx.emit("shop.audit", value={"done": True})
        return "shipped"

    run = await engine.start(flow, id="order-1")
    await engine.until_idle()

    assert run.output == "shipped"
    records = engine.emitted("shop.parcels")
    assert [msgspec.json.decode(r.value or b"")["id"] for r in records] == [0, 1, 2]
    assert {r.key for r in records} == {b"order-1"}
    headers = dict(records[1].headers or ())
    assert headers["sd-id"] == b"order-1//ship/1/2"
    assert (headers["sd-run"], headers["sd-step"], headers["content-type"]) == (
        b"order-1", b"ship", b"application/json",
    )  # fmt: skip
    assert values(engine, "shop.audit") == [{"done": True}]


async def test_what_a_failed_attempt_emitted_never_leaves(engine: Engine) -> None:
    flow = Workflow("order", retry=Retry(3, base="1s"))

    @flow.step
    def ship(ctx: Context) -> None:
        ctx.emit(PARCELS, key=1, value=Parcel(id=ctx.attempt, to="ann"))
        if ctx.attempt < 3:
            raise Fail("busy", "not yet")

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("ship").attempts == 3
    assert [value["id"] for value in values(engine, "shop.parcels")] == [3]


async def test_what_does_not_fit_into_the_context_keeps_the_emissions_back(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("first", lambda ctx: ctx.put("n", 1))

    @flow.step(after="first")
    def left(ctx: Context) -> None:
        ctx.increment("n")
        ctx.emit("shop.audit", value="left")

    @flow.step(after="first")
    def right(ctx: Context) -> None:
        ctx.put("n", "text")
        ctx.emit("shop.audit", value="right")

    run = await engine.start(flow)
    await engine.until_idle()
    failed = [name for name in ("left", "right") if run.step(name).status == "failed"]
    assert set(values(engine, "shop.audit")) == {"left", "right"} - set(failed)


@pytest.mark.parametrize(
    ("answer", "times"),
    [(Skip("enough"), 1), (Finish("now"), 1), (Jump("last"), 1), (Expand([]), 1), (Snooze("5s"), 1)],
    ids=lambda value: type(value).__name__,
)
async def test_each_answer_lets_them_leave_once(engine: Engine, answer: Any, times: int) -> None:
    flow = Workflow("order")
    calls = []

    @flow.step
    def first(ctx: Context) -> Any:
        ctx.emit("shop.audit", value=1)
        calls.append(ctx.attempt)
        return "awake" if isinstance(answer, Snooze) and len(calls) > 1 else answer

    flow.add("last", lambda: None, after="first")
    run = await engine.start(flow)
    await engine.advance("6s")
    assert run.status == "completed", run.table
    assert len(engine.emitted("shop.audit")) == times
    assert len(calls) == 1 + isinstance(answer, Snooze)


async def test_a_result_that_comes_twice_or_late_emits_nothing_more(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("ship", lambda ctx: ctx.emit("shop.audit", value=ctx.attempt))
    engine.crash_after("ship")
    await engine.start(flow)
    engine.redeliver()
    await engine.until_idle()
    assert len({dict(r.headers or ())["sd-id"] for r in engine.emitted("shop.audit")}) == 1


async def test_an_event_wakes_other_runs(engine: Engine) -> None:
    waiting = Workflow("waiting")
    waiting.wait_event("paid", "order.paid", key="input")
    paying = Workflow("paying")
    paying.add("pay", lambda ctx: ctx.publish("order.paid", key=42, data={"by": ctx.run_id}))

    run = await engine.start(waiting, "42")
    await engine.until_waiting(run)
    await engine.start(paying, id="pay-1")
    await engine.until_idle()
    assert run.step("paid").output == {"by": "pay-1"}


async def test_a_signal_reaches_another_run(engine: Engine) -> None:
    waiting = Workflow("waiting")
    waiting.wait_signal("go", "released")
    sending = Workflow("sending")
    sending.add("send", lambda ctx: [ctx.signal("order-1", "released", n) for n in (1, 2)] and None)

    run = await engine.start(waiting, id="order-1")
    await engine.start(sending)
    await engine.until_idle()
    assert run.output == 1


async def test_a_run_is_started_and_left(engine: Engine) -> None:
    child = Workflow("thanks", input=Parcel)
    child.add("say", lambda parcel: f"thanks, {parcel.to}")
    flow = Workflow("order")
    flow.child("known", child, input={"id": "=1", "to": '="bob"'})

    @flow.step
    def ask(ctx: Context) -> None:
        ctx.start(child, Parcel(id=1, to="ann"), id="thanks-1", tags=["vip"])
        ctx.start("thanks", {"id": 1, "to": "eve"}, id="thanks-2")
        ctx.start("thanks", {"id": 1, "to": "other"}, id="thanks-2")

    await engine.start(flow, id="order-1")
    await engine.until_idle()
    started = engine.run("thanks-1")
    assert (started.output, engine.run("thanks-2").output) == ("thanks, ann", "thanks, eve")
    assert started.tags == ("vip",)


@pytest.mark.parametrize(
    ("emit", "code", "told"),
    [
        (lambda ctx: ctx.emit(PARCELS, value={"id": "x", "to": "y"}), "bad_emission", "id"),
        (lambda ctx: ctx.emit("shop.audit", value=object()), "bad_emission", "not JSON"),
        (lambda ctx: ctx.emit("no topic", value=1), "TopicError", "not a name for a topic"),
        (lambda ctx: ctx.emit("shop.audit", value="x" * 900_000), "bad_emission", "900000 are the most"),
        (lambda ctx: [ctx.signal("a", "b") for _ in range(1_001)], "bad_emission", "1000 are the most"),
        (lambda ctx: ctx.publish("no name!", key=1), "bad_emission", "a name has letters"),
        (lambda ctx: ctx.publish("name", key="x" * 600), "bad_emission", "512 bytes"),
        (lambda ctx: ctx.signal("", "name"), "bad_emission", "a run's id"),
        (lambda ctx: ctx.start("nowhere", id="a"), "unknown_workflow", "'nowhere' is not registered"),
        (lambda ctx: ctx.start("order", id="a//b"), "bad_emission", "//"),
        (lambda ctx: ctx.signal("a", "b", {"$blob": [1, 2, 3, "x"]}), "bad_emission", "$blob"),
    ],
)
async def test_what_cannot_be_emitted_fails_the_step(engine: Engine, emit: Any, code: str, told: str) -> None:
    flow = Workflow("order", retry=Retry(1))

    @flow.step
    def step(ctx: Context) -> None:
        emit(ctx)

    run = await engine.start(flow)
    await engine.until_idle()
    failure = run.step("step").failure
    assert failure is not None and failure.code == code and told in failure.message


async def test_a_compensation_may_emit_too(engine: Engine) -> None:
    flow = Workflow("order", retry=Retry(1))

    @flow.step
    def ship(ctx: Context) -> None:
        ctx.emit("shop.audit", value="shipped")

    @ship.compensate
    def recall(ctx: Context) -> None:
        ctx.emit("shop.audit", value="recalled")

    @flow.step(after=ship)
    def fails() -> None:
        raise ValueError

    await engine.start(flow)
    await engine.until_idle()
    assert values(engine, "shop.audit") == ["shipped", "recalled"]


async def test_what_a_topic_refuses_is_kept_with_the_step_and_published(engine: Engine) -> None:
    backend = engine._backend
    if not isinstance(backend, VirtualBackend):
        pytest.skip("the limit of a topic is set in memory")
    backend._deployment.broker.limits[":shop.small"] = 500
    flow = Workflow("order")

    @flow.step
    def ship(ctx: Context) -> str:
        ctx.emit("shop.small", value="x" * 1_000)
        ctx.emit("shop.small", value="y")
        return "shipped"

    flow.wait_signal("later", "go", after=ship)
    run = await engine.start(flow, id="order-1")
    await engine.until_idle()
    step = run.step("ship")
    assert (step.status, step.output, values(engine, "shop.small")) == ("completed", "shipped", ["y"])
    (refused,) = step.state.refused
    assert (refused.id, refused.topic, refused.code) == ("order-1//ship/1/1", "shop.small", "too_large")
    await run.signal("go")
    await engine.until_idle()
    told = [e for e in run.events if e.type == "step.emission_refused"]
    assert [e.failure and e.failure.code for e in told] == ["emission_too_large"]
    assert step.failure is None


async def test_avro_is_written_by_the_schema_of_the_type(engine: Engine) -> None:
    topic = App("shop", workflows=[_single()]).topic("shop.parcels", value=Parcel, format="avro")
    flow = Workflow("order")
    flow.add("ship", lambda ctx: ctx.emit(topic, key=1, value=Parcel(id=7, to="ann", tags=["a"])))
    await engine.start(flow)
    await engine.until_idle()

    (record,) = engine.emitted("shop.parcels")
    headers = dict(record.headers or ())
    assert headers["content-type"] == b"avro/binary"
    assert headers["sd-schema"] == topic.fingerprint.encode() != b""
    read = schemaless_reader(BytesIO(record.value or b""), parse_schema(topic.schema), None)
    assert read == {"id": 7, "to": "ann", "weight": None, "tags": ["a"]}
    assert topic.schema is not None and topic.schema["namespace"] == "shop.parcels"


def _single() -> Workflow:
    flow = Workflow("single")
    flow.add("step", lambda: None)
    return flow


@dataclass
class Inner:
    count: int


@dataclass
class Outer:
    first: Inner
    second: Inner | None
    by_name: dict[str, int]


def test_a_type_within_types_is_defined_once() -> None:
    topic = Topic("t", Outer, "avro")
    value = Outer(Inner(1), Inner(2), {"a": 3})
    read = schemaless_reader(BytesIO(topic.encode(value)), parse_schema(topic.schema), None)
    assert read == {"first": {"count": 1}, "second": {"count": 2}, "by_name": {"a": 3}}


@pytest.mark.parametrize("hint", [Any, int, dict[str, int], list[int]])
def test_what_is_no_record_has_no_avro(hint: Any) -> None:
    with pytest.raises(TopicError, match="cannot be written"):
        Topic("t", hint, "avro")


def test_a_context_of_a_test_shows_what_was_emitted() -> None:
    ctx = Context({"id": 1}, run_id="order-1")
    ctx.emit(PARCELS, key="a", value=Parcel(id=1, to="ann"))
    ctx.signal("order-2", "go")
    assert [type(each).__name__ for each in ctx.emitted] == ["EmittedRecord", "EmittedSignal"]
