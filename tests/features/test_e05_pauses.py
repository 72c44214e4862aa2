"""E5: a run is paused and resumed, with context that is added to it."""

from __future__ import annotations

import asyncio

import pytest

from stream_durable import Context, Expand, Fail, Gate, Happened, Retry, Snooze, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.core.lifecycle import StepEvent
from stream_durable.testing import Engine


async def test_no_step_begins_until_it_is_resumed(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    flow.add("a", lambda go: go)
    flow.add("b", lambda a: a)
    run = await engine.start(flow)
    await engine.until_waiting(run)
    order = await run.pause("lunch")
    await engine.signal(run.id, "go", 1)
    await engine.advance("1d")
    state = run.state
    assert (state.status, engine.calls("a")) == ("paused", 0)
    assert (state.steps["a"].status, state.steps["a"].held) == ("pending", "paused")
    assert state.requests.pause is not None
    assert (state.requests.pause.id, state.requests.pause.reason) == (order, "lunch")
    assert "to be resumed" in run.step("a").waits_for[0]
    resumed = await run.resume()
    await engine.until(run, "completed")
    requests = run.state.requests
    assert requests.pause is None
    assert requests.resume is not None
    assert requests.resume.id == resumed


async def test_what_is_under_way_goes_on_and_nothing_follows(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def a() -> str:
        await asyncio.sleep(60)
        return "a"

    flow.add("b", lambda a: a)
    run = await engine.start(flow)
    await engine.advance("10s")
    await run.pause()
    await engine.advance("10m")
    assert (run.step("a").status, run.step("b").status, run.status) == ("completed", "pending", "paused")
    await run.resume()
    await engine.until(run, "completed")
    assert run.output == "a"


async def test_resuming_adds_to_the_context(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    def first(ctx: Context) -> None:
        ctx.put("kept", 1)
        ctx.put("changed", 1)

    flow.wait_signal("go", after=first)

    @flow.step(after="go")
    def last(ctx: Context) -> dict[str, int]:
        return {name: ctx.get(name) for name in ("kept", "changed", "added")}

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.pause()
    await run.resume(context={"changed": 2, "added": 3})
    assert run.context == {"kept": 1, "changed": 2, "added": 3}
    await engine.signal(run.id, "go")
    await engine.until(run, "completed")
    assert run.output == {"kept": 1, "changed": 2, "added": 3}


@pytest.mark.parametrize("kind", ["retry", "each", "expansion", "group", "child", "branch", "sleep", "step"])
async def test_nothing_of_any_kind_begins(engine: Engine, kind: str) -> None:
    small = Workflow("small")
    small.add("in_child", lambda: 1)
    flow = Workflow("flow")
    flow.wait_signal("go")
    match kind:
        case "retry":
            engine.fail("x")
            flow.add("x", lambda: 1, after="go", retry=Retry(2, base="1s"))
        case "each":
            flow.each("go", name="x")(lambda item: item)
        case "expansion":
            made = flow.template(name="made")(lambda item: item)
            flow.add("x", lambda: Expand([made.of(1)]), after="go")
        case "group":
            flow.add("m", lambda: 1)
            flow.parallel("x", ["m"], after="go")
        case "child":
            flow.child("x", small, after="go")
        case "branch":
            flow.branch("x", on="go").clause().add("m", lambda: 1)
        case "sleep":
            flow.sleep("x", "1s", after="go")
        case _:
            flow.add("x", lambda: 1, after="go")
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.pause()
    await engine.signal(run.id, "go", [1])
    await engine.advance("1h")
    assert run.status == "paused"
    assert run.step("x").status == "pending"
    assert run.children == []
    await run.resume()
    await engine.until(run, "completed")


async def test_the_next_attempt_waits_too(engine: Engine) -> None:
    flow = Workflow("flow")
    engine.fail("a")
    flow.add("a", lambda: "a", retry=Retry(2, base="1m"))
    run = await engine.start(flow)
    await engine.advance("10s")
    await run.pause()
    await engine.advance("1h")
    assert (run.status, engine.calls("a")) == ("paused", 0)
    await run.resume()
    await engine.until(run, "completed")
    assert run.step("a").attempts == 2


@pytest.mark.parametrize("gate", [None, Gate("bank", at_once=1)])
async def test_a_step_that_has_snoozed_waits_too(engine: Engine, gate: Gate | None) -> None:
    calls, begun = list[str](), list[str]()
    flow = Workflow("flow")

    @flow.step(gate=gate)
    def a(ctx: Context) -> str | Snooze:
        calls.append(ctx.idempotency_key)
        return Snooze("1m") if len(calls) == 1 else "a"

    @flow.on_step_start
    def began(happened: Happened) -> None:
        begun.append(happened.step)

    run = await engine.start(flow)
    await engine.advance("10s")
    await run.pause()
    await engine.advance("1h")
    assert (run.status, len(calls), run.step("a").status) == ("paused", 1, "pending")
    await run.resume()
    await engine.until(run, "completed")
    assert calls[0] == calls[1] and run.step("a").attempts == 1 and begun == ["a"]


async def test_the_total_time_goes_on_between_attempts(engine: Engine) -> None:
    flow = Workflow("flow")
    engine.fail("a", times=9)
    flow.add("a", lambda: "a", total="10m", retry=Retry(9, base="1m", backoff="fixed"))
    run = await engine.start(flow)
    await engine.advance("10s")
    await run.pause()
    await engine.advance("5m")
    assert (run.step("a").status, run.step("a").attempts) == ("pending", 2)
    await run.resume()
    await engine.advance("2m")
    await run.pause()
    await engine.advance("3m")
    step = run.step("a")
    assert (step.status, step.failure and step.failure.code, run.status) == ("failed", "timeout", "failed")


async def test_a_step_begins_once_however_often_it_is_held_up(engine: Engine) -> None:
    begun = list[str]()
    flow = Workflow("flow")
    engine.fail("a", times=2)
    flow.add("a", lambda: "a", retry=Retry(3, base="1m", backoff="fixed"))

    @flow.on_step_start
    def began(happened: Happened) -> None:
        begun.append(happened.step)

    run = await engine.start(flow)
    await engine.advance("10s")
    await run.pause()
    await engine.advance("5m")
    await run.resume()
    await engine.until(run, "completed")
    assert begun == ["a"]


@pytest.mark.parametrize("order", ["cancel", "skip"])
async def test_what_is_held_up_between_attempts_has_begun(engine: Engine, order: str) -> None:
    flow = Workflow("flow")
    engine.fail("a")
    flow.add("a", lambda: "a", retry=Retry(2, base="1m"))
    flow.add("b", lambda: "b", after="a")
    run = await engine.start(flow)
    await engine.advance("10s")
    await run.pause()
    await engine.advance("5m")
    await (run.cancel_step("a") if order == "cancel" else run.skip_step("a"))
    await run.resume()
    said = [event.type for event in run.events if isinstance(event, StepEvent) and event.step == "a"]
    assert said[-1] == ("step.cancelled" if order == "cancel" else "step.skipped")
    await engine.until_idle()
    await run.retry("a")
    await engine.until(run, "completed")
    assert run.step("a").output == "a"


async def test_time_outs_run_on(engine: Engine) -> None:
    flow = Workflow("flow", timeout="2h")
    flow.wait_signal("go", timeout="1h", on_timeout="none")
    flow.add("a", lambda go: go)
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.pause()
    await engine.advance("1h")
    assert (run.step("go").output, run.step("a").status) == ("none", "pending")
    await engine.advance("1h")
    assert run.status == "failed"


async def test_a_paused_run_can_be_cancelled(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.pause("hm")
    await run.cancel("no")
    assert run.status == "cancelled"


async def test_a_run_that_has_not_begun_can_be_paused(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1)
    run = await engine.start(flow, after="1h")
    await run.pause()
    await engine.advance("2h")
    assert engine.calls("a") == 0
    await run.resume()
    await engine.until(run, "completed")


async def test_pausing_is_too_late_once_a_run_is_on_its_way_to_its_end(engine: Engine) -> None:
    flow = Workflow("flow")

    async def slow() -> None:
        await asyncio.sleep(60)

    flow.add("a", lambda: 1).compensate(slow)
    flow.add("b", lambda: 1 / 0, after="a")
    run = await engine.start(flow)
    await engine.advance("1s")
    await run.pause("wait")
    assert run.state.requests.pause is None
    assert run.status == "compensating"
    await engine.until(run, "compensated")
    await run.pause("wait")
    await run.resume()
    assert (run.status, run.state.requests.pause) == ("compensated", None)


async def test_pausing_twice_and_resuming_twice_is_once(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.pause("first")
    await run.pause("second")
    request = run.state.requests.pause
    assert request is not None
    assert request.reason == "first"
    await run.resume()
    await run.resume()
    assert run.status == "waiting"
    assert [e.type for e in run.events if e.type in ("run.paused", "run.resumed")] == [
        "run.paused",
        "run.resumed",
    ]


async def test_a_pause_outlives_the_reconciler(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    flow.add("a", lambda go: go)
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.pause()
    engine.restart()
    engine.redeliver()
    await engine.signal(run.id, "go")
    await engine.advance("1h")
    assert (run.status, engine.calls("a")) == ("paused", 0)
    await run.resume()
    await engine.until(run, "completed")


async def test_what_is_no_object_cannot_be_added(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    run = await engine.start(flow)
    await run.pause()
    with pytest.raises(RejectedError, match="context"):
        await run.resume(context=[1])  # type: ignore[arg-type]
    assert run.status == "paused"


async def test_what_fails_while_it_is_paused_fails_the_run(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def a() -> None:
        await asyncio.sleep(60)
        raise Fail("broken")

    run = await engine.start(flow)
    await engine.advance("1s")
    await run.pause()
    await engine.advance("10m")
    assert run.status == "failed"


async def test_a_paused_run_that_is_cancelled_cleans_up_and_is_undone(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("first", lambda: 1).compensate(lambda: None)
    a = flow.wait_signal("go")
    flow.add("tidy", lambda: 2, after=[a.even_if_failed])
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.pause()
    await run.cancel(compensate=True)
    await engine.until(run, "compensated")
    assert engine.calls("tidy") == 1
