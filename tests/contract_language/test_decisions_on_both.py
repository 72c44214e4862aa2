"""What was decided, who keeps a place and what is skipped, in memory and on real services."""

# ruff: noqa: PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio

import pytest

from stream_durable import Context, Fail, Workflow, any_of
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


async def test_a_choice_stays_made_when_what_follows_it_is_made_anew(engine: Engine) -> None:
    """A5, C9: the withdrawn wait, a sleep that lost, and what follows them are left as they are."""
    flow = Workflow("choice")
    calls: list[str] = []
    broken = {"ship"}
    flow.wait_signal("pay")
    flow.wait_signal("withdraw")
    flow.sleep("a_week", "7d")
    flow.add("chosen", lambda: None, after=any_of("pay", "withdraw", "a_week", cancel_rest=True))
    flow.add("refund", lambda: calls.append("refund"), after="withdraw")

    @flow.step(after=["pay", "chosen"])
    def ship() -> None:
        calls.append("ship")
        if broken:
            raise Fail("closed", retryable=False)

    run = await engine.start(flow, id="choice")
    await engine.until_waiting(run)
    await engine.signal(run.id, "pay", id="pay")
    await engine.until(run, "failed")
    broken.clear()
    calls.clear()
    await run.retry()
    await engine.signal(run.id, "withdraw", id="withdraw")
    await engine.until(run, "completed")
    assert calls == ["ship"]
    assert {run.step(name).status for name in ("withdraw", "a_week", "refund")} == {"cancelled"}
    assert run.step("pay").attempts == 1


async def test_a_loser_that_went_through_is_undone_with_its_run(engine: Engine) -> None:
    """C5: the slower one had booked already when it was asked to stop."""
    flow = Workflow("booking")
    undone: list[str] = []

    async def slow() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return "room 7"
        return "never"

    flow.add("quick", lambda: "room 1", after=flow.wait_signal("look"))
    flow.add("slow", slow).compensate(lambda slow: undone.append(slow))
    flow.add("order", lambda: None, after=any_of("quick", "slow", cancel_rest=True))
    flow.wait_signal("pay", after="order")
    flow.add("paid", lambda: 1 / 0, after="pay")
    run = await engine.start(flow, id="booking")
    await engine.advance("1s")
    await engine.signal(run.id, "look", id="look")
    await engine.until_waiting(run)
    await engine.signal(run.id, "pay", id="pay")
    await engine.until(run, "compensated")
    assert undone == ["room 7"]


@pytest.mark.parametrize("order", ["cancel_step", "skip_step"])
async def test_a_place_is_kept_until_its_holder_has_stopped(engine: Engine, order: str) -> None:
    """A6: `second` begins when `first` has stopped, not when it was told to."""
    flow = Workflow("places")
    log: list[str] = []

    async def first(ctx: Context) -> None:
        log.append("begun")
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            log.append("stopped")
            raise

    flow.add("first", first)
    flow.add("second", lambda: log.append("second"))
    flow.parallel("group", ["first", "second"], concurrency=1, on_error="complete_all")
    run = await engine.start(flow, id="places")
    await engine.advance("1s")
    assert log == ["begun"]
    await getattr(run, order)("first")
    await engine.until(run, "completed")
    assert log == ["begun", "stopped", "second"]


async def test_a_skipped_list_hands_on_what_it_has(engine: Engine) -> None:
    """E6: members under way are skipped, too, and what follows goes on."""
    flow = Workflow("list")

    @flow.each("input", concurrency=1)
    async def send(item: int) -> int:
        await asyncio.sleep(3600 if item else 0)
        return item + 10

    flow.add("end", lambda send: send)
    run = await engine.start(flow, [0, 1, 2], id="list")
    await engine.advance("1s")
    await run.skip_step("send")
    await engine.until(run, "completed")
    assert run.output == [10, None, None]
    assert [run.step(f"send[{i}]").status for i in range(3)] == ["completed", "skipped", "skipped"]
