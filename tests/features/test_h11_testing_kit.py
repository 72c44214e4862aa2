"""H11: users run a workflow in memory with a virtual clock, skip time, and assert on its steps."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from outcomes import failure_of
from pydantic import BaseModel

from stream_durable import Context, Fail, Retry, Workflow
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
    began, begun = time.monotonic(), engine.now
    run = await engine.start(orders, ORDER)
    await engine.until_waiting(run)
    assert run.step("ship").output == "shipped R-1"
    assert run.context["shipped"] is True
    assert "payment.captured" in run.step("paid").waits_for[0]
    await engine.advance("30d")
    assert (run.status, failure_of(run.step("paid")).code) == ("failed", "timeout")
    assert engine.now - begun == timedelta(days=30)
    assert time.monotonic() - began < 10


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
