"""G2: what is published of runs and steps: what somebody downstream needs, and nothing nobody asked for."""

from __future__ import annotations

import pytest

from stream_durable import DefinitionError, Fail, Workflow
from stream_durable.testing import Engine, TestedRun
from stream_durable.wire.events import Start


def said(run: TestedRun) -> list[str]:
    return [f"{event.type} {getattr(event, 'step', '')}".strip() for event in run.events]


def shop(*events: str, name: str = "shop") -> Workflow:
    flow = Workflow(name, events=events)

    @flow.step
    def reserve(input: None) -> int:  # noqa: A002
        return 1

    paid = flow.wait_signal("paid", after=reserve)

    @flow.step(after=paid)
    def ship() -> None: ...

    return flow


async def run_of(engine: Engine, flow: Workflow) -> TestedRun:
    run = await engine.start(flow)
    await run.signal("paid")
    assert run.status == "completed"
    return run


async def test_the_beginning_of_a_step_is_published_where_a_workflow_asks_for_it_and_else_costs_no_record(
    engine: Engine,
) -> None:
    plain = await run_of(engine, shop(name="plain"))
    asked = await run_of(engine, shop("step.started", name="asked"))

    assert not [event for event in plain.events if event.type == "step.started"]
    assert [one for one in said(asked) if not one.startswith("step.started")] == said(plain)
    assert said(asked) == [
        "run.started", "step.started reserve", "step.completed reserve", "step.started paid",
        "step.waiting paid", "step.completed paid", "step.started ship", "step.completed ship",
        "run.completed",
    ]  # fmt: skip
    steps = [event for event in asked.events if event.type.startswith("step.")]
    assert [event.sequence for event in steps] == list(range(1, len(steps) + 1))


async def test_a_step_that_is_tried_again_has_begun_once(engine: Engine) -> None:
    flow = shop("step.started")
    engine.fail("reserve", times=1)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"

    await run.retry()
    await run.signal("paid")

    begun = [event for event in run.events if event.type == "step.started" and event.step == "reserve"]
    assert [event.attempt for event in begun] == [1, 2], "by hand it begins anew"


def test_an_event_that_there_is_not_is_refused_when_defined() -> None:
    with pytest.raises(DefinitionError, match=r"events=: 'step.begun' is not one of step.started"):
        shop("step.begun").definition()
    with pytest.raises(DefinitionError, match="takes several texts"):
        Workflow("w", events="step.started").definition()


def saga(name: str = "saga") -> Workflow:
    flow = Workflow(name)

    @flow.step
    def flight(input: None) -> None: ...  # noqa: A002

    @flight.compensate
    def cancel_flight() -> None: ...

    @flow.step(after=flight)
    def hotel() -> None: ...

    @hotel.compensate
    def cancel_hotel() -> None: ...

    @flow.step(after=hotel)
    def charge() -> None:
        raise Fail("no_money", retryable=False)

    return flow


async def test_the_beginning_of_the_undoing_is_published_with_the_steps_in_their_order(
    engine: Engine,
) -> None:
    engine.fail("hotel~compensate")
    run = await engine.start(saga())
    await engine.until_idle()
    engine.restart()

    assert said(run)[:5] == [
        "run.started", "step.completed flight", "step.completed hotel", "step.failed charge",
        "run.compensating",
    ]  # fmt: skip
    (begun,) = [event for event in run.events if event.type == "run.compensating"]
    assert begun.steps == ("hotel", "flight")
    assert begun.failure is not None and begun.failure.code == "no_money"
    assert run.status == "compensation_failed"

    await run.retry("hotel~compensate")
    await engine.until_idle()

    assert run.status == "compensated"
    assert [one for one in said(run) if one.startswith("run.")] == [
        "run.started", "run.compensating", "run.compensation_failed", "run.retried", "run.compensated",
    ]  # fmt: skip


async def test_a_run_that_undoes_nothing_does_not_say_so(engine: Engine) -> None:
    engine.fail("flight", error=Fail("full", retryable=False))
    run = await engine.start(saga())

    assert said(run) == ["run.started", "step.failed flight", "run.failed"]


async def test_what_started_a_run_is_published_and_shown(engine: Engine) -> None:
    child = shop(name="child")
    flow = Workflow("parent")
    flow.child("part", child)
    run = await engine.start(flow, id="above")
    (below,) = run.children

    assert (run.state.trigger, below.state.trigger) == ("client", "parent")
    first, started = run.events[0], below.events[0]
    assert (first.type, first.trigger, first.parent) == ("run.started", None, None)
    assert (started.type, started.trigger, started.parent) == ("run.started", "parent", "above")
    assert started.steps is None
    listed = engine.ask(engine._target.list)
    assert {one.id: one.trigger for one in listed.runs} == {"above": "client", below.id: "parent"}


async def test_a_start_on_the_events_topic_is_known_as_one(engine: Engine) -> None:
    flow = shop()
    await engine.start(flow)
    start = Start(id="m1", run="from-outside", workflow=flow.name).of(flow.fingerprint)

    engine.tell(lambda: engine._target._edge.send(start, "start a run"))

    run = engine.run("from-outside")
    assert run.state.trigger == "event"
    assert run.events[0].trigger == "event" and run.events[0].parent is None
