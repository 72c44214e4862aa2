"""Time passes when the test says so, and as far as it says."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from kit_shop import Order, all_pages, books, charge, dreams, looks, naps, orders

from stream_durable import Retry, Workflow
from stream_durable.testing import Engine, Stuck


async def test_nothing_moves_by_itself(engine: Engine) -> None:
    run = await engine.start(orders, Order(id="42"))
    before = engine.now

    assert run.status == "waiting"
    assert engine.now == before


async def test_a_moment_is_met_to_the_millisecond(engine: Engine) -> None:
    run = await engine.start(orders, Order(id="42"))
    due = run.step("paid").due
    assert due is not None

    await engine.advance(due - engine.now - timedelta(milliseconds=1))
    assert run.status == "waiting"
    await engine.advance("1ms")
    assert run.status == "failed"


async def test_what_follows_from_a_timer_counts_from_its_own_moment(engine: Engine) -> None:
    flow = Workflow("naps")
    first = flow.sleep("first", "1h")
    flow.sleep("second", "20m", after=first)
    run = await engine.start(flow)
    began = engine.now

    await engine.advance("2h")

    ended = run.state.ended
    assert engine.now - began == timedelta(hours=2)
    assert run.status == "completed"
    assert ended is not None and abs(ended - began - timedelta(minutes=80)) < timedelta(milliseconds=10)


async def test_idle_lets_retries_happen_and_not_the_end_of_waits(engine: Engine) -> None:
    engine.fail(charge, times=4)
    run = await engine.start(orders, Order(id="42"))
    await engine.publish("payment.captured", key="42")
    began = engine.now

    await engine.until_idle()

    assert run.step(charge).attempts == 5
    assert timedelta(seconds=10) < engine.now - began < timedelta(seconds=20)
    assert run.step("go").status == "waiting"


async def test_until_goes_through_sleeps_and_children(engine: Engine) -> None:
    run = await engine.start(books, {"cursor": 0}, id="book-1")
    began = engine.now

    await engine.until(run, "completed")

    assert run.output == 3
    assert engine.now - began >= timedelta(hours=2)
    assert [child.id for child in run.children] == [f"book-1//all_pages{n}" for n in ("", "/2", "/3")]
    assert run.step(all_pages).output == {"next": 3, "done": True}
    assert len(engine.runs) == 4


async def test_a_step_that_asks_for_time_waits(engine: Engine) -> None:
    run = await engine.start(looks)
    await engine.until_idle()
    assert run.step("ready").waits_for == ("the requested time: not yet, in 5m",)

    await engine.advance("5m")
    await engine.advance("5m")

    assert run.output == "yes"
    assert run.context == {"looks": 3}
    assert run.step("ready").attempts == 1


async def test_a_step_that_sleeps_takes_virtual_time(engine: Engine) -> None:
    run = await engine.start(naps, "x")
    began = engine.now
    await engine.advance("10m")
    assert run.step("nap").status == "running"
    assert run.step("nap").waits_for[0].startswith("worker ")
    assert engine.now - began == timedelta(minutes=10)

    await engine.until_idle()

    assert run.output == "awake"
    assert timedelta(hours=1) <= engine.now - began < timedelta(hours=1, seconds=1)


async def test_a_run_may_begin_later(engine: Engine) -> None:
    run = await engine.start(looks, after="1h")
    assert run.status == "pending"
    assert run.step("ready").waits_for == ("the time at which the run begins, in 1h",)

    await engine.advance("1h")

    assert run.status != "pending"


async def test_what_cannot_come_about_is_said_at_once(engine: Engine) -> None:
    flow = Workflow("forever")
    flow.wait_signal("go")
    run = await engine.start(flow, id="42")

    with pytest.raises(Stuck) as caught:
        await engine.until(run, "completed")

    assert str(caught.value) == (
        "run '42' is waiting, not completed: nothing can happen any more, for no timer is set and no "
        "attempt under way\n\n"
        "run 42 of workflow forever is waiting, 0ms after its start\n"
        "  step  status   attempt  waits for  failure\n"
        "  go    waiting  1        signal go"
    )


async def test_a_run_that_ends_otherwise_is_no_longer_waited_for(engine: Engine) -> None:
    run = await engine.start(orders, Order(id="42"))

    with pytest.raises(Stuck, match="is failed, not completed: it has ended as failed"):
        await engine.until(run, "completed")


async def test_waiting_has_an_end(engine: Engine) -> None:
    flow = Workflow("slow")
    flow.sleep("long", "90d")
    run = await engine.start(flow)

    with pytest.raises(Stuck, match="not completed: 30d have passed; within= allows more"):
        await engine.until(run, "completed")
    await engine.until(run, "completed", within="365d")


async def test_an_attempt_without_an_end_has_one(engine: Engine) -> None:
    run = await engine.start(dreams, "x")

    with pytest.raises(Stuck, match="10m have passed"):
        await engine.until_idle(within="10m")

    assert run.step("dream").status == "running"


async def test_what_goes_round_in_circles_is_noticed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream_durable.testing.virtual.TIMERS_MAX", 50)
    flow = Workflow("again")

    @flow.step(retry=Retry(10_000, backoff="fixed", base="1s"))
    async def never(input: None) -> None:  # noqa: A002 - its name
        raise ValueError("no")

    run = await engine.start(flow)

    with pytest.raises(Stuck, match="timers have fired, and there is no end to it"):
        await engine.until(run, "completed")


async def test_a_status_that_there_is_not_is_refused(engine: Engine) -> None:
    run = await engine.start(looks)

    with pytest.raises(ValueError, match="no run is ever 'done'"):
        await engine.until(run, "done")


def test_a_test_of_three_steps_takes_no_time() -> None:
    import asyncio

    flow = Workflow("three")

    @flow.step
    async def one(input: int) -> int:  # noqa: A002 - its name
        return input + 1

    @flow.step
    async def two(one: int) -> int:
        return one + 1

    @flow.step
    async def three(two: int) -> int:
        return two + 1

    async def story(engine: Engine) -> int:
        run = await engine.start(flow, 0)
        await engine.until(run, "completed")
        return int(run.output)

    def timed() -> float:
        began = time.thread_time()
        with Engine.memory() as engine:
            assert asyncio.run(story(engine)) == 3
        return time.thread_time() - began

    timed()
    # What it computes, which takes longer where others compute, too, but not each time.
    assert min(timed() for _ in range(5)) < 0.2
