"""C9: what was decided stays decided when what failed is made anew."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from stream_durable import Fail, Finish, Workflow, any_of, some_of
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine

#: What is broken, by the name of its step.
Broken = set[str]


def race_and_ship(*, cancel_rest: bool) -> tuple[Workflow, Broken, list[str]]:
    """`quick` and `slow` race for `order`, after which comes `ship`, which may be broken."""
    flow = Workflow("race")
    calls: list[str] = []
    broken = {"ship"}
    flow.add("quick", lambda: calls.append("quick"))
    flow.wait_signal("late")
    flow.add("slow", lambda late: calls.append("slow"), after="late")
    flow.add("order", lambda: calls.append("order"), after=any_of("quick", "slow", cancel_rest=cancel_rest))

    @flow.step(after="order")
    def ship() -> None:
        calls.append("ship")
        if "ship" in broken:
            raise Fail("broken", retryable=False)

    return flow, broken, calls


async def test_the_loser_of_a_race_is_left_alone(engine: Engine) -> None:
    flow, broken, calls = race_and_ship(cancel_rest=True)
    run = await engine.start(flow)
    await engine.until(run, "failed")
    broken.clear()
    calls.clear()
    await run.retry()
    await engine.until_idle()
    assert (run.status, calls) == ("completed", ["ship"])
    assert run.step("slow").failure is not None
    assert (run.step("slow").status, run.step("slow").failure.code) == ("cancelled", "not_needed")


async def test_a_member_of_a_race_that_failed_is_left_alone(engine: Engine) -> None:
    flow = Workflow("race")
    calls: list[str] = []
    broken = {"ship", "slow"}

    def work(name: str) -> None:
        calls.append(name)
        if name in broken:
            raise Fail("broken", retryable=False)

    flow.add("slow", lambda: work("slow"))
    flow.add("quick", lambda: work("quick"))
    flow.add("order", lambda: work("order"), after=any_of("quick", "slow"))
    flow.add("ship", lambda: work("ship"), after="order")
    run = await engine.start(flow)
    await engine.until(run, "failed")
    broken.clear()
    calls.clear()
    await run.retry()
    await engine.until_idle()
    assert (run.status, calls, run.step("slow").status) == ("completed", ["ship"], "failed")


async def test_a_withdrawn_wait_stays_withdrawn(engine: Engine) -> None:
    flow = Workflow("choice")
    calls: list[str] = []
    broken = {"ship"}
    flow.wait_signal("pay")
    flow.wait_signal("withdraw")
    flow.add("chosen", lambda: None, after=any_of("pay", "withdraw", cancel_rest=True))
    flow.add("refund", lambda: calls.append("refund"), after="withdraw")

    @flow.step(after="pay")
    def ship() -> None:
        if "ship" in broken:
            raise Fail("broken", retryable=False)
        calls.append("ship")

    run = await engine.start(flow)
    await engine.signal(run.id, "pay")
    await engine.until(run, "failed")
    broken.clear()
    await run.retry()
    await engine.until_idle()
    assert (run.status, calls) == ("completed", ["ship"])
    assert (run.step("withdraw").status, run.step("refund").status) == ("cancelled", "cancelled")


async def test_a_sleep_that_lost_holds_nothing_open(engine: Engine) -> None:
    flow = Workflow("reminder")
    broken = {"ship"}
    flow.add("paid", lambda: 1)
    flow.sleep("a_week", "7d")
    flow.add("either", lambda: None, after=any_of("paid", "a_week", cancel_rest=True))

    @flow.step(after="either")
    def ship() -> None:
        if broken:
            raise Fail("broken", retryable=False)

    run = await engine.start(flow)
    await engine.until(run, "failed")
    broken.clear()
    await run.retry()
    await engine.until_idle()
    assert run.status == "completed"


async def test_members_beyond_those_that_are_enough_are_left_alone(engine: Engine) -> None:
    flow = Workflow("mirrors")
    tried: list[int] = []
    broken = {"use"}

    @flow.each("input", enough=1, concurrency=2, on_error="complete_all")
    def fetch(item: int) -> int:
        tried.append(item)
        if item == 0:
            raise Fail("down", retryable=False)
        return item

    @flow.step
    def use(fetch: list[int | None]) -> list[int | None]:
        if broken:
            raise Fail("broken", retryable=False)
        return fetch

    run = await engine.start(flow, [0, 1, 2, 3])
    await engine.until(run, "failed")
    before = list(tried)
    broken.clear()
    await run.retry()
    await engine.until_idle()
    assert (run.status, tried) == ("completed", before)
    assert run.step("fetch[0]").status == "failed"


async def test_what_was_finished_stays_finished(engine: Engine) -> None:
    flow = Workflow("cached")
    calls: list[str] = []
    broken = {"audit"}

    @flow.step(on_error="continue")
    def audit() -> None:
        calls.append("audit")
        if broken:
            raise Fail("broken", retryable=False)

    flow.add("note", lambda audit=None: calls.append("note"))
    flow.sleep("a_while", "1m")
    flow.add("look", lambda: Finish("cached"), after="a_while")
    flow.wait_signal("go")
    flow.add("compute", lambda: calls.append("compute"), after="go")
    run = await engine.start(flow)
    await engine.until(run, "completed")
    broken.clear()
    calls.clear()
    await run.retry()
    await engine.signal(run.id, "go", 1)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "cached"), "what is made anew does not replace it"
    assert (run.step("go").status, run.step("compute").status) == ("cancelled", "cancelled")
    assert calls == ["audit", "note"]


async def test_a_finished_run_in_which_nothing_failed_has_nothing_to_make_anew(engine: Engine) -> None:
    flow = Workflow("cached")
    flow.add("look", lambda: Finish("cached"))
    flow.wait_signal("go")
    flow.add("compute", lambda: None, after="go")
    run = await engine.start(flow)
    await engine.until(run, "completed")
    with pytest.raises(RejectedError, match="no step of run"):
        await run.retry()
    assert (run.status, run.output, run.step("go").status) == ("completed", "cached", "cancelled")


async def test_a_named_step_is_made_anew_and_what_failed_elsewhere_is_not(engine: Engine) -> None:
    flow = Workflow("two")
    calls: list[str] = []
    broken = {"mail", "ship"}

    def work(name: str) -> None:
        calls.append(name)
        if name in broken:
            raise Fail(f"no_{name}", retryable=False)

    flow.add("mail", lambda: work("mail"), on_error="continue")
    flow.add("ship", lambda: work("ship"), after="mail")
    flow.add("bill", lambda: work("bill"), after="ship")
    run = await engine.start(flow)
    await engine.until(run, "failed")
    broken.clear()
    calls.clear()
    await run.retry("ship")
    await engine.until_idle()
    assert (run.status, calls, run.step("mail").status) == ("completed", ["ship", "bill"], "failed")


async def test_a_run_fails_again_if_what_failed_elsewhere_is_not_made_anew(engine: Engine) -> None:
    flow = Workflow("two")
    flow.wait_signal("go")
    flow.add("a", lambda go: 1 / 0)
    flow.add("b", lambda: 1)
    flow.add("end", lambda a, b: None)
    run = await engine.start(flow)
    await engine.signal(run.id, "go")
    await engine.until(run, "failed")
    await run.retry("b")
    await engine.until_idle()
    assert run.failure is not None
    assert (run.status, run.failure.step, run.step("a").attempts) == ("failed", "a", 1)
    assert (run.step("b").attempts, run.step("end").status) == (2, "cancelled")


async def test_what_was_undone_and_is_needed_is_made_anew_with_a_named_step(engine: Engine) -> None:
    flow = Workflow("saga")
    done: list[str] = []
    broken = {"ship"}
    flow.add("gift", lambda: done.append("gift")).compensate(lambda: done.append("no gift"))
    flow.add("reserve", lambda: done.append("reserve")).compensate(lambda: done.append("release"))
    flow.add("label", lambda: done.append("label"), after="reserve")

    @flow.step(after="label")
    def ship() -> None:
        if broken:
            raise Fail("broken", retryable=False)
        done.append("ship")

    run = await engine.start(flow)
    await engine.until(run, "compensated")
    broken.clear()
    done.clear()
    await run.retry("ship")
    await engine.until_idle()
    assert done == ["reserve", "label", "ship"]
    assert (run.status, run.step("gift").status) == ("completed", "compensated")


async def test_a_race_that_follows_a_named_step_is_run_anew(engine: Engine) -> None:
    flow, broken, calls = race_and_ship(cancel_rest=True)
    broken.clear()
    run = await engine.start(flow)
    await engine.until(run, "completed")
    calls.clear()
    await run.retry("late")
    await engine.until_waiting(run)
    await engine.signal(run.id, "late", 1)
    await engine.until_idle()
    assert run.status == "completed"
    assert "slow" in calls


async def test_of_three_two_are_decided_for_good(engine: Engine) -> None:
    flow = Workflow("votes")
    calls: list[str] = []
    broken = {"count"}
    for name in ("a", "b"):
        flow.add(name, lambda name=name: calls.append(name))
    flow.wait_signal("c")
    flow.add("count", lambda: 1 / 0 if broken else None, after=some_of(2, "a", "b", "c", cancel_rest=True))
    run = await engine.start(flow)
    await engine.until(run, "failed")
    broken.clear()
    await run.retry()
    await engine.until_idle()
    assert (run.status, run.step("c").status, sorted(calls)) == ("completed", "cancelled", ["a", "b"])


async def test_what_failed_inside_of_what_finish_cancelled_is_left_as_it_is(engine: Engine) -> None:
    """Also where a group in between had borne the failure and completed."""
    flow = Workflow("order")
    calls: list[str] = []

    @flow.step
    def fails() -> None:
        calls.append("fails")
        raise Fail("down", retryable=False)

    flow.parallel("inner", ["fails"], on_error="complete_all")
    flow.wait_signal("never")
    flow.parallel("outer", ["inner", "never"])

    @flow.step
    async def finish() -> Finish:
        await asyncio.sleep(5)
        return Finish("early")

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.step("outer").status, run.step("inner").status) == (
        "completed", "cancelled", "completed",
    )  # fmt: skip
    with suppress(RejectedError):
        await run.retry()
    await engine.until_idle()
    assert (run.status, run.output, calls) == ("completed", "early", ["fails"])
    assert run.step("outer").status == "cancelled"
