"""E1: a run is started now, at a time or after a delay, once under an id, with all that goes with it."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import BaseModel

from stream_durable import Context, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str


def echo() -> Workflow:
    flow = Workflow("echo")

    @flow.step
    def say(ctx: Context, input: Any) -> Any:
        return [input, ctx.run_id, list(ctx.tags), ctx.metadata]

    return flow


async def test_now(engine: Engine) -> None:
    begun = engine.now
    run = await engine.start(echo(), 1, id="r", tags=["vip", "web"], metadata={"by": "tom"})
    await engine.until(run, "completed")
    assert (run.created, run.output) == (True, [1, "r", ["vip", "web"], {"by": "tom"}])
    state = run.state
    assert (state.tags, state.metadata, state.priority, state.queue) == (
        ("vip", "web"),
        {"by": "tom"},
        0,
        None,
    )
    assert (engine.now - begun) < timedelta(seconds=1)


async def test_without_an_id_each_is_another_run(engine: Engine) -> None:
    flow = echo()
    ids = {(await engine.start(flow)).id for _ in range(3)}
    assert len(ids) == len(engine.runs) == 3


@pytest.mark.parametrize("how", ["at", "after", "at in another zone"])
async def test_later(engine: Engine, how: str) -> None:
    moment = engine.now + timedelta(hours=1)
    if how == "at in another zone":
        moment = moment.astimezone(ZoneInfo("Asia/Kathmandu"))
    options: dict[str, Any] = {"after": "1h"} if how == "after" else {"at": moment}
    run = await engine.start(echo(), id="later", **options)
    await engine.advance("59m")
    state = run.state
    assert (state.status, state.due, state.current) == ("pending", moment, ())
    assert [event.type for event in run.events] == ["run.scheduled"]
    await engine.advance("1m")
    assert run.status == "completed"
    assert [event.type for event in run.events if event.type.startswith("run")][1:] == [
        "run.started",
        "run.completed",
    ]


async def test_a_moment_that_has_passed_is_now(engine: Engine) -> None:
    run = await engine.start(echo(), at=engine.now - timedelta(days=1))
    await engine.until_idle()
    assert run.status == "completed"


async def test_a_scheduled_run_outlives_a_reconciler_and_can_be_cancelled(engine: Engine) -> None:
    flow = echo()
    run, other = await engine.start(flow, after="1h"), await engine.start(flow, after="1h")
    engine.restart()
    await other.cancel("not wanted")
    assert other.status == "cancelled"
    await engine.advance("1h")
    assert (run.status, other.status) == ("completed", "cancelled")
    assert engine.calls("say") == 1


async def test_one_id_is_one_run(engine: Engine) -> None:
    flow = echo()
    first = await engine.start(flow, {"n": 1}, id="order-1", tags=["a"])
    await engine.until(first, "completed")
    second = await engine.start(flow, {"n": 1}, id="order-1", tags=["b"])
    await engine.until_idle()
    assert (first.created, second.created) == (True, False)
    assert (second.output, engine.calls("say")) == (first.output, 1)
    assert second.tags == ("a",), "it is the run that there was"


@pytest.mark.parametrize("another", ["input", "workflow"])
async def test_another_run_under_the_same_id_is_refused(engine: Engine, another: str) -> None:
    flow, other = echo(), Workflow("other")
    other.add("a", lambda: 1)
    await engine.start(flow, {"n": 1}, id="order-1")
    with pytest.raises(RejectedError, match="order-1") as refused:
        await (
            engine.start(flow, {"n": 2}, id="order-1")
            if another == "input"
            else engine.start(other, {"n": 1}, id="order-1")
        )
    assert refused.value.code
    assert len(engine.runs) == 1


async def test_an_id_counts_while_the_run_is_pending_too(engine: Engine) -> None:
    flow = echo()
    first = await engine.start(flow, 1, id="r", after="1h")
    second = await engine.start(flow, 1, id="r")
    assert not second.created
    await engine.until_idle()
    assert first.status == "pending"


async def test_its_queue_is_that_of_the_steps_without_one(engine: Engine) -> None:
    small = Workflow("small")
    small.add("in_child", lambda: 1)
    flow = Workflow("flow")
    flow.add("own", lambda: 1, queue="mail")
    flow.add("any", lambda: 1)
    flow.child("kid", small)
    run = await engine.start(flow, queue="slow")
    await engine.until(run, "completed")
    assert run.state.queue == "slow"


async def test_priority_is_kept_within_its_bounds(engine: Engine) -> None:
    flow = echo()
    for priority in (-100, 0, 100):
        run = await engine.start(flow, priority=priority)
        assert run.state.priority == priority
    for priority in (-101, 101):
        with pytest.raises(RejectedError, match="priority"):
            await engine.start(flow, priority=priority)


async def test_a_model_or_its_json(engine: Engine) -> None:
    flow = Workflow("typed", input=Order)
    flow.add("a", lambda input: input.id)
    for given in (Order(id="7"), {"id": "7"}):
        run = await engine.start(flow, given)
        await engine.until(run, "completed")
        assert run.output == "7"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"at": datetime(2030, 1, 1)}, "bad_time", "no time zone"),  # noqa: DTZ001
        ({"metadata": ["who"]}, "invalid_input", "metadata"),
        ({"metadata": {"x": {1, 2}}}, "invalid_input", "metadata"),
        ({"id": ""}, None, "id"),
        ({"id": "a" * 600}, None, "id"),
        ({"queue": "no queue!"}, None, "queue"),
        ({"tags": "vip"}, None, "tags"),
        ({"input": {"id": 7}}, "invalid_input", "id"),
    ],
    ids=str,
)
async def test_what_a_start_cannot_mean_is_refused(
    engine: Engine, options: dict[str, Any], code: str | None, words: str
) -> None:
    flow = Workflow("typed", input=Order)
    flow.add("a", lambda: 1)
    with pytest.raises(RejectedError, match=words) as refused:
        await engine.start(flow, options.pop("input", {"id": "1"}), **options)
    assert code in (None, refused.value.code)
    assert engine.runs == []


def typed() -> Workflow[Order, Order]:
    flow = Workflow("typed", input=Order, output=Order)

    @flow.step
    def same(order: Order) -> Order:
        return order

    return flow


BY_NAME: list[tuple[Any, str]] = [
    ({}, "id: Field required"),
    (None, "Input should be an object"),
    ({"id": ["secret"]}, "id: Input should be a valid string"),
]


@pytest.mark.parametrize(("given", "says"), BY_NAME)
async def test_a_start_by_name_is_judged_before_it_is_accepted(engine: Engine, given: Any, says: str) -> None:
    await engine.start(typed(), Order(id="1"), id="first")
    with pytest.raises(RejectedError) as refused:
        await engine.start("typed", given, id="r")
    assert str(refused.value) == f"the input of workflow 'typed' does not fit: {says}"
    assert refused.value.code == "invalid_input"
    assert [run.id for run in engine.runs] == ["first"]


async def test_a_start_by_name_takes_what_the_type_takes(engine: Engine) -> None:
    await engine.start(typed(), Order(id="1"))
    run = await engine.start("typed", {"id": "2", "more": [1]})
    await engine.until(run, "completed")
    assert run.output == {"id": "2"}


async def test_a_run_that_is_started_again_is_judged_by_what_is_registered_now(engine: Engine) -> None:
    older = Workflow("typed")
    older.add("same", lambda input: input)
    run = await engine.start(older, 7)
    await engine.until(run, "completed")
    engine.deploy(typed())
    with pytest.raises(RejectedError, match="does not fit: Input should be an object"):
        await run.start_again()


async def test_a_result_is_in_the_type_that_the_workflow_declares(engine: Engine) -> None:
    run = await engine.start(typed(), Order(id="1"), id="r")
    await engine.until(run, "completed")
    assert engine.ask(lambda: engine._target.run("r", typed()).result()) == Order(id="1")
    assert engine.ask(lambda: engine._target.run("r").result()) == {"id": "1"}


async def test_an_option_that_there_is_not_is_refused(engine: Engine) -> None:
    with pytest.raises(TypeError, match=r"start\(\) has no option tag=: is tags= meant\?"):
        await engine.start(typed(), Order(id="1"), tag=["x"])  # type: ignore[call-arg]
