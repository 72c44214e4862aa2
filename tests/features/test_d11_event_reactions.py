"""D11: a function reacts to each event of a name and key while a run goes on, one at a time and in order."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Cancel, Context, Fail, Finish, Jump, Retry, Workflow
from stream_durable.sdk.errors import DefinitionError
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str


class Told(BaseModel):
    reason: str


def shop(react: Any, restart: Retry | None = None, **options: Any) -> Workflow[Order, Any]:
    """Return a workflow that has done something which can be undone, and waits."""
    flow = Workflow("order", input=Order, restart=restart)

    @flow.step
    def reserve(ctx: Context[Order]) -> str:
        return "reserved"

    @reserve.compensate
    def release(ctx: Context[Order]) -> None:
        ctx.put("released", True)  # noqa: FBT003

    flow.wait_signal("go", after=reserve)
    flow.add("pack", lambda: "packed", after="go")
    flow.add("ship", lambda: "shipped", after="pack")

    @flow.on_event("order.changed", key="input.id", **options)
    def changed(ctx: Context[Order], event: Told) -> Any:
        ctx.append("heard", event.reason)
        return react(ctx, event)

    return flow


async def started(engine: Engine, flow: Workflow[Order, Any], **options: Any) -> Any:
    run = await engine.start(flow, Order(id="42"), **options)
    await engine.until_idle()
    return run


async def happens(engine: Engine, reason: str, key: str = "42", **options: Any) -> None:
    await engine.publish("order.changed", key=key, data={"reason": reason}, **options)


async def test_a_function_is_called_for_each_event_in_order_and_the_run_goes_on(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, event: None))
    for n in range(5):
        await happens(engine, str(n))
    await happens(engine, "of another", key="43")
    await engine.until_idle()
    assert run.context["heard"] == ["0", "1", "2", "3", "4"]
    assert run.status == "waiting"
    await engine.signal(run, "go")
    assert await run.result() == "shipped"


async def test_events_between_start_and_registration_count_and_earlier_ones_do_not(engine: Engine) -> None:
    await happens(engine, "before")
    await engine.advance("1s")
    run = await started(engine, shop(lambda ctx, event: None), after="1h")
    await happens(engine, "while it waits to begin")
    await engine.advance("61m")
    await engine.until_idle()
    assert run.context["heard"] == ["while it waits to begin"]


async def test_each_id_takes_effect_once_for_each_run(engine: Engine) -> None:
    flow = shop(lambda ctx, event: None)
    runs = [await started(engine, flow) for _ in range(3)]
    for _ in range(3):
        await happens(engine, "a", id="e1")
    engine.redeliver()
    await engine.until_idle()
    assert [run.context["heard"] for run in runs] == [["a"]] * 3


async def test_waits_of_the_same_key_are_not_disturbed(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, event: None))
    other = Workflow("other", input=Order)
    other.wait_event("seen", "order.changed", key="input.id", take=True)
    other.wait_event("too", "order.changed", key="input.id")
    waiting = await engine.start(other, Order(id="42"))
    await engine.until_waiting(waiting)
    await happens(engine, "a")
    assert await waiting.result() == {"seen": {"reason": "a"}, "too": {"reason": "a"}}
    assert run.context["heard"] == ["a"]


@pytest.mark.parametrize("undo", [False, True])
async def test_it_cancels_the_run_with_or_without_compensation(engine: Engine, undo: bool) -> None:  # noqa: FBT001
    run = await started(engine, shop(lambda ctx, event: Cancel(event.reason, compensate=undo)))
    await happens(engine, "too late")
    await happens(engine, "and more")
    await engine.until_idle()
    assert run.status == ("compensated" if undo else "cancelled")
    assert run.context.get("released", False) is undo
    assert run.context["heard"] == ["too late"]


async def test_it_finishes_the_run(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, event: Finish({"off": event.reason})))
    await happens(engine, "enough")
    assert await run.result() == {"off": "enough"}


async def test_it_jumps_over_all_before_the_target(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, event: Jump("ship")))
    await happens(engine, "hurry")
    assert await run.result() == "shipped"
    assert (run.step("go").status, run.step("pack").status) == ("skipped", "skipped")
    assert run.step("reserve").status == "completed"


async def test_a_jump_to_what_is_not_there_fails_the_run(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, event: Jump("nowhere")))
    await happens(engine, "a")
    await engine.until_idle()
    assert run.failure.code == "bad_jump"


@pytest.mark.parametrize("target", ["reserve", "go"])
async def test_a_jump_to_what_has_begun_changes_nothing(engine: Engine, target: str) -> None:
    run = await started(engine, shop(lambda ctx, event: Jump(target)))
    await happens(engine, "a")
    await engine.until_idle()
    assert (run.status, run.context["heard"], run.step("go").status) == ("waiting", ["a"], "waiting")


async def test_a_jump_past_a_group_ends_it_with_what_is_under_way(engine: Engine) -> None:
    flow = Workflow("order", input=Order)
    flow.wait_signal("first")
    flow.wait_signal("second")
    flow.parallel("both", ["first", "second"], after=flow.add("top", lambda: 1))
    flow.add("end", lambda: "ended", after="both")
    flow.add("beside", lambda: "other", after=flow.wait_signal("other"))

    @flow.on_event("hurry", key="input.id")
    def hurry() -> Jump:
        return Jump("end")

    run = await started(engine, flow)
    await engine.publish("hurry", key="42")
    await engine.until_idle()
    assert run.step("end").status == "completed" and run.step("both").status == "skipped"
    assert run.step("other").status == "waiting"


async def test_a_failure_is_retried_and_then_fails_the_run(engine: Engine) -> None:
    def react(ctx: Context[Order], event: Told) -> None:
        raise Fail("no_way", "cannot be")

    run = await started(engine, shop(react, retry=Retry(2, base="1s")))
    await happens(engine, "a")
    await engine.until_idle()
    assert run.status == "compensated"
    assert (run.failure.code, run.failure.step) == ("no_way", "~changed.0")
    assert run.state.helpers["~changed.0"].attempt == 2


async def test_a_failure_may_leave_the_run_alone_and_the_next_event_comes(engine: Engine) -> None:
    def react(ctx: Context[Order], event: Told) -> None:
        if event.reason == "bad":
            raise Fail("no_way", "cannot be", retryable=False)

    run = await started(engine, shop(react, on_error="continue"))
    for reason in ("bad", "good"):
        await happens(engine, reason)
    await engine.until_idle()
    assert run.status == "waiting" and run.context["heard"] == ["good"]


async def test_events_of_a_paused_run_wait(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, event: None))
    await run.pause()
    for n in range(3):
        await happens(engine, str(n))
    await engine.until_idle()
    assert "heard" not in run.context
    await run.resume()
    await engine.until_idle()
    assert run.context["heard"] == ["0", "1", "2"]


async def test_a_retried_run_reacts_again_to_what_comes_from_then_on(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, event: Cancel("off") if event.reason == "stop" else None))
    await happens(engine, "stop")
    await engine.until_idle()
    assert run.status == "cancelled"
    await happens(engine, "while it is over")
    await engine.advance("1s")
    await run.retry()
    await engine.until_idle()
    assert run.status == "waiting"
    await happens(engine, "again")
    await engine.until_idle()
    assert run.context["heard"][-1] == "again" and "while it is over" not in run.context["heard"]


async def test_a_graph_that_is_tried_again_goes_on_reacting(engine: Engine) -> None:
    flow = shop(lambda ctx, event: None, restart=Retry(2, base="1s"))
    flow.add("shaky", lambda: "fine", after="reserve")
    engine.fail("shaky", times=1)
    run = await started(engine, flow)
    for n in range(3):
        await happens(engine, str(n))
    await engine.until_idle()
    assert run.state.attempt == 2 and run.context["heard"] == ["0", "1", "2"]


async def test_a_crash_at_any_time_changes_nothing(engine: Engine) -> None:
    run = await started(engine, shop(lambda ctx, event: None))
    for n in range(3):
        await happens(engine, str(n))
        engine.restart()
    await engine.until_idle()
    assert run.context["heard"] == ["0", "1", "2"]
    await engine.signal(run, "go")
    assert await run.result() == "shipped"


async def test_a_key_that_cannot_be_read_fails_the_run(engine: Engine) -> None:
    flow = Workflow("order")
    flow.wait_signal("go")

    @flow.on_event("order.changed", key="input.id")
    def changed() -> None: ...

    run = await engine.start(flow, {"id": [1]})
    await engine.until_idle()
    assert (run.status, run.failure.code) == ("failed", "bad_key")


def test_the_key_is_in_the_input() -> None:
    flow = Workflow("order", input=Order)
    flow.add("charge", lambda: {"number": 1})

    @flow.on_event("a", key="charge.number")
    def one() -> None: ...

    @flow.on_event("b", key="input.nothing")
    def other() -> None: ...

    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    assert sorted(fault.code for fault in caught.value.faults) == ["key_path", "unfit_path"]


@pytest.mark.parametrize("kind", ["event", "signal"])
async def test_a_flood_is_worked_off_in_order(engine: Engine, kind: str) -> None:
    flow, heard = Workflow("order", input=Order), []
    flow.wait_signal("go")

    @flow.on_event("order.changed", key="input.id")
    def changed(event: int) -> None:
        heard.append(event)

    @flow.on_signal("changed")
    def signalled(signal: int) -> None:
        heard.append(signal)

    run = await started(engine, flow)
    for n in range(300):
        if kind == "event":
            await engine.publish("order.changed", key="42", data=n)
        else:
            await engine.signal(run, "changed", n)
    await engine.until_idle()
    assert heard == list(range(300))
    assert len(run.state.helpers) <= 100
