"""E6: a run, a step or a group is cancelled, with reason, compensation or clean-up; a step is skipped."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from outcomes import failure_of

from stream_durable import Context, Retry, Workflow, any_of
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


def waiting(*, undone: list[str] | None = None) -> Workflow:
    flow = Workflow("flow")
    a = flow.add("a", lambda: "a")
    if undone is not None:
        a.compensate(lambda: undone.append("a"))
    go = flow.wait_signal("go", after=a)
    flow.add("b", lambda go="nothing": go, after=go)
    return flow


async def test_a_run_with_its_reason_and_the_request_apart_from_the_outcome(engine: Engine) -> None:
    run = await engine.start(waiting())
    await engine.until_waiting(run)
    order = await run.cancel("too dear")
    state = run.state
    assert state.status == "cancelled"
    request = state.requests.cancel
    assert request is not None
    assert (request.id, request.reason, request.compensate) == (order, "too dear", False)
    assert {name: step.status for name, step in state.steps.items()} == {
        "a": "completed", "go": "cancelled", "b": "cancelled",
    }  # fmt: skip
    assert run.step("b").attempts == 0


async def test_a_second_request_and_one_that_comes_too_late_change_nothing(engine: Engine) -> None:
    run = await engine.start(waiting())
    await engine.until_waiting(run)
    await run.cancel("first")
    await run.cancel("second")
    request = run.state.requests.cancel
    assert request is not None
    assert request.reason == "first"
    assert run.status == "cancelled"


async def test_a_run_that_completed_cannot_be_cancelled(engine: Engine) -> None:
    flow = Workflow("done")
    flow.add("a", lambda: 1)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    await run.cancel("too late")
    assert (run.status, run.output) == ("completed", 1)


@pytest.mark.parametrize("compensate", [False, True])
async def test_with_or_without_compensation(engine: Engine, compensate: bool) -> None:
    undone: list[str] = []
    run = await engine.start(waiting(undone=undone))
    await engine.until_waiting(run)
    await run.cancel("no", compensate=compensate)
    await engine.until_idle()
    assert undone == (["a"] if compensate else [])
    assert run.status == ("compensated" if compensate else "cancelled")
    assert run.step("a").status == ("compensated" if compensate else "completed")


async def test_clean_up_is_done_and_the_run_is_cancelling_meanwhile(engine: Engine) -> None:
    flow = Workflow("cleaning")
    done: list[str] = []
    go = flow.wait_signal("go")

    @flow.step(after=go.even_if_failed)
    async def tidy() -> None:
        await asyncio.sleep(60)
        done.append("tidied")

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.cancel("no")
    assert run.status == "cancelling"
    await engine.until(run, "cancelled")
    assert done == ["tidied"]


async def test_cooperative_in_the_handler(engine: Engine) -> None:
    flow = Workflow("flow")
    left: list[str] = []

    @flow.step
    async def long(ctx: Context) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            left.append(f"told, cancelled is {ctx.cancelled}")
            raise

    run = await engine.start(flow)
    await engine.advance("1m")
    await run.cancel("no")
    await engine.advance("1s")
    assert run.status == "cancelled"
    assert left == ["told, cancelled is True"]


async def test_what_a_cancelled_step_still_answers_is_late(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return "late"

    flow.add("b", lambda stubborn: stubborn)
    run = await engine.start(flow)
    await engine.advance("1s")
    await run.cancel()
    await engine.advance("10m")
    assert (run.status, run.step("stubborn").status, run.step("stubborn").output) == (
        "cancelled",
        "cancelled",
        None,
    )
    assert engine.calls("b") == 0


async def test_before_it_began_and_while_it_retries(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1 / 0, retry=Retry(9, base="1h", cap="1h"))
    later, retrying = await engine.start(flow, after="1h"), await engine.start(flow)
    await engine.advance("1m")
    for run in (later, retrying):
        await run.cancel("no")
    assert (later.status, retrying.status) == ("cancelled", "cancelled")
    await engine.advance("1d")
    assert engine.calls("a") == 1


async def test_children_and_theirs(engine: Engine) -> None:
    smallest = Workflow("smallest")
    smallest.wait_signal("go")
    small = Workflow("small")
    small.child("kid", smallest)
    flow = Workflow("flow")
    flow.child("kid", small)
    run = await engine.start(flow, id="p")
    await engine.until_idle()
    await run.cancel("enough")
    await engine.until_idle()
    assert {one.id: one.status for one in engine.runs} == {
        "p": "cancelled", "p//kid": "cancelled", "p//kid//kid": "cancelled",
    }  # fmt: skip


async def test_one_step_and_what_only_makes_sense_after_it(engine: Engine) -> None:
    flow = waiting()
    flow.wait_signal("other")
    flow.add("c", lambda other: other)
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.cancel_step("go", "lost")
    assert {name: step.status for name, step in run.steps.items()} == {
        "a": "completed", "go": "cancelled", "b": "cancelled", "other": "waiting", "c": "pending",
    }  # fmt: skip
    assert failure_of(run.step("go")).message == "lost"
    await engine.signal(run.id, "other", 1)
    await engine.until(run, "completed")


async def test_a_run_of_which_all_last_steps_were_cancelled_is_cancelled(engine: Engine) -> None:
    undone: list[str] = []
    run = await engine.start(waiting(undone=undone))
    await engine.until_waiting(run)
    await run.cancel_step("go", "lost")
    assert (run.status, undone) == ("cancelled", [])


async def test_one_step_is_skipped_and_the_rest_goes_on_without_its_output(engine: Engine) -> None:
    run = await engine.start(waiting())
    await engine.until_waiting(run)
    await run.skip_step("go", "released by phone")
    await engine.until(run, "completed")
    assert (run.step("go").status, failure_of(run.step("go")).message) == ("skipped", "released by phone")
    assert run.output == "nothing"


@pytest.mark.parametrize("order", ["skip_step", "cancel_step"])
async def test_a_group_with_all_of_its_members(engine: Engine, order: str) -> None:
    flow = Workflow("flow")
    flow.wait_signal("one")
    flow.wait_signal("two")
    flow.parallel("both", ["one", "two"])

    @flow.each("input", concurrency=1)
    async def each(item: int) -> int:
        await asyncio.sleep(600)
        return item

    flow.add("end", lambda both=None, each=None: "ended")
    flow.wait_signal("last")
    run = await engine.start(flow, [1, 2])
    await engine.advance("1s")
    status = "skipped" if order == "skip_step" else "cancelled"
    for name in ("both", "each"):
        await getattr(run, order)(name, "not needed")
    await engine.until_waiting(run)
    steps = run.state.steps
    assert {steps[name].status for name in ("both", "each")} == {status}
    assert {steps[name].status for name in ("one", "two", "each[0]", "each[1]")} <= {"skipped", "cancelled"}
    assert steps["end"].status == ("completed" if order == "skip_step" else "cancelled")


async def test_one_member_of_each(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.each("input", on_error="complete_all")
    async def each(item: int) -> int:
        await asyncio.sleep(60)
        return item

    run = await engine.start(flow, [0, 1, 2])
    await engine.advance("1s")
    await run.skip_step("each[1]")
    await engine.until(run, "completed")
    assert run.output == [0, None, 2]


async def test_a_step_under_way_and_one_that_has_not_begun(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def long() -> None:
        await asyncio.sleep(3600)

    flow.add("after", lambda: "after", after=long)
    flow.add("later", lambda: "later", after="after")
    run = await engine.start(flow)
    await engine.advance("1s")
    await run.skip_step("after")
    await run.skip_step("long")
    await engine.advance("1m")
    assert (run.status, run.output, engine.calls("after")) == ("completed", "later", 0)


async def test_a_race_goes_on_without_a_cancelled_one(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("a")
    flow.wait_signal("b")
    flow.add("end", lambda a=None, b=None: [a, b], after=any_of("a", "b"))
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.cancel_step("a")
    await engine.signal(run.id, "b", 2)
    await engine.until(run, "completed")
    assert run.output == [None, 2]


@pytest.mark.parametrize("order", ["skip_step", "cancel_step"])
async def test_a_step_that_there_is_not_or_that_has_ended(engine: Engine, order: str) -> None:
    run = await engine.start(waiting())
    await engine.until_waiting(run)
    with pytest.raises(RejectedError, match="no step 'goo': is 'go' meant") as refused:
        await getattr(run, order)("goo")
    assert refused.value.code == "unknown_step"
    try:
        await getattr(run, order)("a")
    except RejectedError as error:
        assert "'a'" in str(error)  # noqa: PT017
    assert (run.step("a").status, run.status) == ("completed", "waiting")


async def test_a_child_is_cancelled_by_its_step(engine: Engine) -> None:
    small = Workflow("small")
    small.wait_signal("go")
    flow = Workflow("flow")
    flow.child("kid", small)
    flow.add("end", lambda kid="nothing": kid)
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.skip_step("kid", "not needed")
    await engine.until(run, "completed")
    assert run.output == "nothing"
    assert [child.status for child in run.children] == ["cancelled"]


async def test_orders_survive_the_reconciler_and_come_once(engine: Engine) -> None:
    undone: list[str] = []
    run = await engine.start(waiting(undone=undone))
    await engine.until_waiting(run)
    await run.cancel("no", compensate=True)
    engine.redeliver()
    engine.restart()
    await engine.until_idle()
    assert run.status == "compensated"
    types: list[Any] = [event.type for event in run.events]
    assert types.count("run.compensated") == 1
