"""C13, end to end: a missed due time is published, told to a hook and shown in lists, and changes nothing."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from stream_durable import Context, Expand, Gate, Happened, Workflow
from stream_durable.client import InputFilter, RunFilter
from stream_durable.core.definition.nodes import encode_definition
from stream_durable.core.errors import RejectedError
from stream_durable.sdk.errors import DefinitionError
from stream_durable.testing import Engine


async def overdue_runs(engine: Engine) -> list[tuple[str, int]]:
    return [(one.id, one.overdue) for one in (await engine.list(RunFilter(overdue=True))).runs]


async def test_a_run_and_a_step_are_overdue_and_go_on(engine: Engine) -> None:
    flow = Workflow("order", due="1h")
    flow.wait_signal("go", due="30m")
    flow.add("ship", lambda go: go)
    run = await engine.start(flow, id="order-1")
    other = await engine.start(flow, id="order-2")
    await engine.signal(other, "go", 1)
    await engine.advance("29m")
    assert await overdue_runs(engine) == [] and run.state.overdue == ()
    assert run.state.expected == run.state.started + timedelta(hours=1)
    await engine.advance("1m")
    assert run.state.overdue == ("go",) and run.state.overdue_since is None
    assert await overdue_runs(engine) == [("order-1", 1)]
    await engine.advance("1h")
    assert run.state.overdue_since is not None and run.status == "waiting"
    assert await overdue_runs(engine) == [("order-1", 2)]
    [entry] = (await engine.list(RunFilter(overdue=True))).runs
    assert entry.reason.startswith("overdue, waits")
    await engine.signal(run, "go", 7)
    await engine.until_idle()
    assert run.output == 7 and await overdue_runs(engine) == []
    assert run.state.overdue == () and run.step("go").state.overdue_since is not None
    assert [event.type for event in run.events] == [
        "run.started", "step.waiting", "step.overdue", "run.overdue", "step.completed", "step.completed",
        "run.completed",
    ]  # fmt: skip
    assert "overdue" not in " ".join(event.type for event in other.events)


async def test_the_hook_is_told(engine: Engine) -> None:
    told: list[tuple[str | None, str, str]] = []
    flow = Workflow("order", due="2h")
    flow.wait_signal("go", due="1h")

    @flow.on_overdue
    def remind(happened: Happened) -> None:
        told.append((happened.step, happened.status, happened.run))

    run = await engine.start(flow, id="order-1")
    await engine.advance("3h")
    assert told == [("go", "waiting", "order-1"), (None, "running", "order-1")]
    assert set(run.state.helpers) == {"~on_overdue", "go~on_overdue"}
    await engine.signal(run, "go")
    await engine.until_idle()
    assert run.status == "completed"


async def test_a_hook_that_fails_changes_nothing(engine: Engine) -> None:
    flow = Workflow("order", due="1h")
    flow.wait_signal("go")

    @flow.on_overdue
    def remind() -> None:
        raise ValueError("nobody is there")

    run = await engine.start(flow)
    await engine.advance("2h")
    await engine.signal(run, "go", 3)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", 3)


async def test_a_start_has_a_due_time_of_its_own(engine: Engine) -> None:
    flow = Workflow("order", due="1h")
    flow.wait_signal("go")
    soon = await engine.start(flow, id="soon", due="10m")
    at = await engine.start(flow, id="at", due=engine.now + timedelta(minutes=20))
    await engine.start(flow, id="usual")
    await engine.advance("15m")
    assert await overdue_runs(engine) == [("soon", 1)]
    await engine.advance("10m")
    assert at.state.overdue_since is not None and soon.state.expected is not None
    with pytest.raises(RejectedError, match="due='0s'"):
        await engine.start(flow, due="0s")
    with pytest.raises(RejectedError, match="no time zone"):
        await engine.start(flow, due=datetime(2030, 1, 1))  # noqa: DTZ001 - this is it


async def test_every_kind_of_step(engine: Engine) -> None:
    small = Workflow("small")
    small.wait_signal("go")
    flow = Workflow("order", input=dict[str, Any])
    flow.wait_signal("signal", due="1h")
    flow.wait_event("event", "paid", key="input.id", due="1h")
    flow.wait_token("token", due="1h")
    flow.sleep("nap", "2h", due="1h")
    flow.ask("asked", due="1h")
    flow.child("kid", small, due="1h")
    one = flow.wait_signal("one")
    flow.parallel("group", [one], due="1h")
    branch = flow.branch("fork", on="input.id", due="1h")
    branch.clause().wait_signal("two")

    @flow.template(due="1h")
    async def leaf(ctx: Context, item: int) -> Any:
        return await ctx.wait_signal("three")

    @flow.step(due="1h")
    def spread() -> Expand:
        return Expand([leaf.of(1)])

    @flow.each("input.items", due="input.within")
    async def one_by_one(ctx: Context, item: int) -> Any:
        return await ctx.wait_signal("four")

    run = await engine.start(flow, {"id": "7", "items": [1], "within": "1h"})
    await engine.until_idle()
    await engine.advance("1h")
    assert set(run.state.overdue) == {
        "signal", "event", "token", "nap", "asked", "kid", "group", "fork", "spread", "spread[0]",
        "one_by_one[0]",
    }  # fmt: skip
    await run.cancel()
    await engine.until_idle()
    assert run.status == "cancelled" and run.state.overdue == ()


async def test_a_pause_does_not_stop_it(engine: Engine) -> None:
    flow = Workflow("order", due="1h")
    first = flow.wait_signal("go", due="1h")
    flow.add("late", lambda: 1, after=first, due="1h")
    run = await engine.start(flow)
    await run.pause("lunch")
    await engine.advance("2h")
    assert run.status == "paused" and run.state.overdue == ("go",) and run.state.overdue_since is not None
    await engine.signal(run, "go")
    await engine.advance("2h")
    assert run.state.overdue == ()
    await run.resume()
    await engine.until_idle()
    assert run.status == "completed" and run.step("late").state.overdue_since is None


async def test_a_held_step_becomes_overdue(engine: Engine) -> None:
    flow = Workflow("order", timeout="1h")
    flow.add("charge", lambda: 1, on_error="hold", due="2h")
    engine.fail("charge")
    run = await engine.start(flow, id="order-1")
    await engine.advance("3h")
    assert run.step("charge").status == "held" and run.state.overdue == ("charge",)
    assert await overdue_runs(engine) == [("order-1", 1)]
    await run.retry("charge")
    await engine.until_idle()
    assert run.output == 1 and await overdue_runs(engine) == []


async def test_questions_in_lists(engine: Engine) -> None:
    flow = Workflow("order")
    flow.ask("soon", due="1h")
    flow.ask("later", due="1d")
    flow.ask("some_time")

    @flow.step
    async def inside(ctx: Context) -> Any:
        return await ctx.ask("inner", due="1h")

    run = await engine.start(flow)
    await engine.until_idle()

    def listed(**given: Any) -> set[str]:
        return {one.wait for one in engine.ask(lambda: engine._target.inputs(InputFilter(**given))).inputs}

    assert listed(overdue=True) == set() and listed(due_within="2h") == {"soon", "inside/inner"}
    await engine.advance("90m")
    assert listed(overdue=True) == {"soon", "inside/inner"}
    assert listed(due_within="2d") == {"soon", "later", "inside/inner"} and "some_time" in listed()
    overdue = {event.step for event in run.events if event.type == "step.overdue"}
    assert overdue == {"soon", "inside/inner"}
    await engine.answer(run, "soon", True)
    assert listed(overdue=True) == {"inside/inner"}


def test_what_is_no_due_time_is_refused_with_the_definition() -> None:
    for due in ("other.by", "2 hours", datetime(2030, 1, 1), "0s", 7):  # noqa: DTZ001 - this is one
        flow = Workflow("order")
        flow.add("a", lambda: 1, due=due)
        with pytest.raises(DefinitionError, match=r"due\b|neither the input"):
            flow.definition()
    hooked = Workflow("order")
    hooked.add("a", lambda: 1)
    with pytest.raises(DefinitionError, match="there is no option due="):
        hooked.on_success(due="1h")(lambda: None)
        hooked.definition()


def test_a_workflow_without_due_times_is_as_before() -> None:
    plain, dated = Workflow("w"), Workflow("w", due="1h")
    plain.add("a", lambda: 1)
    dated.add("a", lambda: 1)
    assert (plain.definition().format, dated.definition().format) == (1, 2)
    assert b"due" not in encode_definition(plain.definition())


async def test_a_step_that_waits_at_a_gate_past_its_due_time_is_overdue(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step(gate=Gate("bank", at_once=1), due="30m")
    async def charge(ctx: Context[dict[str, int]]) -> int:
        await asyncio.sleep(60 * ctx.input["minutes"])
        return ctx.input["minutes"]

    first = await engine.start(flow, {"minutes": 45}, id="first")
    second = await engine.start(flow, {"minutes": 1}, id="second")
    await engine.advance("29m")
    assert await overdue_runs(engine) == []
    await engine.advance("2m")
    assert set(await overdue_runs(engine)) == {("first", 1), ("second", 1)}
    assert second.state.overdue == ("charge",) and engine.calls("charge") == 1
    [cause] = second.step("charge").waits_for
    assert "gate bank" in cause
    await engine.advance("20m")
    assert (first.output, second.output) == (45, 1) and await overdue_runs(engine) == []


async def test_runs_that_wait_to_begin_miss_the_moment_of_their_start(engine: Engine) -> None:
    told: list[tuple[str, str]] = []
    flow = Workflow("order", gate=Gate("few", at_once=1))
    flow.wait_signal("go")

    @flow.on_overdue
    def remind(happened: Happened) -> None:
        told.append((happened.run, happened.status))

    moment = engine.now + timedelta(hours=1)
    first = await engine.start(flow, id="order-1")
    waiting = await engine.start(flow, id="order-2", due=moment)
    later = await engine.start(flow, id="order-3", due=moment, after="5h")
    await engine.advance("2h")
    assert sorted(told) == [("order-2", "pending"), ("order-3", "pending")]
    assert sorted(await overdue_runs(engine)) == [("order-2", 1), ("order-3", 1)]
    assert later.state.overdue_since == waiting.state.overdue_since is not None
    for run in (first, waiting, later):
        await engine.advance("2h")
        await engine.signal(run, "go", 1)
    await engine.until_idle()
    assert waiting.status == later.status == "completed" and len(told) == 2
    assert [event.type for event in waiting.events].count("run.overdue") == 1
