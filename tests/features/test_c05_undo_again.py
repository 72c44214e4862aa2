"""C5: an undo that has failed is tried again by hand or accepted, and until then nothing is done twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from moves import checked
from outcomes import failure_of

from stream_durable import Context, Fail, Happened, Retry, Skip, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine, TestedRun


class Trip:
    """Flight, hotel and car are booked, the charge fails, and what is shut cannot be given back."""

    def __init__(self, *shut: str) -> None:
        self.flow = flow = Workflow("trip")
        self.calls: list[str] = []
        self.shut = set(shut)
        self.no_money = True
        flow.add("flight", self.work).compensate(self.give_back)
        flow.add("hotel", self.work, after="flight").compensate(self.give_back)
        flow.add("car", self.work, after="hotel").compensate(self.give_back)
        flow.add("charge", self.charge, after="car")
        flow.on_failure(self.told)

    def work(self, ctx: Context) -> str:
        self.calls.append(ctx.step)
        return ctx.idempotency_key

    def give_back(self, ctx: Context, why: Happened) -> str:
        self.calls.append(f"{ctx.step} {why.step}")
        if ctx.step.partition("~")[0] in self.shut:
            raise Fail("shut", retryable=False)
        return ctx.idempotency_key

    def charge(self, ctx: Context) -> str:
        if self.no_money:
            raise Fail("no_money", retryable=False)
        return ctx.idempotency_key

    def told(self, why: Happened) -> None:
        self.calls.append(f"told {why.status}")


async def test_a_failed_undo_is_tried_again(engine: Engine) -> None:
    trip = Trip("hotel")
    run = await engine.start(trip.flow, id="r")
    await engine.until(run, "compensation_failed")
    await run.retry("hotel~compensate")
    await engine.until(run, "compensation_failed")
    assert run.step("hotel~compensate").attempts == 2
    trip.shut.clear()
    trip.calls.clear()
    order = await run.retry("hotel~compensate")
    await engine.until(run, "compensated")
    assert trip.calls == ["hotel~compensate charge", "told compensated"]
    assert run.step("hotel").status == "compensated"
    assert run.step("hotel~compensate").output == "r/hotel~compensate/3"
    assert failure_of(run).code == "no_money"
    request = run.state.requests.retry
    assert request is not None
    assert request.id == order


async def test_one_of_two_leaves_the_other_to_be_seen_to(engine: Engine) -> None:
    trip = Trip("hotel", "car")
    run = await engine.start(trip.flow)
    await engine.until(run, "compensation_failed")
    trip.shut.clear()
    await run.retry("hotel~compensate")
    await engine.until(run, "compensation_failed")
    assert (run.step("hotel").status, run.step("car").status) == ("compensated", "completed")
    engine.restart()
    await run.retry("car~compensate")
    await engine.until(run, "compensated")


async def test_a_failed_undo_is_accepted(engine: Engine) -> None:
    trip = Trip("hotel", "car")
    run = await engine.start(trip.flow)
    await engine.until(run, "compensation_failed")
    trip.calls.clear()
    await run.skip_step("car~compensate", "the car is lost")
    assert run.status == "compensation_failed"
    engine.restart()
    await run.skip_step("hotel~compensate")
    await engine.until(run, "compensated")
    assert trip.calls == ["told compensation_failed", "told compensated"]
    helper = run.step("car~compensate")
    assert (helper.status, helper.attempts, failure_of(helper).message) == ("skipped", 1, "the car is lost")
    assert [event.type for event in run.events if event.type.startswith("run.")][-1] == "run.compensated"


async def test_nothing_is_done_twice_before_that(engine: Engine) -> None:
    trip = Trip("hotel")
    run = await engine.start(trip.flow, id="r")
    await engine.until(run, "compensation_failed")
    calls = list(trip.calls)
    orders: list[dict[str, Any]] = [{}, {"step": "charge"}, {"step": "car~compensate"}, {"whole": True}]
    for order in orders:
        with pytest.raises(RejectedError) as refused:
            await run.retry(**order)
        assert refused.value.code == "undo_first"
        assert "retry('hotel~compensate')" in str(refused.value)
        assert "skip_step('hotel~compensate')" in str(refused.value)
    await run.cancel_step("hotel~compensate")
    await engine.until_idle()
    assert (run.status, trip.calls) == ("compensation_failed", calls)


async def with_a_cancelled_undo(engine: Engine, how: str) -> TestedRun:
    """Return a run, failed or cancelled, of which somebody has cancelled the compensation under way."""
    flow = Workflow("stay")

    async def leave(ctx: Context) -> str:
        if ctx.attempt == 1:
            await asyncio.sleep(60)
        return ctx.idempotency_key

    def boom() -> None:
        raise Fail("boom", retryable=False)

    flow.add("flight", lambda: 1).compensate(lambda: None)
    flow.add("hotel", lambda: 1, after="flight").compensate(leave)
    if how == "failed":
        flow.add("charge", boom, after="hotel")
    else:
        flow.wait_signal("go", after="hotel")
    run = await engine.start(flow, id="r")
    await engine.advance("5s")
    if how == "cancelled":
        await run.cancel("enough", compensate=True)
        await engine.advance("5s")
    assert (run.status, run.step("hotel~compensate").status) == ("compensating", "running")
    with checked():
        await run.cancel_step("hotel~compensate", "not now")
        await engine.until(run, "compensation_failed")
    return run


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_an_undo_that_is_cancelled_has_undone_nothing(engine: Engine, how: str) -> None:
    run = await with_a_cancelled_undo(engine, how)

    assert run.step("hotel~compensate").status == "cancelled"
    assert (run.step("hotel").status, run.step("flight").status) == ("completed", "compensated")
    with pytest.raises(RejectedError) as refused:
        await run.retry()
    assert refused.value.code == "undo_first"
    engine.restart()
    with checked():
        await run.retry("hotel~compensate")
        await engine.until(run, "compensated")
    assert run.step("hotel").status == "compensated"
    assert run.step("hotel~compensate").output == "r/hotel~compensate/2"


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_an_undo_that_is_cancelled_is_accepted(engine: Engine, how: str) -> None:
    run = await with_a_cancelled_undo(engine, how)
    engine.restart()

    with checked():
        await run.skip_step("hotel~compensate", "we stay")
        await engine.until(run, "compensated")
    helper = run.step("hotel~compensate")
    assert (helper.status, failure_of(helper).message) == ("skipped", "we stay")


async def test_after_that_the_run_can_be_retried(engine: Engine) -> None:
    trip = Trip("hotel")
    run = await engine.start(trip.flow, id="r")
    await engine.until(run, "compensation_failed")
    await run.skip_step("hotel~compensate")
    trip.calls.clear()
    trip.no_money = False
    await run.retry()
    await engine.until(run, "completed")
    assert trip.calls == ["flight", "hotel", "car"]
    assert run.output == "r/charge/2"


async def test_a_cancelled_run_is_still_cancelled(engine: Engine) -> None:
    trip = Trip("hotel")
    trip.flow.wait_signal("go", after="charge")
    trip.no_money = False
    run = await engine.start(trip.flow)
    await engine.until_waiting(run)
    await run.cancel("enough", compensate=True)
    await engine.until(run, "compensation_failed")
    trip.shut.clear()
    await run.retry("hotel~compensate")
    await engine.until(run, "compensated")
    request = run.state.requests.cancel
    assert request is not None
    assert request.reason == "enough"


async def test_an_undo_that_answers_that_it_is_not_needed_is_done(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1).compensate(lambda: Skip("it expired"))

    def boom() -> None:
        raise Fail("boom", retryable=False)

    flow.add("b", boom, after="a")
    run = await engine.start(flow)
    await engine.until(run, "compensated")
    assert run.step("a").status == "compensated"


async def test_hooks_are_told_which_attempt_failed(engine: Engine) -> None:
    seen: list[Any] = []
    flow = Workflow("flow")

    def note(why: Happened) -> None:
        seen.append((why.step, why.attempt))

    def boom() -> None:
        raise Fail("boom")

    flow.add("a", lambda: 1).compensate(note)
    flow.add("b", boom, after="a", retry=Retry(3))
    flow.on_failure(note)
    run = await engine.start(flow)
    await engine.until(run, "compensated")
    assert seen == [("b", 3), ("b", 3)]
