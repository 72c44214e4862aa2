"""C2: the whole graph is tried again from the start."""

from __future__ import annotations

from typing import Any

from outcomes import Clock, failure_of
from refusals import refusal

from stream_durable import Context, Fail, Happened, Retry, Workflow
from stream_durable.testing import Engine


def graph(restart: Retry, *, fails: int) -> tuple[Workflow, list[str]]:
    """Two steps, of which the second fails so many times."""
    flow = Workflow("graph", restart=restart)
    calls: list[str] = []

    @flow.step
    def first() -> int:
        calls.append("first")
        return len(calls)

    @flow.step
    def second(first: int) -> int:
        calls.append("second")
        if calls.count("second") <= fails:
            raise Fail("busy", f"time {calls.count('second')}", retryable=False)
        return first

    @flow.on_failure
    def failed(happened: Happened) -> None:
        calls.append("on_failure")

    @flow.on_success
    def succeeded() -> None:
        calls.append("on_success")

    return flow, calls


async def test_all_steps_are_called_again_those_that_completed_too(engine: Engine) -> None:
    flow, calls = graph(Retry(3, base="1s"), fails=2)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert calls == ["first", "second"] * 3 + ["on_success"]
    assert run.output == 5, "what the last try came to"
    assert run.state.attempt == 3
    assert run.failure is None


async def test_after_the_last_try_the_run_fails_once(engine: Engine) -> None:
    flow, calls = graph(Retry(3, base="1s"), fails=9)
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert calls == ["first", "second"] * 3 + ["on_failure"]
    assert (failure_of(run).message, failure_of(run).step) == ("time 3", "second")


async def test_without_it_there_is_one_try(engine: Engine) -> None:
    flow = Workflow("once", retry=Retry(2, base="1s"))
    flow.add("only", lambda: 1 / 0)
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert (run.state.attempt, engine.calls("only")) == (1, 2)


async def test_tries_are_apart_as_told_and_the_run_is_pending_meanwhile(engine: Engine) -> None:
    flow = Workflow("apart", restart=Retry(4, backoff="linear", base="10m", cap="1h"))
    clock = Clock()

    @flow.step
    async def only() -> None:
        clock.note()
        raise Fail("busy")

    run = await engine.start(flow)
    await engine.advance("1m")
    assert (run.status, run.step("only").status) == ("pending", "pending")
    due = run.state.due
    assert due is not None
    assert 8 * 60 < (due - engine.now).total_seconds() <= 9 * 60
    await engine.until(run, "failed")
    assert [round(wait / 60) for wait in clock.waits] == [10, 20, 30]


async def test_which_failures_bring_the_graph_back(engine: Engine) -> None:
    flow = Workflow("which", restart=Retry(3, base="1s", on=("busy", KeyError), not_on="fraud"))

    @flow.step
    def only(input: Any) -> None:  # noqa: A002
        raise KeyError(input) if input == "key" else Fail(input)

    attempts = {}
    for code in ("busy", "key", "fraud", "other"):
        run = await engine.start(flow, code)
        await engine.until(run, "failed")
        attempts[code] = run.state.attempt
    assert attempts == {"busy": 3, "key": 3, "fraud": 1, "other": 1}


async def test_steps_have_all_their_attempts_in_each_try(engine: Engine) -> None:
    flow = Workflow("both", restart=Retry(2, base="1s"))
    keys: list[str] = []

    @flow.step(retry=Retry(2, base="1s"))
    def only(ctx: Context) -> None:
        keys.append(ctx.idempotency_key)
        raise Fail("busy")

    run = await engine.start(flow, id="r")
    await engine.until(run, "failed")
    assert keys == [f"r/only/{n}" for n in (1, 2, 3, 4)], "no key is used for two pieces of work"


async def test_the_context_is_empty_at_first_in_each_try(engine: Engine) -> None:
    flow = Workflow("context", restart=Retry(3, base="1s"))
    seen: list[Any] = []

    @flow.step
    def first(ctx: Context) -> None:
        seen.append(ctx.get("n"))
        ctx.increment("n")

    @flow.step(after=first)
    def second() -> None:
        if len(seen) < 3:
            raise Fail("busy")

    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert seen == [None, None, None]
    assert run.context == {"n": 1}


async def test_a_run_that_is_cancelled_between_two_tries_stays_so(engine: Engine) -> None:
    flow, calls = graph(Retry(3, base="1h", cap="1h"), fails=9)
    run = await engine.start(flow)
    await engine.advance("1m")
    await run.cancel("enough")
    assert run.status == "cancelled"
    await engine.advance("1d")
    assert calls == ["first", "second"]


async def test_a_cancelled_run_does_not_begin_anew(engine: Engine) -> None:
    flow = Workflow("cancelled", restart=Retry(3, base="1s"))
    flow.wait_signal("go")
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.cancel()
    await engine.advance("1h")
    assert (run.status, run.state.attempt) == ("cancelled", 1)


async def test_one_that_crashes_meanwhile_is_tried_no_more_often(engine: Engine) -> None:
    flow = Workflow("crashing", restart=Retry(3, base="10s"))
    told: list[str] = []

    @flow.step
    def only(ctx: Context) -> int:
        if ctx.attempt < 3:
            raise Fail("busy")
        return ctx.attempt

    @flow.on_success
    def tell() -> None:
        told.append("success")

    engine.crash_after(tell)
    run = await engine.start(flow)
    for _ in range(3):
        await engine.advance("4s")
        engine.restart()
        engine.redeliver()
    await engine.until(run, "completed")
    assert (run.state.attempt, run.output) == (3, 3)
    assert len(told) == 2, "at least once, as every function"


def test_a_restart_is_data() -> None:
    flow = Workflow("bad", restart=Retry(2, backoff=lambda attempt, failure: "1s"))
    flow.add("a", lambda: 1)
    [fault] = refusal(flow)
    assert "restart= is decided without a worker" in fault
    flow = Workflow("bad", restart=2)  # type: ignore[arg-type]
    flow.add("a", lambda: 1)
    [fault] = refusal(flow)
    assert "restart= takes a Retry" in fault
