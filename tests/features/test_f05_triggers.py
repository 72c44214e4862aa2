"""F5: events start runs, by triggers with a filter and a mapping."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import App, Context, DefinitionError, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str
    country: str = "DE"


def orders() -> Workflow[Order, Any]:
    flow = Workflow("order", input=Order)

    @flow.step
    async def take(order: Order) -> str:
        return f"{order.id} from {order.country}"

    return flow


def shop(**options: Any) -> App:
    flow = orders()
    app = App("shop", workflows=[flow])
    app.on("order.created", start=flow, **options)
    return app


def runs(engine: Engine) -> dict[str, str]:
    return {run.id: run.status for run in engine.runs}


async def test_a_matching_event_starts_a_run_that_names_trigger_and_event(engine: Engine) -> None:
    await engine.deploy_app(shop(id="data.id", match={"data.country": ["DE", "AT"]}))
    await engine.publish("order.created", key="c1", data={"id": "o1", "country": "AT"})
    await engine.publish("order.created", key="c1", data={"id": "o2", "country": "FR"})
    await engine.publish("order.changed", key="c1", data={"id": "o3"})

    assert runs(engine) == {"o1": "completed"}
    state = engine.run("o1").state
    assert (state.output, state.trigger) == ("o1 from AT", "event order.created, trigger order.created:order")


async def test_one_id_is_one_run_and_without_an_id_each_event_has_its_own(engine: Engine) -> None:
    await engine.deploy_app(shop(id="data.id"))
    for key in ("c1", "c2"):
        await engine.publish("order.created", key=key, data={"id": "o1"})
    assert runs(engine) == {"o1": "completed"}

    await engine.deploy_app(shop())
    for identity in ("e1", "e1", "e2"):
        await engine.publish("order.created", key="c1", data={"id": "o2"}, id=identity)
    assert sorted(runs(engine)) == ["o1", "order.created:order//c1#e1", "order.created:order//c1#e2"]


async def test_input_is_mapped_field_by_field(engine: Engine) -> None:
    await engine.deploy_app(shop(id="id", input={"id": "key", "country": "data.to.0"}))
    await engine.publish("order.created", key="c1", id="e1", data={"to": ["IT"]})

    assert engine.run("e1").output == "c1 from IT"


async def test_an_event_without_a_key_is_for_triggers_alone(engine: Engine) -> None:
    await engine.deploy_app(shop(id="data.id"))
    await engine.publish("order.created", data={"id": "o1"})
    await engine.publish("order.created", data={"id": "o2"}, after="1h")
    assert runs(engine) == {"o1": "completed"}
    await engine.advance("1h")
    assert runs(engine) == {"o1": "completed", "o2": "completed"}

    with pytest.raises(RejectedError, match="no trigger takes it"):
        await engine.publish("order.lost", data={})


async def test_events_of_steps_start_runs_with_and_without_a_key(engine: Engine) -> None:
    await engine.deploy_app(shop(id="data.id"))
    seller = Workflow("seller")

    @seller.step
    def sell(ctx: Context) -> None:
        ctx.publish("order.created", key="c1", data={"id": "o1"})
        ctx.publish("order.created", data={"id": "o2"})

    await engine.start(seller, id="s")
    assert runs(engine) == {"s": "completed", "o1": "completed", "o2": "completed"}


async def test_a_step_fails_for_an_event_that_nobody_can_take(engine: Engine) -> None:
    seller = Workflow("seller")

    @seller.step
    def sell(ctx: Context) -> None:
        ctx.publish("order.created", data={"id": "o2"})

    run = await engine.start(seller)
    assert run.status == "failed" and run.step("sell").failure.code == "no_key"


async def test_repeats_and_takeovers_start_nothing_twice_and_lose_nothing(engine: Engine) -> None:
    await engine.deploy_app(shop())
    await engine.publish("order.created", key="c1", data={"id": "o1"}, id="e1")
    engine.restart()
    engine.redeliver()
    await engine.publish("order.created", key="c1", data={"id": "o2"}, id="e2")
    engine.redeliver()
    await engine.until_idle()

    assert sorted(runs(engine)) == ["order.created:order//c1#e1", "order.created:order//c1#e2"]


async def test_off_is_kept_over_deployments_and_events_meanwhile_are_not_made_up_for(engine: Engine) -> None:
    await engine.deploy_app(shop(id="data.id"))
    await engine.pause_trigger("order.created:order", "stock is counted", by="ann")
    await engine.deploy_app(shop(id="data.id"))
    await engine.publish("order.created", key="c1", data={"id": "o1"})
    assert runs(engine) == {}
    state = await engine.trigger("order.created:order")
    assert (state.is_on, state.reason, state.off_by) == (False, "stock is counted", "ann")

    await engine.resume_trigger("order.created:order")
    await engine.publish("order.created", key="c1", data={"id": "o2"})
    assert runs(engine) == {"o2": "completed"}


async def test_a_trigger_that_the_code_has_no_longer_goes_on_and_is_reported(engine: Engine) -> None:
    await engine.deploy_app(shop(id="data.id"))
    await engine.deploy_app(App("shop", workflows=[orders()]))
    (state,) = await engine.triggers()
    assert state.is_undeclared
    await engine.publish("order.created", key="c1", data={"id": "o1"})
    assert runs(engine) == {"o1": "completed"}

    await engine.delete_trigger("order.created:order")
    await engine.publish("order.created", key="c1", data={"id": "o2"})
    assert runs(engine) == {"o1": "completed"} and await engine.triggers() == []


@pytest.mark.parametrize(
    ("data", "options", "code", "why"),
    [
        ({"country": "DE"}, {}, "invalid_input", "id"),
        ({"country": "DE"}, {"id": "data.id"}, "path_missing", "data.id"),
        ({"id": ["x"]}, {"id": "data.id"}, "bad_id", "no text"),
        ({"id": "a//b"}, {"id": "data.id"}, "reserved_id", "cannot be a run's id"),
    ],
)
async def test_what_does_not_fit_becomes_a_dead_letter_and_stops_nothing(
    engine: Engine, data: dict[str, Any], options: dict[str, Any], code: str, why: str
) -> None:
    await engine.deploy_app(shop(**options))
    await engine.publish("order.created", key="c1", data=data, id="e1")
    await engine.publish("order.created", key="c1", data={"id": "o2"})

    assert list(runs(engine).values()) == ["completed"]
    views = engine.ports.views
    (dead,) = engine.ask(lambda: views.run_evidence("order.created:order//c1#e1", since=0, limit=9))
    assert dead.code == code and dead.reason is not None and why in dead.reason
    assert dead.reason.startswith("trigger 'order.created:order' on event 'order.created': ")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"id": "input.id"}, "begins with one of data, key"),
        ({"input": {"id": "data..id"}}, "input\\['id'\\]"),
        ({"match": {"order": 1}}, "match="),
        ({"name": "a b"}, "is no name of a trigger"),
    ],
)
def test_impossible_triggers_are_refused_where_they_are_written(options: dict[str, Any], why: str) -> None:
    with pytest.raises(DefinitionError, match=why):
        shop(**options)


def test_two_triggers_of_one_event_and_workflow_need_names() -> None:
    flow = orders()
    app = App("shop", workflows=[flow])
    app.on("order.created", start=flow)
    with pytest.raises(DefinitionError, match="another name="):
        app.on("order.created", start=flow, match={"data.country": "FR"})
    app.on("order.created", start=flow, match={"data.country": "FR"}, name="french")
    with pytest.raises(DefinitionError, match="which the app has not"):
        app.on("order.created", start=Workflow("other"), name="other")
