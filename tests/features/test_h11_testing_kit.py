"""H11: users run a workflow in memory with a virtual clock, skip time, and assert on its steps."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from outcomes import failure_of
from pydantic import BaseModel

from stream_durable import Context, Fail, Retry, RunFailed, RunFilter, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine, Stuck


class Order(BaseModel):
    id: str


class Receipt(BaseModel):
    number: str


orders = Workflow("order", input=Order, retry=Retry(3, base="1m"))


@orders.step
def charge(order: Order) -> Receipt:
    raise ConnectionError("there is no bank in a test")


@orders.step
def ship(charge: Receipt, ctx: Context) -> str:
    ctx.put("shipped", True)
    return f"shipped {charge.number}"


paid = orders.wait_event("paid", "payment.captured", key="input.id", after=ship, timeout="30d")
orders.add("thank", lambda paid: paid["by"], after=paid)

ORDER = Order(id="42")


def stubbed(engine: Engine) -> None:
    engine.stub(charge, Receipt(number="R-1"))


async def test_a_month_of_waiting_takes_no_time(engine: Engine) -> None:
    stubbed(engine)
    begun = engine.now
    run = await engine.start(orders, ORDER)
    await engine.until_waiting(run)
    assert run.step("ship").output == "shipped R-1"
    assert run.context["shipped"] is True
    assert "payment.captured" in run.step("paid").waits_for[0]
    await engine.advance("30d")
    assert (run.status, failure_of(run.step("paid")).code) == ("failed", "timeout")
    assert engine.now - begun == timedelta(days=30)


async def test_what_comes_from_outside(engine: Engine) -> None:
    stubbed(engine)
    run = await engine.start(orders, ORDER)
    await engine.publish("payment.captured", key="42", data={"by": "tom"})
    await engine.until(run, "completed")
    assert run.output == "tom"


async def test_arranged_failures_and_calls(engine: Engine) -> None:
    stubbed(engine)
    engine.fail(charge, times=2, error=TimeoutError("the bank is slow"))
    run = await engine.start(orders, ORDER)
    await engine.advance("30s")
    assert (run.step(charge).status, failure_of(run.step(charge)).code) == ("retrying", "TimeoutError")
    await engine.until_waiting(run)
    assert (run.step("charge").attempts, engine.calls(charge), engine.calls("ship")) == (3, 1, 1)


async def test_a_stub_may_be_a_function(engine: Engine) -> None:
    engine.stub(charge, lambda order: Receipt(number=order.id * 2))
    run = await engine.start(orders, ORDER)
    await engine.until_waiting(run)
    assert run.step("ship").output == "shipped 4242"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_worker_that_dies(engine: Engine, when: str) -> None:
    stubbed(engine)
    (engine.crash_before if when == "before" else engine.crash_after)(charge)
    run = await engine.start(orders, ORDER)
    await engine.until_waiting(run)
    assert (run.step(charge).attempts, engine.calls(charge)) == (1, 1 if when == "before" else 2)


async def test_repeats_and_takeovers_change_nothing(engine: Engine) -> None:
    stubbed(engine)
    run = await engine.start(orders, ORDER)
    await engine.publish("payment.captured", key="42", data={"by": "tom"})
    await engine.until(run, "completed")
    events = [event.type for event in run.events]
    engine.redeliver()
    engine.restart()
    await engine.until_idle()
    assert [event.type for event in run.events] == events
    assert run.output == "tom"


async def test_hooks_compensations_and_members_can_be_arranged(engine: Engine) -> None:
    flow = Workflow("parts")
    told: list[Any] = []

    @flow.each("input")
    def each(item: int) -> int:
        return item

    @each.compensate(retry=Retry(2))
    def undo(item: int) -> None:
        told.append(item)

    flow.add("boom", lambda: 1 / 0, after=each)

    @flow.on_failure
    def tell() -> None:
        told.append("told")

    engine.fail("each[1]", error=Fail("odd", retryable=False), times=0)
    engine.fail(undo)
    engine.stub(tell, None)
    run = await engine.start(flow, [0, 1])
    await engine.until(run, "compensated")
    assert sorted(told) == [0, 1], "the hook's own function was not called"
    assert engine.calls(tell) == 1
    assert sorted(run.state.helpers) == ["each[0]~compensate", "each[1]~compensate", "~on_failure"]


async def test_what_cannot_come_about_is_said_and_shown(engine: Engine) -> None:
    flow = Workflow("stuck")
    flow.wait_signal("go")
    run = await engine.start(flow, id="r")
    with pytest.raises(Stuck, match="nothing can happen any more") as stuck:
        await engine.until(run, "completed")
    assert "run r of workflow stuck is waiting" in str(stuck.value)
    assert "signal go" in str(stuck.value)
    with pytest.raises(RejectedError, match="has no step 'goo'; is 'go' meant"):
        run.step("goo")
    with pytest.raises(ValueError, match="no run is ever 'done'"):
        await engine.until(run, "done")


async def test_time_passes_only_when_the_test_says_so(engine: Engine) -> None:
    flow = Workflow("slow")

    @flow.step
    async def slow() -> str:
        await asyncio.sleep(600)
        return "slept"

    run = await engine.start(flow)
    now = engine.now
    assert (engine.now, run.step(slow).status) == (now, "ready")
    await engine.advance("599s")
    assert (run.status, run.step(slow).status) == ("running", "running")
    await engine.advance("1s")
    assert run.output == "slept"


async def test_children_and_several_runs_in_one_engine(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda input: input)
    flow = Workflow("parent")
    flow.child("kid", small, input="input")
    first, second = await engine.start(flow, 1), await engine.start(flow, 2)
    await engine.until_idle()
    assert (first.output, second.output) == (1, 2)
    assert [child.input for child in first.children] == [1]
    assert len(engine.runs) == 4


def test_a_step_is_the_plain_function() -> None:
    assert ship(Receipt(number="7"), Context(ORDER)) == "shipped 7"


def test_without_pytest_and_without_a_loop() -> None:
    with Engine.memory() as engine:

        async def story() -> None:
            stubbed(engine)
            run = await engine.start(orders, ORDER)
            await run.cancel("changed my mind")
            assert run.status == "cancelled"
            assert "changed my mind" in str(run.state.requests.cancel)

        asyncio.run(story())


def flow_of_two() -> Workflow:
    flow = Workflow("listed")

    @flow.step
    def work(input: int) -> int:
        if input < 0:
            raise Fail("below", retryable=False)
        return input

    flow.wait_signal("go", after=work)
    flow.add("last", lambda go: go, after="go")
    return flow


async def test_an_engine_lists_counts_and_orders_as_a_client_does(engine: Engine) -> None:
    flow = flow_of_two()
    for number in (1, 2, -3):
        await engine.start(flow, number, id=f"r{number}", tags=["low" if number < 2 else "high"])
    await engine.until_idle()

    page = await engine.list(RunFilter(status="waiting"), limit=1)
    assert ([run.id for run in page.runs], page.following is not None) == (["r2"], True)
    assert (await engine.count(RunFilter(tag="low"))).found == 2
    assert [run.id for run in (await engine.failed()).runs] == ["r-3"]
    assert await engine.pause_all(RunFilter(tag="high"), "wait") == 1
    assert await engine.resume_all(RunFilter(tag="high")) == 1
    assert await engine.retry_all(RunFilter(failed=True)) == 1
    assert await engine.cancel_all(RunFilter(workflow="listed"), "enough") == 2
    assert {run.id: run.status for run in engine.runs} == {
        "r1": "cancelled",
        "r2": "cancelled",
        "r-3": "failed",
    }


async def test_what_was_created_lately_is_found_in_the_time_of_the_engine(engine: Engine) -> None:
    flow = flow_of_two()
    await engine.start(flow, 1, id="old")
    await engine.advance("2d")
    await engine.start(flow, 1, id="new")

    lately = await engine.list(RunFilter(created_since="1h"))
    before = await engine.list(RunFilter(created_before="1d"))

    assert ([run.id for run in lately.runs], [run.id for run in before.runs]) == (["new"], ["old"])


async def test_a_result_is_waited_for_and_a_run_started_again(engine: Engine) -> None:
    flow = Workflow("slow")

    @flow.step
    async def sleep(input: int) -> int:
        await asyncio.sleep(3_600)
        if input < 0:
            raise Fail("below", retryable=False)
        return input

    good, bad = await engine.start(flow, 5, tags=["vip"]), await engine.start(flow, -5)
    assert await good.result() == 5
    with pytest.raises(RunFailed):
        await bad.result()

    again = await good.start_again(id="again")
    assert (await again.result(), again.tags) == (5, ("vip",))


async def test_the_family_of_a_run(engine: Engine) -> None:
    child, parent = Workflow("child"), Workflow("parent")
    child.add("leaf", lambda: 1)
    parent.child("first", child)
    run = await engine.start(parent, id="p")
    await engine.until_idle()

    family = await run.family()

    assert family.first.run.id == "p"
    assert [member.run.id for member in family.first.children] == ["p//first"]


async def test_lines_of_a_step_have_the_time_of_the_engine(engine: Engine) -> None:
    flow = Workflow("lines")

    @flow.step
    async def talk(ctx: Context) -> None:
        await asyncio.sleep(60)
        ctx.log.info("an hour later")

    begun = engine.now
    run = await engine.start(flow, after="30d")
    await engine.advance("30d")
    await engine.until_idle()

    [line] = await run.logs("talk")
    assert timedelta(days=30) <= line.time - begun <= timedelta(days=30, minutes=5)
    [attempt] = await run.attempts("talk")
    assert attempt.started is not None
    assert attempt.started <= line.time <= engine.now
