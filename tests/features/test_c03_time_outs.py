"""C3: time-outs of an attempt, of a step in total, and of a workflow: a duration, a function, or none."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from outcomes import Clock, failure_of
from refusals import refusal

from stream_durable import Context, Fail, Retry, Snooze, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


def nap(seconds: float) -> Callable[[], Coroutine[None, None, str]]:
    """Return a function that takes so long."""

    async def slow() -> str:
        await asyncio.sleep(seconds)
        return "slept"

    return slow


def seconds_since(begun: Any, engine: Engine) -> float:
    return float((engine.now - begun).total_seconds())


@pytest.mark.parametrize(
    "timeout", ["10s", timedelta(seconds=10), lambda: "10s", lambda input: timedelta(seconds=10)]
)
async def test_an_attempt_that_takes_too_long_fails(engine: Engine, timeout: Any) -> None:
    flow = Workflow("flow")
    flow.add("slow", nap(60), timeout=timeout)
    flow.add("fast", nap(9), timeout=timeout)
    begun = engine.now
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert 9.9 < seconds_since(begun, engine) < 12
    failure = failure_of(run)
    assert (failure.code, failure.step, failure.retryable) == ("timeout", "slow", True)
    assert "10000 ms" in failure.message
    assert run.step("fast").output == "slept"


async def test_each_attempt_has_all_of_its_time(engine: Engine) -> None:
    flow = Workflow("flow")
    clock = Clock()

    @flow.step(timeout="10s", retry=Retry(3, backoff="fixed", base="5s"))
    async def slow(ctx: Context) -> str:
        assert ctx.deadline is not None
        return await nap(60 if clock.note() < 3 else 9)()

    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert clock.times == pytest.approx([0, 15, 30], abs=1)


async def test_a_function_is_asked_before_each_attempt_with_the_steps_values(engine: Engine) -> None:
    flow = Workflow("flow")
    asked: list[Any] = []
    flow.add("size", lambda: 3)

    async def limit(ctx: Context, size: int, input: int) -> str:
        asked.append((ctx.attempt, size, input, ctx.get("factor")))
        return f"{size * ctx.attempt}s"

    @flow.step(after="size")
    def factor(ctx: Context) -> None:
        ctx.put("factor", 2)

    @flow.step(after=factor, timeout=limit, retry=Retry(2, base="0s"))
    async def slow() -> str:
        return await nap(5)()

    run = await engine.start(flow, 7)
    await engine.until(run, "completed")
    assert asked == [(1, 3, 7, 2), (2, 3, 7, 2)]


@pytest.mark.parametrize(
    ("limit", "code", "words"),
    [
        (lambda: "soon", "bad_timeout", "'soon' is not a duration"),
        (lambda: 5, "bad_timeout", "5 is not a duration"),
        (lambda input: input["nothing"], "KeyError", "nothing"),
    ],
)
async def test_a_function_that_answers_nonsense_fails_the_attempt(
    engine: Engine, limit: Any, code: str, words: str
) -> None:
    flow = Workflow("flow")
    flow.add("step", lambda: 1, timeout=limit)
    run = await engine.start(flow, {})
    await engine.until(run, "failed")
    assert failure_of(run).code == code
    assert words in failure_of(run).message
    assert engine.calls("step") == 0


async def test_without_one_nothing_ends_an_attempt(engine: Engine) -> None:
    flow = Workflow("flow", retry=Retry(2))
    flow.add("slow", nap(1800))

    @flow.step
    def deadline_is(ctx: Context) -> bool:
        return ctx.deadline is None

    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert run.step("slow").attempts == 1
    assert run.step("deadline_is").output is True


async def test_a_function_whose_time_is_over_is_told_so_that_it_can_leave_things_tidy(engine: Engine) -> None:
    flow = Workflow("flow")
    left: list[str] = []

    @flow.step(timeout="1s", on_error="continue")
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            left.append("slow")
            raise

    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert left == ["slow"]
    assert failure_of(run.step("slow")).code == "timeout"


async def test_a_function_that_does_not_stop_is_given_up(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step(timeout="10s")
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                continue

    run = await engine.start(flow)
    await engine.advance("2m")
    assert (run.status, failure_of(run).code) == ("failed", "timeout")


async def test_a_step_in_total_has_a_time_for_attempts_and_the_waits_between(engine: Engine) -> None:
    flow = Workflow("flow")
    clock = Clock()

    @flow.step(total="25s", retry=Retry(9, backoff="fixed", base="10s"))
    async def never() -> None:
        clock.note()
        raise Fail("busy")

    begun = engine.now
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert clock.times == pytest.approx([0, 10, 20], abs=1)
    assert 24 < seconds_since(begun, engine) < 27
    assert (failure_of(run).code, failure_of(run).step) == ("timeout", "never")


async def test_a_total_cuts_an_attempt_short_and_is_not_tried_again(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("slow", nap(600), total="20s", timeout="15s", retry=Retry(5, base="0s"))
    begun = engine.now
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert 19 < seconds_since(begun, engine) < 22
    assert run.step("slow").attempts == 2


@pytest.mark.parametrize(("how", "status"), [("cancel_step", "cancelled"), ("skip_step", "skipped")])
async def test_a_step_asked_to_stop_ends_so_when_its_total_is_over(
    engine: Engine, how: str, status: str
) -> None:
    flow = Workflow("flow")

    @flow.step(total="30s")
    async def stubborn() -> None:
        for _ in range(10):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    stubborn.compensate(lambda: None)
    flow.add("beside", lambda: "done")
    run = await engine.start(flow)
    await getattr(run, how)("stubborn")
    assert run.step("stubborn").status != status, "its answer is waited for"
    await engine.advance("1m")
    assert (run.step("stubborn").status, run.status) == (status, "completed")


async def test_a_total_holds_for_snoozes_too(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("asks", lambda: Snooze("10m"), total="1h")
    begun = engine.now
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert failure_of(run).code == "timeout"
    assert abs(seconds_since(begun, engine) - 3600) < 5
    assert engine.calls("asks") == 6


async def test_a_total_counts_from_when_the_step_may_begin(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("before", nap(60))
    flow.add("step", nap(20), after="before", total="30s")
    run = await engine.start(flow)
    await engine.until(run, "completed")


async def test_a_total_is_over_for_a_function_that_never_began_before_its_time(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step(total="1h")
    def busy() -> Snooze:
        return Snooze("2h")

    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert failure_of(run).code == "timeout"


@pytest.mark.parametrize("kind", ["step", "sleep", "signal", "event", "child", "retry"])
async def test_a_workflow_that_takes_too_long_fails(engine: Engine, kind: str) -> None:
    flow = Workflow("flow", timeout="1h")
    match kind:
        case "step":
            flow.add("x", nap(7200))
        case "sleep":
            flow.sleep("x", "2h")
        case "signal":
            flow.wait_signal("x", timeout="2h")
        case "event":
            flow.wait_event("x", "paid", key="input.id")
        case "child":
            small = Workflow("small")
            small.sleep("nap", "2h")
            flow.child("x", small)
        case _:
            flow.add("x", lambda: 1 / 0, retry=Retry(9, base="2h", cap="2h"))
    flow.add("never", lambda: 1, after="x")
    begun = engine.now
    run = await engine.start(flow, {"id": "1"})
    await engine.until(run, "failed")
    assert abs(seconds_since(begun, engine) - 3600) < 3
    failure = failure_of(run)
    assert (failure.code, failure.step) == ("timeout", None)
    assert [run.step("x").status, run.step("never").status] == ["cancelled", "cancelled"]
    assert [child.status for child in run.children] == (["cancelled"] if kind == "child" else [])


async def test_a_workflows_time_does_not_run_before_its_start(engine: Engine) -> None:
    flow = Workflow("flow", timeout="1h")
    flow.sleep("nap", "50m")
    run = await engine.start(flow, after="1d")
    await engine.until(run, "completed")


async def test_what_undoes_and_what_cleans_up_is_done_after_the_time_too(engine: Engine) -> None:
    flow = Workflow("flow", timeout="1m")
    done: list[str] = []
    reserve = flow.add("reserve", lambda: 1)
    nap_ = flow.sleep("nap", "1h", after=reserve)

    @flow.step(after=nap_.even_if_failed)
    async def tidy() -> None:
        await asyncio.sleep(120)
        done.append("tidy")

    @reserve.compensate
    async def release() -> None:
        await asyncio.sleep(120)
        done.append("release")

    run = await engine.start(flow)
    await engine.until(run, "compensated")
    assert done == ["tidy", "release"]
    assert failure_of(run).code == "timeout"


async def test_compensations_and_hooks_have_time_outs_of_their_own(engine: Engine) -> None:
    flow = Workflow("flow")
    reserve = flow.add("reserve", lambda: 1)
    reserve.compensate(timeout="5s")(nap(60))
    flow.add("fails", lambda: 1 / 0, after=reserve)
    flow.on_failure(timeout=lambda: "5s")(nap(60))
    begun = engine.now
    run = await engine.start(flow)
    await engine.until(run, "compensation_failed")
    assert 9 < seconds_since(begun, engine) < 14
    assert failure_of(run.step("reserve~compensate")).code == "timeout"
    assert failure_of(run.step("~on_failure")).code == "timeout"


async def test_a_child_and_members_of_each_have_time_outs(engine: Engine) -> None:
    small = Workflow("small")
    small.sleep("nap", "1d")
    flow = Workflow("flow")
    flow.child("kid", small, timeout="1h", on_error="continue")

    @flow.each("input", timeout="10s", on_error="complete_all")
    async def member(item: int) -> int:
        await asyncio.sleep(item)
        return item

    run = await engine.start(flow, [1, 60, 2])
    await engine.until(run, "completed")
    assert failure_of(run.step("kid")).code == "timeout"
    assert [child.status for child in run.children] == ["cancelled"]
    assert run.step("member").output == [1, None, 2]
    assert failure_of(run.step("member[1]")).code == "timeout"


def test_a_time_out_that_cannot_be_is_refused() -> None:
    flow = Workflow("flow", timeout="long")
    flow.add("a", lambda: 1, timeout="10 seconds")
    flow.add("b", lambda: 1, timeout=10)  # type: ignore[arg-type]
    flow.add("c", lambda: 1, timeout=lambda nobody, x: "1s")
    flow.add("d", lambda: 1, total=lambda: "1s")  # type: ignore[arg-type]
    flow.add("e", lambda: 1, timeout="-5s")
    flow.add("f", lambda: 1, timeout="200000d")
    faults = refusal(flow)
    begins = ["workflow 'flow'", *(f"step {name!r}" for name in "abcdef")]
    assert {begin for begin in begins if any(fault.startswith(begin) for fault in faults)} == set(begins)


async def test_a_start_may_bring_a_time_out_of_its_own(engine: Engine) -> None:
    flow = Workflow("flow", timeout="1h", restart=Retry(2, backoff="fixed", base="10s"))
    flow.wait_signal("never")
    begun = engine.now

    run = await engine.start(flow, after="5m", timeout="1m")
    await engine.until(run, "failed")

    # After the delay, and for each try of the run.
    assert 5 * 60 + 130 <= seconds_since(begun, engine) < 5 * 60 + 140
    failure = failure_of(run)
    assert (failure.code, failure.message) == ("timeout", "the run did not end within 60000 ms")


async def test_a_start_may_give_a_run_more_time_than_its_workflow_has(engine: Engine) -> None:
    flow = Workflow("flow", timeout="1m")
    flow.add("slow", nap(90))

    run = await engine.start(flow, timeout="2m")

    await engine.until(run, "completed")
    other = await engine.start(flow)
    await engine.until(other, "failed")


async def test_a_run_that_is_started_again_or_retried_has_the_time_of_its_start(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("never")
    run = await engine.start(flow, timeout="1m")
    await engine.until(run, "failed")

    begun = engine.now
    await run.retry()
    await engine.until(run, "failed")
    again = await run.start_again()
    await engine.until(again, "failed")

    assert 120 <= seconds_since(begun, engine) < 130


@pytest.mark.parametrize("timeout", ["0s", timedelta(0)])
async def test_no_time_at_all_is_refused(engine: Engine, timeout: Any) -> None:
    flow = Workflow("flow")
    flow.wait_signal("never")

    with pytest.raises(RejectedError, match="timeout="):
        await engine.start(flow, timeout=timeout)
