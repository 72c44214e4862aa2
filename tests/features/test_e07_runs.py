"""E7: so many runs of a workflow at once; the others stay pending, in order, and are let in one by one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from outcomes import Clock, failure_of
from refusals import refusal

from stream_durable import App, Context, Fail, Gate, Workflow
from stream_durable.testing import Engine


def few(
    name: str = "report", at_once: int = 1, seconds: float = 10, **options: Any
) -> tuple[Workflow, Clock, list[Any]]:
    """Return a workflow with a gate before its runs, when they ran, and with which input."""
    flow, clock, order = (
        Workflow(name, gate=Gate("reports", at_once=at_once, **options)),
        Clock(),
        list[Any](),
    )

    @flow.step
    async def first(ctx: Context[Any]) -> None:
        clock.note()
        order.append(ctx.input)
        await asyncio.sleep(seconds / 2)

    @flow.step(after=first)
    async def second(ctx: Context[Any]) -> None:
        await asyncio.sleep(seconds / 2)

    return flow, clock, order


async def test_so_many_runs_at_once_and_the_others_stay_pending(engine: Engine) -> None:
    flow, clock, order = few(at_once=2)
    runs = [await engine.start(flow, n, id=f"run-{n}") for n in range(5)]
    await engine.advance("5s")
    assert [run.status for run in runs] == ["running", "running", "pending", "pending", "pending"]
    [cause] = runs[4].step("first").waits_for
    assert "a place at gate reports" in cause
    why = engine.ask(engine._target.run("run-4").why)
    assert (why.word, why.code) == ("Waiting", "at_gate")
    assert "waits for a place at gate reports (2 at once), held by run run-0 and 1 other" in why.sentence
    await engine.until(runs[4], "completed")
    assert order == [0, 1, 2, 3, 4]
    assert clock.times == pytest.approx([0, 0, 10, 10, 20], abs=1)


async def test_lists_and_gates_name_them(engine: Engine) -> None:
    flow, _, _ = few(per="input")
    for run in ("a-1", "a-2", "b-1"):
        await engine.start(flow, run[0], id=run)
    await engine.advance("1s")
    found = engine.ask(engine._target.list)
    assert {entry.id: entry.status for entry in found.runs} == {
        "a-1": "running",
        "a-2": "pending",
        "b-1": "running",
    }
    [waiting] = [entry for entry in found.runs if entry.id == "a-2"]
    assert waiting.reason == "waits for a place at gate reports: a"
    gates = engine.ask(engine._target.gates)
    assert [(gate.key, gate.inside, gate.waiting) for gate in gates] == [("a", 1, 1), ("b", 1, 0)]


async def test_the_first_by_priority_is_let_in_next(engine: Engine) -> None:
    flow, _, order = few()
    for n, priority in enumerate((0, 0, 50)):
        await engine.start(flow, n, priority=priority)
    await engine.advance("40s")
    assert order == [0, 2, 1]


async def test_a_run_cancelled_in_the_line_never_begins_and_the_next_does(engine: Engine) -> None:
    flow, _, order = few()
    runs = [await engine.start(flow, n) for n in range(3)]
    await engine.advance("1s")
    await runs[1].cancel()
    await engine.until(runs[2], "completed")
    assert (runs[1].status, order) == ("cancelled", [0, 2])
    assert runs[1].state.started is None


async def test_a_paused_run_waits_in_the_line_and_holds_its_place_without_running(engine: Engine) -> None:
    flow, _, order = few()
    runs = [await engine.start(flow, n) for n in range(3)]
    await engine.advance("1s")
    await runs[1].pause()
    await engine.advance("20s")
    assert [run.status for run in runs] == ["completed", "paused", "pending"]
    await runs[1].resume()
    await engine.until(runs[2], "completed")
    assert order == [0, 1, 2]


async def test_the_time_out_of_a_run_begins_when_it_is_let_in(engine: Engine) -> None:
    flow = Workflow("report", gate=Gate("reports", at_once=1), timeout="15s")
    flow.sleep("work", "10s")
    runs = [await engine.start(flow) for _ in range(3)]
    await engine.until(runs[2], "completed")
    assert [run.status for run in runs] == ["completed"] * 3


async def test_a_failed_run_gives_its_place_back_after_all_that_is_owed_and_asks_again_when_retried(
    engine: Engine,
) -> None:
    flow, said, works = Workflow("report", gate=Gate("reports", at_once=1)), list[str](), {"good": False}

    @flow.step
    async def book(ctx: Context[Any]) -> None:
        said.append(f"book {ctx.run_id}")

    @book.compensate
    async def unbook(ctx: Context[Any]) -> None:
        await asyncio.sleep(5)
        said.append(f"unbook {ctx.run_id}")

    @flow.step(after=book)
    async def pay(ctx: Context[Any]) -> None:
        if ctx.run_id == "one" and not works["good"]:
            raise Fail("no", retryable=False)
        await asyncio.sleep(5)

    @flow.on_failure
    async def tell(ctx: Context[Any]) -> None:
        await asyncio.sleep(5)
        said.append(f"told {ctx.run_id}")

    one = await engine.start(flow, id="one")
    two = await engine.start(flow, id="two")
    await engine.until(two, "running")
    await engine.advance("1s")
    assert (one.status, said) == ("compensated", ["book one", "unbook one", "told one", "book two"])
    works["good"] = True
    await one.retry()
    await engine.advance("1s")
    assert (one.status, two.status) == ("pending", "running")
    await engine.until(one, "completed")
    assert two.status == "completed"
    assert said[-1] == "book one"


async def test_children_wait_at_the_gate_of_their_workflow(engine: Engine) -> None:
    flow, clock, _ = few()
    parent = Workflow("parent")
    for name in ("a", "b"):
        parent.child(name, flow, input="input")
    run = await engine.start(parent, "x")
    await engine.advance("5s")
    assert {engine.run(f"{run.id}//{name}").status for name in "ab"} == {"running", "pending"}
    await engine.until(run, "completed")
    assert clock.times == pytest.approx([0, 10], abs=1)


async def test_runs_of_schedules_and_triggers_wait_too(engine: Engine) -> None:
    flow, clock, _ = few(seconds=90)
    app = App("shop", workflows=[flow])
    app.schedule("often", flow, every="1m", overlap="allow")
    app.on("order.created", start=flow, id="data.id")
    await engine.deploy_app(app)
    await engine.advance("125s")
    await engine.publish("order.created", key="c1", data={"id": "by event"})
    await engine.advance("10s")
    assert engine.run("by event").status == "pending"
    await engine.advance("10m")
    assert len(clock.waits) > 5
    assert all(wait >= 89 for wait in clock.waits), "never two at once"


async def test_a_delay_comes_before_the_line(engine: Engine) -> None:
    flow, _, order = few()
    late = await engine.start(flow, "late", after=timedelta(seconds=15))
    for n in range(3):
        await engine.start(flow, n)
    await engine.until(late, "completed")
    assert order == [0, 1, 2, "late"]


async def test_a_lost_reconciler_changes_nothing(engine: Engine) -> None:
    flow, clock, _ = few()
    runs = [await engine.start(flow, n) for n in range(4)]
    await engine.advance("3s")
    engine.restart()
    await engine.advance("12s")
    engine.restart()
    await engine.until(runs[3], "completed")
    assert all(wait >= 9 for wait in clock.waits)


async def test_a_key_that_cannot_be_read_fails_the_run(engine: Engine) -> None:
    flow, _, order = few(per="input.tenant")
    for value, code in (
        ({}, "path_missing"),
        ({"tenant": 1.5}, "bad_key"),
        ({"tenant": "x" * 600}, "bad_key"),
    ):
        run = await engine.start(flow, value)
        await engine.until(run, "failed")
        assert failure_of(run).code == code
    assert not order


def test_bad_gates_are_refused_with_the_remedy() -> None:
    def refused(before: Any, **options: Any) -> list[str]:
        flow = Workflow("report", gate=before)
        flow.add("a", lambda: 1, **options)
        return refusal(flow)

    assert any("gate= takes a Gate" in fault for fault in refused("reports"))
    assert any("gate 'reports' limits nothing" in fault for fault in refused(Gate("reports")))
    text = "per= is 'a.tenant', and before a run there is its input alone"
    assert any(text in fault for fault in refused(Gate("reports", at_once=1, per="a.tenant")))
    own = Gate("reports", at_once=1)
    text = (
        "step 'a' waits for a place at gate 'reports', which its own run has: give one of them another gate"
    )
    assert any(text in fault for fault in refused(own, gate=own))
    around = Workflow("report", gate=own)
    around.add("a", lambda: 1)
    around.parallel("all", ["a"], gate=own)
    assert any("group 'all' waits for a place at gate 'reports'" in fault for fault in refusal(around))
    inner, outer = few()[0], Workflow("outer", gate=own)
    outer.child("inner", inner)
    assert any("runs of 'report' wait for a place at gate 'reports'" in fault for fault in refusal(outer))
    called = Workflow("called")
    called.add("ask", lambda: 1, gate=own)
    caller = Workflow("caller", gate=own)
    caller.child("call", called)
    text = "step 'ask' of 'called' waits for a place at gate 'reports', which this run has"
    assert any(text in fault for fault in refusal(caller))
    keyed = Workflow("keyed", gate=Gate("reports", at_once=1, per="input.tenant"))
    keyed.child("call", called)
    assert keyed.definition()
