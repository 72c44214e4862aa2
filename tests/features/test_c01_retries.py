"""C1: how often a step is tried, after which waits, and for which failures."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from outcomes import Clock, failure_of
from pydantic import BaseModel
from refusals import refusal

from stream_durable import Context, Expand, Fail, Failure, Retry, Workflow
from stream_durable.testing import Engine


async def waits(engine: Engine, retry: Retry, *, id: str = "waits") -> list[float]:
    """Return the seconds between the attempts of a step that never succeeds."""
    flow = Workflow(f"flow_{id}")
    clock = Clock()

    @flow.step(retry=retry)
    async def never() -> None:
        clock.note()
        raise Fail("down", "again", details={"wait": 7})

    run = await engine.start(flow, id=id)
    await engine.until(run, "failed", within="300d")
    return clock.waits


@pytest.mark.parametrize(
    ("retry", "seconds"),
    [
        (Retry(1), []),
        (Retry(4), [1, 2, 4]),
        (Retry(4, backoff="fixed"), [1, 1, 1]),
        (Retry(4, backoff="fixed", base="0s"), [0, 0, 0]),
        (Retry(4, backoff="linear", base=timedelta(seconds=20)), [20, 40, 60]),
        (Retry(5, backoff="linear", base="20s", cap="50s"), [20, 40, 50, 50]),
        (Retry(5, base="20s"), [20, 40, 60, 60]),
        (Retry(4, base="1h", cap="90m"), [3600, 5400, 5400]),
    ],
    ids=str,
)
async def test_waits_grow_as_they_are_told(engine: Engine, retry: Retry, seconds: list[float]) -> None:
    assert await waits(engine, retry) == pytest.approx(seconds, abs=0.5)


async def test_jitter_shortens_each_run_otherwise_but_each_one_always_the_same(engine: Engine) -> None:
    retry = Retry(5, backoff="fixed", base="100s", cap="2m", jitter=0.2)
    first, second = await waits(engine, retry, id="first"), await waits(engine, retry, id="second")
    assert all(79.9 <= wait <= 100.5 for wait in first + second)
    assert len({round(wait, 1) for wait in first + second}) > 4, "a herd of retries is spread"
    with Engine.memory() as other:
        assert await waits(other, retry, id="first") == pytest.approx(first, abs=0.5)


@pytest.mark.parametrize("answers", [["3s", "2m", "1h"], [timedelta(seconds=3), "120s", "60m"]], ids=str)
async def test_a_function_of_the_attempt_and_its_failure_decides(engine: Engine, answers: list[Any]) -> None:
    asked: list[tuple[int, str, Any]] = []

    def backoff(attempt: int, failure: Failure) -> Any:
        asked.append((attempt, failure.code, failure.details))
        return answers[attempt - 1]

    assert await waits(engine, Retry(4, backoff=backoff)) == pytest.approx([3, 120, 3600], abs=0.5)
    # It may be asked after the last attempt, too, which no wait follows.
    assert asked[:3] == [(attempt, "down", {"wait": 7}) for attempt in (1, 2, 3)]


class TooBusy(ConnectionError):
    pass


@pytest.mark.parametrize(
    ("retry", "error", "attempts"),
    [
        (Retry(3, on="busy"), Fail("busy"), 3),
        (Retry(3, on=("busy", TimeoutError)), TimeoutError(), 3),
        (Retry(3, on=("busy", TimeoutError)), Fail("broken"), 1),
        (Retry(3, not_on=KeyError), KeyError("x"), 1),
        (Retry(3, not_on=["broken", KeyError]), Fail("broken"), 1),
        (Retry(3, not_on=["broken", KeyError]), ValueError("x"), 3),
        (Retry(3, on=ConnectionError), TooBusy("a subclass has a name of its own"), 1),
        (Retry(3, on=(ConnectionError, TooBusy)), TooBusy("named"), 3),
        (Retry(3, on=("busy", "broken"), not_on=TooBusy), Fail("busy"), 3),
        (Retry(3, on="busy"), Fail("busy", retryable=False), 1),
    ],
)
async def test_which_failures_are_tried_again(
    engine: Engine, retry: Retry, error: Exception, attempts: int
) -> None:
    flow = Workflow("flow")

    @flow.step(retry=retry)
    def step() -> None:
        raise error

    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert run.step("step").attempts == engine.calls(step) == attempts


async def test_a_time_out_is_chosen_by_its_code(engine: Engine) -> None:
    flow = Workflow("flow")

    async def slow() -> None:
        await asyncio.sleep(60)

    flow.add("again", slow, timeout="1s", retry=Retry(2, on="timeout"), on_error="continue")
    flow.add("once", slow, timeout="1s", retry=Retry(2, not_on="timeout"), on_error="continue")
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert (run.step("again").attempts, run.step("once").attempts) == (2, 1)


class Order(BaseModel):
    total: float


@pytest.mark.parametrize("bad", ["input", "output"])
async def test_a_value_that_does_not_fit_is_never_tried_again(engine: Engine, bad: str) -> None:
    flow = Workflow("flow", retry=Retry(5))
    flow.add("first", lambda: {"total": "no number"} if bad == "input" else {"total": 1})

    @flow.step
    def second(first: Order) -> int:
        return "no number"  # type: ignore[return-value]

    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert (failure_of(run).code, run.step("second").attempts) == (f"invalid_{bad}", 1)


async def test_the_workflows_retry_is_that_of_all_steps_without_one(engine: Engine) -> None:
    flow = Workflow("flow", retry=Retry(3, base="1s"))

    def shaky(ctx: Context) -> str:
        if ctx.attempt < 3:
            raise Fail("busy")
        return ctx.step

    flow.add("step", shaky)

    @flow.each("input")
    def each(item: int, ctx: Context) -> str:
        return shaky(ctx)

    @flow.template
    def made(ctx: Context) -> str:
        return shaky(ctx)

    flow.add("expands", lambda: Expand([made.of(None)]))
    kind = flow.branch("kind", on="input")
    kind.clause().add("clause", shaky)
    flow.add("once", shaky, retry=Retry(1), on_error="continue")
    flow.add("twice", shaky, retry=Retry(2), on_error="continue")
    run = await engine.start(flow, [1])
    await engine.until(run, "completed")
    attempts = {name: step.attempts for name, step in run.steps.items() if step.attempts > 1}
    assert attempts == {"step": 3, "each[0]": 3, "expands[0]": 3, "clause": 3, "twice": 2}
    assert run.step("once").status == "failed"


async def test_each_attempt_has_its_number_and_a_key_of_its_own(engine: Engine) -> None:
    flow = Workflow("flow")
    seen: list[tuple[int, str]] = []

    @flow.step(retry=Retry(3))
    def step(ctx: Context) -> None:
        seen.append((ctx.attempt, ctx.idempotency_key))
        raise Fail("busy")

    run = await engine.start(flow, id="order-1")
    await engine.until(run, "failed")
    assert seen == [(n, f"order-1/step/{n}") for n in (1, 2, 3)]


async def test_a_worker_that_dies_uses_up_no_attempt(engine: Engine) -> None:
    flow = Workflow("flow")
    keys: list[str] = []

    @flow.step(retry=Retry(2))
    def step(ctx: Context) -> str:
        keys.append(ctx.idempotency_key)
        return ctx.idempotency_key

    engine.crash_after(step, times=3)
    run = await engine.start(flow, id="r")
    await engine.until(run, "completed")
    assert keys == ["r/step/1"] * 4
    assert run.step("step").attempts == 1


async def test_between_two_attempts_a_step_is_retrying_and_says_until_when(engine: Engine) -> None:
    flow = Workflow("flow", retry=Retry(2, base="1h", cap="1h"))

    @flow.step
    def step(ctx: Context) -> int:
        if ctx.attempt == 1:
            raise Fail("busy", "come again")
        return ctx.attempt

    begun = engine.now
    run = await engine.start(flow)
    await engine.advance("1m")
    state = run.step("step").state
    assert (state.status, state.attempt, failure_of(run.step("step")).message) == (
        "retrying",
        1,
        "come again",
    )
    assert state.due is not None
    assert abs((state.due - begun).total_seconds() - 3600) < 1
    assert run.status in ("running", "waiting")
    await engine.advance("1h")
    assert (run.status, run.output, run.step("step").failure) == ("completed", 2, None)


async def test_the_last_failure_is_the_one_that_counts(engine: Engine) -> None:
    flow = Workflow("flow", retry=Retry(3))

    @flow.step
    def step(ctx: Context) -> None:
        raise Fail(f"code_{ctx.attempt}", f"attempt {ctx.attempt}", retryable=ctx.attempt < 2)

    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert (failure_of(run).code, failure_of(run).step) == ("code_2", "step")


async def test_a_child_step_is_tried_again_with_a_run_of_its_own(engine: Engine) -> None:
    small = Workflow("small")
    tries: list[str] = []

    @small.step
    def only(ctx: Context) -> int:
        tries.append(ctx.run_id)
        if len(tries) < 3:
            raise Fail("busy")
        return len(tries)

    flow = Workflow("flow")
    flow.child("kid", small, retry=Retry(3, base="5s"))
    run = await engine.start(flow, id="p")
    await engine.until(run, "completed")
    assert run.output == 3
    assert len(set(tries)) == 3
    assert [child.status for child in run.children] == ["failed", "failed", "completed"]


def test_a_retry_that_cannot_be_is_refused_with_all_that_is_wrong() -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1, retry=Retry(0))
    flow.add("b", lambda: 1, retry=Retry(2, jitter=2))
    flow.add("c", lambda: 1, retry=Retry(2, base="2h", cap="1h"))
    flow.add("d", lambda: 1, retry=Retry(2, on="x", not_on="x"))
    flow.add("e", lambda: 1, retry=Retry("2", backoff="soon", base="1 s", on=3))  # type: ignore[arg-type]
    flow.add("f", lambda: 1, retry=3)  # type: ignore[arg-type]
    flow.add("g", lambda: 1, retry=Retry(2, backoff=lambda attempt: "1s", base="2s"))  # type: ignore[arg-type,misc]
    faults = refusal(flow)
    said = {name: [fault for fault in faults if f"'{name}'" in fault.partition(":")[0]] for name in "abcdefg"}
    assert [len(said[name]) for name in "abcdefg"] == [1, 1, 1, 1, 4, 1, 2]
    for name, words in {
        "a": "at least one attempt",
        "b": "between 0 and 1",
        "c": "above its cap",
        "d": "'x'",
        "f": "Retry(3)",
    }.items():
        assert words in said[name][0]
