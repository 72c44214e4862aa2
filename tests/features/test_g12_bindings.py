"""G12: records of topics of others become starts, events, signals and answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from fastavro import parse_schema, schemaless_writer
from pydantic import BaseModel

from stream_durable import App, Context, DefinitionError, Workflow
from stream_durable.client.attention import Need
from stream_durable.core.errors import RejectedError
from stream_durable.sdk.topic import Topic
from stream_durable.testing import Engine
from stream_durable.wire.single_object import frame_of


class Order(BaseModel):
    id: str
    country: str = "DE"


def orders() -> Workflow[Order, Any]:
    flow = Workflow("order", input=Order)

    @flow.step
    async def take(order: Order) -> str:
        return f"{order.id} from {order.country}"

    return flow


def shop(topic: Topic[Any] | None = None, **options: Any) -> App:
    flow = orders()
    app = App("shop", workflows=[flow])
    app.on(topic or app.topic("orders", value=Order), start=flow, **options)
    return app


def runs(engine: Engine) -> dict[str, str]:
    return {run.id: run.status for run in engine.runs}


def needs(engine: Engine) -> tuple[Need, ...]:
    """What needs somebody."""
    found: tuple[Need, ...] = engine.ask(lambda: engine._target.attention(since="1d", zone=UTC)).needs
    return found


async def test_a_record_starts_a_run_that_names_topic_and_binding(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id"))
    await engine.deliver("orders", {"id": "o1", "country": "AT"}, headers={"traceparent": "00-a-b-01"})

    state = engine.run("o1").state
    assert (state.output, state.trigger) == ("o1 from AT", "topic orders, binding orders:order")


async def test_paths_lead_into_the_value_and_to_what_is_around_it(engine: Engine) -> None:
    flow = Workflow("any")
    flow.add("same", lambda given: given)
    app = App("shop", workflows=[flow])
    paths = {
        "item": "lines.0.item", "sent_by": "headers.from", "key": "key", "own": "value.key",
        "at": "timestamp", "place": "offset", "of": "partition", "topic": "topic",
    }  # fmt: skip
    app.on(app.topic("lines"), start=flow, id="key", input=paths, match={"headers.kind": ["new", "newer"]})
    await engine.deploy_app(app)
    lines = {"lines": [{"item": "tea"}], "key": "inner"}
    await engine.deliver("lines", lines, key="k0", headers={"kind": "old"})
    await engine.deliver("lines", lines, key="k1", headers={"kind": "new", "from": "ann"})

    assert runs(engine) == {"k1": "completed"}
    output = engine.run("k1").output
    assert isinstance(output.pop("at"), int)
    assert output == {
        "item": "tea", "sent_by": "ann", "key": "k1", "own": "inner", "place": 1, "of": 0, "topic": "lines",
    }  # fmt: skip


async def test_one_id_is_one_run_and_without_an_id_each_record_has_its_own(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id"))
    await engine.deliver("orders", {"id": "o1"})
    await engine.deliver("orders", {"id": "o1", "country": "FR"})
    assert runs(engine) == {"o1": "completed"} and engine.run("o1").output == "o1 from DE"

    await engine.deploy_app(shop())
    for _ in range(2):
        await engine.deliver("orders", {"id": "o2"})
    names = [name for name in runs(engine) if name != "o1"]
    assert len(names) == 2 and all(name.startswith("orders:order/") for name in names)


async def test_records_become_events_signals_and_answers(engine: Engine) -> None:
    flow = Workflow("parcel")
    paid = flow.wait_event("paid", "payment.captured", key="input.id")
    packed = flow.wait_signal("packed", after=paid)
    flow.ask("approved", choices=["yes", "no"], after=packed)
    app = App("shop", workflows=[flow])
    app.on(app.topic("payments"), event="payment.captured", key="order", data="amount", id="payment")
    app.on(app.topic("packing"), signal="packed", run="run", data={"by": "headers.by"})
    app.on(app.topic("approvals"), answer="approved", run="run", data="says")
    await engine.deploy_app(app)
    run = await engine.start(flow, {"id": 42}, id="p1")
    for amount in (1, 2):
        await engine.deliver("payments", {"order": 42, "amount": amount, "payment": "one"})
    await engine.deliver("packing", {"run": "p1"}, headers={"by": "ann"})
    await engine.deliver("approvals", {"run": "p1", "says": "perhaps"})
    await engine.deliver("approvals", {"run": "p1", "says": "yes"})

    assert run.status == "completed"
    outputs = {name: step.output for name, step in run.state.steps.items()}
    assert outputs == {"paid": 1, "packed": {"by": "ann"}, "approved": "yes"}
    asked = run.step("approved").state.asked
    assert asked is not None and asked.answered is not None
    assert asked.answered.by == "binding approvals:approved"
    [state] = [one for one in await engine.bindings() if one.name == "approvals:approved"]
    assert state.bad_records == 1


async def test_an_event_without_a_key_fires_triggers(engine: Engine) -> None:
    flow = orders()
    app = App("shop", workflows=[flow])
    app.on("order.created", start=flow, id="data.id")
    app.on(app.topic("orders"), event="order.created")
    await engine.deploy_app(app)
    await engine.deliver("orders", {"id": "o1"})

    assert runs(engine) == {"o1": "completed"}


async def test_avro_is_read_by_the_declared_type_framed_and_bare(engine: Engine) -> None:
    topic = Topic("avro.orders", Order, "avro")
    await engine.deploy_app(shop(topic, id="id", name="avro"))
    await engine.deliver(topic, Order(id="o1", country="AT"))
    await engine.deliver(topic, frame_of(topic.schema) + topic.encode(Order(id="o2")))
    await engine.deliver(topic, topic.encode(Order(id="o3")) + b"rest")
    await engine.deliver(topic, b"\xc3\x01garbage")

    assert {run.id: run.output for run in engine.runs} == {"o1": "o1 from AT", "o2": "o2 from DE"}
    assert (await engine.binding("avro")).bad_records == 2


async def test_avro_is_read_by_a_schema_of_others(engine: Engine) -> None:
    decimal = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
    schema = {
        "type": "record", "name": "OrderPlaced", "namespace": "shop",
        "fields": [
            {"name": "country", "type": {"type": "enum", "name": "Land", "symbols": ["DE", "AT"]}},
            {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "total", "type": decimal},
        ],
    }  # fmt: skip
    flow = Workflow("any")
    flow.add("same", lambda given: given)
    app = App("shop", workflows=[flow])
    topic = app.topic("theirs", format="avro", schema=schema)
    app.on(topic, start=flow, id="id")
    await engine.deploy_app(app)
    body = BytesIO()
    identity = UUID(int=7)
    schemaless_writer(
        body, parse_schema(schema),
        {"country": "AT", "id": identity, "at": datetime(2030, 1, 1, tzinfo=UTC), "total": Decimal("9.50")},
    )  # fmt: skip
    await engine.deliver(topic, body.getvalue())

    assert engine.run(str(identity)).output == {
        "country": "AT", "id": str(identity), "at": "2030-01-01T00:00:00Z", "total": "9.50",
    }  # fmt: skip


async def test_latest_begins_with_the_deployment_and_earliest_with_the_topic(engine: Engine) -> None:
    await engine.deliver("orders", {"id": "o1"})
    await engine.advance("1h")
    middle = engine.now
    await engine.deliver("orders", {"id": "o2"})
    await engine.advance("1h")
    await engine.deploy_app(shop(id="id", since="latest"))
    await engine.deliver("orders", {"id": "o3"})
    assert runs(engine).keys() == {"o3"}

    flow = orders()
    app = App("other", workflows=[flow])
    app.on(app.topic("orders"), start=flow, id="id", since=middle, name="since-the-middle")
    await engine.deploy_app(app)
    assert runs(engine).keys() == {"o2", "o3"}

    app.on(app.topic("orders"), start=flow, id="id", since="earliest", name="all")
    await engine.deploy_app(app)
    assert runs(engine).keys() == {"o1", "o2", "o3"}


async def test_off_is_kept_over_deployments_and_records_meanwhile_are_read_afterwards(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id"))
    await engine.deliver("orders", {"id": "o1"})
    await engine.pause_binding("orders:order", "stock is counted", by="ann")
    await engine.deploy_app(shop(id="id"))
    for name in ("o2", "o3"):
        await engine.deliver("orders", {"id": name})
    state = await engine.binding("orders:order")
    assert (state.is_on, state.reason, state.off_by, state.lag) == (False, "stock is counted", "ann", 2)
    assert runs(engine).keys() == {"o1"}

    await engine.resume_binding("orders:order")
    assert runs(engine).keys() == {"o1", "o2", "o3"}
    state = await engine.binding("orders:order")
    assert (state.is_on, state.lag, state.partitions[0].position) == (True, 0, 3)


async def test_a_position_outlives_the_ingress_and_a_changed_binding(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id"))
    await engine.deliver("orders", {"id": "o1"})
    deployment = engine._backend._deployment  # type: ignore[attr-defined]
    [ingress] = [slot for slot in deployment.slots if slot.role == "ingress"]
    deployment.crash(ingress)
    await engine.deliver("orders", {"id": "o2"})
    await engine.deploy_app(shop(id="id", since="earliest", match={"country": "AT"}))
    await engine.deliver("orders", {"id": "o3"})
    await engine.deliver("orders", {"id": "o4", "country": "AT"})
    await engine.until_idle()

    assert runs(engine) == dict.fromkeys(("o1", "o2", "o4"), "completed")


@pytest.mark.parametrize(
    ("value", "options", "why"),
    [
        (b'{"id":', {}, "not JSON"),
        (b"\xff\x00", {}, "not JSON"),
        ({"id": 7}, {}, "declared type: id"),
        ({"country": "DE"}, {}, "id: "),
        ({"id": "o"}, {"id": "number"}, "'number' is not there"),
        ({"id": "a//b"}, {"id": "id"}, "cannot be a run's id"),
        ({"id": "o", "country": "x"}, {"input": "country.code"}, "'code' is not there"),
    ],
)
async def test_what_does_not_fit_is_a_dead_letter_and_stops_nothing(
    engine: Engine, value: Any, options: dict[str, Any], why: str
) -> None:
    await engine.deploy_app(shop(**options))
    await engine.deliver("orders", {"id": "before", "country": "x", "number": 1})
    before = len(engine.runs)
    await engine.deliver("orders", value, key="k", headers={"theirs": "h"})
    await engine.deliver("orders", {"id": "after", "country": "x", "number": 2})

    letters = engine._backend._deployment.broker.topic("dead").records()  # type: ignore[attr-defined]
    [dead] = [letter for letter in letters if letter.key == b"k"]
    headers = dict(dead.headers or ())
    assert headers["sd_reason"].decode().startswith("binding 'orders:order': ")
    assert why in headers["sd_reason"].decode()
    assert (dead.key, headers["theirs"], headers["sd_topic"]) == (b"k", b"h", b":orders")
    assert len(engine.runs) == (before * 2 if "input" not in options else 0)
    state = await engine.binding("orders:order")
    assert (state.lag, state.stopped) == (0, "") and state.bad_records >= 1


async def test_bad_records_may_be_skipped(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id", bad="skip"))
    await engine.deliver("orders", b"garbage")
    await engine.deliver("orders", {"id": "o1"})

    assert runs(engine) == {"o1": "completed"}
    assert engine._backend._deployment.broker.topic("dead").records() == []  # type: ignore[attr-defined]
    assert (await engine.binding("orders:order")).bad_records == 1


async def test_a_bad_record_may_stop_its_partition_until_it_can_be_taken(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id", bad="stop", input={"id": "id", "country": "land"}))
    await engine.deliver("orders", {"id": "o1", "land": "AT"})
    await engine.deliver("orders", {"id": "o2"})
    await engine.deliver("orders", {"id": "o3", "land": "FR"})
    state = await engine.binding("orders:order")
    assert runs(engine).keys() == {"o1"}
    assert "partition 0 stands at offset 1: path_missing" in state.stopped and state.lag == 2
    await engine.resume_binding("orders:order")
    assert runs(engine).keys() == {"o1"}
    (need,) = needs(engine)
    assert (need.word, need.code, need.affected) == ("Blocked", "binding_stopped", 2)
    assert (need.evidence["binding"], need.evidence["partition"], need.evidence["offset"]) == (
        "orders:order", 0, 1,
    )  # fmt: skip
    assert need.sentence == f"Binding orders:order of topic orders has stopped: {state.stopped}."

    await engine.deploy_app(shop(id="id", bad="stop"))
    assert runs(engine).keys() == {"o1", "o2", "o3"}
    assert (await engine.binding("orders:order")).stopped == ""
    assert needs(engine) == ()

    await engine.pause_binding("orders:order", "stocktaking", by="tom")
    await engine.deliver("orders", {"id": "o4", "land": "FR"})
    (need,) = needs(engine)
    assert (need.word, need.code, need.affected) == ("Blocked", "binding_off", 1)
    assert need.sentence.startswith(
        "Binding orders:order of topic orders was paused by tom (stocktaking) at "
    )


async def test_a_person_lets_a_binding_go_past_one_bad_record(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id", bad="stop"))
    for value in ({"id": "o1"}, b"garbage", {"id": "o2"}, b"rubbish", {"id": "o3"}):
        await engine.deliver("orders", value, key="k")
    state = await engine.binding("orders:order")
    assert runs(engine).keys() == {"o1"} and state.bad_records == 0
    assert "skip orders:order --partition 0 --offset 1" in state.stopped

    for wish in ({"offset": 3}, {"partition": 0, "offset": 2}):
        with pytest.raises(RejectedError, match="stands at offset 1 in partition 0") as refused:
            await engine.skip_record("orders:order", **wish)
        assert refused.value.code == "not_stopped"
    with pytest.raises(RejectedError, match="has no partition 9"):
        await engine.skip_record("orders:order", 9)
    skipped = await engine.skip_record("orders:order", reason="a test of theirs", by="ada")
    assert skipped[:2] == (0, 1) and skipped.is_ordered and "not JSON" in skipped.stopped

    state = await engine.binding("orders:order")
    assert runs(engine).keys() == {"o1", "o2"} and state.bad_records == 1
    assert "partition 0 stands at offset 3" in state.stopped
    assert [each[0::2] for each in state.orders] == [("skip", "ada")]
    [dead] = engine._backend._deployment.broker.topic("dead").records()  # type: ignore[attr-defined]
    assert dead.value == b"garbage"
    reason = dict(dead.headers or ())["sd_reason"].decode()
    assert "not JSON" in reason and "skipped by ada: a test of theirs" in reason

    again = await engine.skip_record("orders:order", 0, 1)
    assert not again.is_ordered and (await engine.binding("orders:order")).stopped == state.stopped
    await engine.pause_binding("orders:order")
    assert (await engine.skip_record("orders:order", 0, 3)).is_ordered
    assert not (await engine.skip_record("orders:order", 0, 3)).is_ordered
    assert runs(engine).keys() == {"o1", "o2"}
    await engine.resume_binding("orders:order")
    assert runs(engine).keys() == {"o1", "o2", "o3"}
    with pytest.raises(RejectedError, match="stands at no record"):
        await engine.skip_record("orders:order")

    await engine.delete_binding("orders:order")
    assert engine.ports.catalogue.declared.skips == {}


async def test_a_skipped_record_that_can_be_taken_by_now_is_taken(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id", bad="stop", input={"id": "id", "country": "land"}))
    await engine.deliver("orders", {"id": "o1"})
    await engine.pause_binding("orders:order")
    await engine.skip_record("orders:order")
    await engine.deploy_app(shop(id="id", bad="stop"))
    await engine.resume_binding("orders:order")

    assert runs(engine).keys() == {"o1"} and (await engine.binding("orders:order")).bad_records == 0


async def test_a_binding_that_the_code_has_no_longer_goes_on_and_is_reported(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id"))
    await engine.deploy_app(App("shop", workflows=[orders()]))
    [state] = await engine.bindings()
    assert state.is_undeclared
    await engine.deliver("orders", {"id": "o1"})
    assert runs(engine) == {"o1": "completed"}

    await engine.delete_binding("orders:order")
    await engine.deliver("orders", {"id": "o2"})
    assert runs(engine) == {"o1": "completed"} and await engine.bindings() == []


async def test_a_tombstone_is_no_message(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id"))
    await engine.deliver("orders", None, key="k")
    assert runs(engine) == {}
    assert (await engine.binding("orders:order")).bad_records == 0


async def test_what_steps_emit_may_be_bound(engine: Engine) -> None:
    flow = orders()
    app = App("shop", workflows=[flow])
    topic = app.topic("orders", value=Order, format="avro")
    app.on(topic, start=flow, id="id")
    await engine.deploy_app(app)
    seller = Workflow("seller")

    @seller.step
    def sell(ctx: Context) -> None:
        ctx.emit(topic, key="k", value=Order(id="o1"))

    await engine.start(seller, id="s")
    await engine.until_idle()
    assert runs(engine) == {"s": "completed", "o1": "completed"}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"id": "a..b"}, "takes a path"),
        ({"since": "yesterday"}, "since= is 'latest'"),
        ({"since": datetime(2030, 1, 1)}, "with a time zone"),  # noqa: DTZ001
        ({"bad": "ignore"}, "bad= is 'dead'"),
        ({"key": "id"}, "start= takes no key="),
        ({"event": "x"}, "says one of start="),
        ({"name": "a b"}, "is no name of a binding"),
    ],
)
def test_impossible_bindings_are_refused_where_they_are_written(options: dict[str, Any], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        shop(**options)


def test_signals_need_the_run_and_names_are_given_once() -> None:
    flow = orders()
    app = App("shop", workflows=[flow])
    with pytest.raises(DefinitionError, match="needs run="):
        app.on(app.topic("t"), signal="go")
    app.on(app.topic("t"), start=flow)
    with pytest.raises(DefinitionError, match="another name="):
        app.on(app.topic("t"), start=flow)
    with pytest.raises(DefinitionError, match="which the app has not"):
        app.on(app.topic("t"), start=Workflow("other"), name="other")
    with pytest.raises(DefinitionError, match="takes no since="):
        app.on("order.created", start=flow, since="latest")  # type: ignore[call-overload]


async def test_since_a_moment_counts_where_nothing_was_read(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id"))
    await engine.deliver("orders", {"id": "o1"})
    await engine.deploy_app(shop(id="id", since=engine.now - timedelta(days=1)))
    await engine.deliver("orders", {"id": "o2"})
    state = await engine.binding("orders:order")
    assert state.partitions[0].position == 2 and runs(engine).keys() == {"o1", "o2"}
