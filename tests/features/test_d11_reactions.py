"""D11: a function reacts to each signal of a name while a run goes on, wherever the run stands."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Cancel, Context, Expand, Fail, Finish, Jump, Retry, Workflow
from stream_durable.core.messages import InquireRun
from stream_durable.sdk.errors import DefinitionError
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str


class Told(BaseModel):
    reason: str
    undo: bool = False


def shop(react: Any, **options: Any) -> Workflow[Order, Any]:
    """Return a workflow that has done something which can be undone, and waits."""
    flow = Workflow("order", input=Order)

    @flow.step
    def reserve(ctx: Context[Order]) -> str:
        return "reserved"

    @reserve.compensate
    def release(ctx: Context[Order]) -> None:
        ctx.put("released", True)  # noqa: FBT003

    flow.wait_signal("go", after=reserve)
    flow.add("ship", lambda: "shipped", after="go")

    @flow.on_signal("order.cancelled", **options)
    def called_off(ctx: Context[Order], signal: Told) -> Any:
        ctx.append("heard", signal.reason)
        return react(ctx, signal)

    return flow


async def started(engine: Engine, flow: Workflow[Order, Any], **options: Any) -> Any:
    run = await engine.start(flow, Order(id="42"), **options)
    await engine.until_waiting(run)
    return run


def told(reason: str, **more: Any) -> dict[str, Any]:
    return {"reason": reason, **more}


async def test_a_function_is_called_for_each_signal_in_order_and_the_run_goes_on(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, signal: None))
    for n in range(5):
        await engine.signal(run, "order.cancelled", told(str(n)))
    await engine.until_idle()
    assert run.context["heard"] == ["0", "1", "2", "3", "4"]
    assert run.status == "waiting"
    await engine.signal(run, "go")
    assert await run.result() == "shipped"


async def test_each_id_is_worked_off_once(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, signal: None))
    for _ in range(3):
        await run.signal("order.cancelled", told("a"), id="s1")
    engine.redeliver()
    await engine.until_idle()
    assert run.context["heard"] == ["a"]


@pytest.mark.parametrize("undo", [False, True])
async def test_it_cancels_the_run_with_or_without_compensation(engine: Engine, undo: bool) -> None:  # noqa: FBT001
    run = await started(engine, shop(lambda ctx, signal: Cancel(signal.reason, compensate=undo)))
    await engine.signal(run, "order.cancelled", told("too late"))
    await engine.until_idle()
    assert run.status == ("compensated" if undo else "cancelled")
    assert run.context.get("released", False) is undo
    assert run.failure.code == "cancelled" and run.failure.message == "too late"
    assert run.state.helpers["~called_off.0"].status == "completed"
    assert run.step("ship").status == "cancelled"


async def test_it_finishes_the_run(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, signal: Finish({"off": signal.reason})))
    await engine.signal(run, "order.cancelled", told("enough"))
    assert await run.result() == {"off": "enough"}
    assert run.step("go").status == "cancelled"


async def test_signals_behind_one_that_ends_the_run_are_dropped(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, signal: Cancel(signal.reason)))
    engine.fail("~called_off", times=0)
    for n in range(3):
        await engine.signal(run, "order.cancelled", told(str(n)))
    await engine.until_idle()
    assert run.status == "cancelled" and run.context["heard"] == ["0"]
    await engine.signal(run, "order.cancelled", told("late"))
    await engine.until_idle()
    assert run.context["heard"] == ["0"]


async def test_a_failure_is_retried_and_then_fails_the_run(engine: Engine) -> None:
    def react(ctx: Context[Order], signal: Told) -> None:
        raise Fail("no_way", "cannot be")

    run = await started(engine, shop(react, retry=Retry(2, base="1s")))
    await engine.signal(run, "order.cancelled", told("a"))
    await engine.until_idle()
    assert run.status == "compensated"
    assert (run.failure.code, run.failure.step) == ("no_way", "~called_off.0")
    assert run.state.helpers["~called_off.0"].attempt == 2


@pytest.mark.parametrize("on_error", ["continue", "skip"])
async def test_a_failure_may_leave_the_run_alone(engine: Engine, on_error: str) -> None:
    def react(ctx: Context[Order], signal: Told) -> None:
        if signal.reason == "bad":
            raise Fail("no_way", "cannot be", retryable=False)

    run = await started(engine, shop(react, on_error=on_error))
    await engine.signal(run, "order.cancelled", told("bad"))
    await engine.signal(run, "order.cancelled", told("good"))
    await engine.signal(run, "go")
    assert await run.result() == "shipped"
    assert run.context["heard"] == ["good"]


async def test_data_of_another_form_fails_the_reaction(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, signal: None, retry=Retry(1)))
    await engine.signal(run, "order.cancelled", {"reason": [1]})
    await engine.until_idle()
    assert run.status == "compensated" and run.failure.code == "invalid_input"


async def test_it_jumps_to_a_later_step(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, signal: Jump("ship")))
    await engine.signal(run, "order.cancelled", told("hurry"))
    assert await run.result() == "shipped"
    assert run.step("go").status == "skipped"


@pytest.mark.parametrize(("answer", "code"), [(Jump("nowhere"), "bad_jump"), (Expand([]), "bad_expansion")])
async def test_other_answers_are_refused(engine: Engine, answer: Any, code: str) -> None:
    run = await started(engine, shop(lambda ctx, signal: answer))
    await engine.signal(run, "order.cancelled", told("a"))
    await engine.until_idle()
    assert run.failure.code == code


async def test_a_step_cannot_cancel_its_run(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("step", lambda: Cancel("no"))
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.failure.code) == ("failed", "bad_cancel")


async def test_signals_of_a_paused_run_wait(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, signal: None))
    await run.pause()
    await engine.signal(run, "order.cancelled", told("a"))
    await engine.until_idle()
    assert "heard" not in run.context
    await run.resume()
    await engine.until_idle()
    assert run.context["heard"] == ["a"]


async def test_a_signal_before_the_beginning_waits_for_it(engine: Engine) -> None:
    flow = shop(lambda ctx, signal: None)
    run = await engine.start(flow, Order(id="42"), after="1h", signal=("order.cancelled", told("early")))
    await engine.until_idle()
    await engine.advance("61m")
    assert run.context["heard"] == ["early"]


async def test_a_crash_after_the_function_changes_nothing(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, signal: Cancel(signal.reason, compensate=True)))
    engine.restart()
    await engine.signal(run, "order.cancelled", told("gone"))
    engine.restart()
    await engine.until_idle()
    assert run.status == "compensated" and run.context["heard"] == ["gone"]


async def test_more_signals_than_there_are_steps_wait_for_their_turn(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, signal: None))
    await run.pause()
    for n in range(203):
        await engine.signal(run, "order.cancelled", told(str(n)))
        if not n % 50:
            await run.signal("order.cancelled", told("a repeat"), id="repeated")
    await run.resume()
    await engine.until_idle()
    heard = [reason for reason in run.context["heard"] if reason != "a repeat"]
    assert heard == [str(n) for n in range(203)] and len(run.context["heard"]) == 204


async def test_kept_signals_are_dropped_with_the_end(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, signal: None))
    await run.pause()
    for n in range(5):
        await engine.signal(run, "order.cancelled", told(str(n)))
    await run.cancel("enough")
    await engine.until_idle()
    await run.retry()
    await engine.until_idle()
    assert run.status == "waiting" and "heard" not in run.context


def test_a_name_is_waited_for_or_reacted_to() -> None:
    flow = Workflow("order")
    flow.wait_signal("wait", "told")

    @flow.on_signal("told")
    def one(ctx: Context) -> None: ...

    @flow.on_signal("told")
    def other(ctx: Context) -> None: ...

    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    assert [fault.code for fault in caught.value.faults] == ["contradiction"] * 3


async def test_before_the_beginning_and_behind_a_failed_call(engine: Engine) -> None:
    flow = Workflow("shop")
    flow.wait_signal("go")

    @flow.on_signal("hurry", retry=Retry(2, base="1m", jitter=0))
    def hurried(ctx: Context, signal: Any) -> None:
        raise ValueError("not now")

    run = await engine.start(flow, id="shop-1", after="1h")
    await engine.advance("1s")
    assert [wait.kind for wait in run.state.reactions["hurried"].waits_for] == ["begin"]
    await engine.advance("1h")
    for _ in range(2):
        await engine.signal(run, "hurry")
    await engine.advance("1s")
    found = run.state.reactions["hurried"]
    assert (found.behind, found.step, found.waits_for[0].kind) == (2, "~hurried.0", "retry")


async def test_an_inquiry_behind_another_waits_for_the_end_of_that_one(engine: Engine) -> None:
    flow = Workflow("shop")
    flow.wait_signal("go")

    @flow.answers("quote", retry=Retry(2, base="1m", jitter=0))
    def quote(ctx: Context, request: Any) -> None:
        raise ValueError("not now")

    run = await engine.start(flow, id="shop-1")
    for i in range(2):
        message = InquireRun(key=run.id, id=f"q{i}", inquiry="quote", format=2)
        engine.ask(lambda: engine._target._edge.send(message, "ask"))  # noqa: B023 - called at once
    await engine.advance("1s")
    calls = {name: step.waits_for for name, step in run.state.helpers.items()}
    assert [wait.kind for wait in calls["~quote.0"]] == ["retry"]
    assert [wait.text for wait in calls["~quote.1"]] == ["the end of the call before"]
    assert run.state.reactions == {}
