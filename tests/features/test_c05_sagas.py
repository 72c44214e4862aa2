"""C5: what completed is undone when a run fails, newest first; what came of that is kept."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from outcomes import Clock, failure_of
from pydantic import BaseModel
from refusals import refusal

from stream_durable import Context, Expand, Fail, Finish, Happened, Retry, Skip, Workflow
from stream_durable.testing import Engine


class Receipt(BaseModel):
    number: str


def undoing(flow: Workflow, *steps: Any) -> list[str]:
    """Let each of these steps be undone, and return the list in which that is noted."""
    undone: list[str] = []
    for step in steps:

        def undo(name: str = step.name) -> str:
            undone.append(name)
            return f"undid {name}"

        step.compensate(undo)
    return undone


async def boom() -> None:
    raise Fail("boom", "too much", details={"at": 3}, retryable=False)


async def test_in_reverse_order_of_completion_and_not_of_definition(engine: Engine) -> None:
    flow = Workflow("order")

    def after(seconds: int) -> Any:
        async def step() -> None:
            await asyncio.sleep(seconds)

        return step

    steps = [flow.add(name, after(seconds)) for name, seconds in [("slow", 30), ("fast", 1), ("medium", 10)]]
    undone = undoing(flow, *steps)
    flow.add("boom", boom, after=steps)
    run = await engine.start(flow)
    await engine.until(run, "compensated")
    assert undone == ["slow", "medium", "fast"]
    assert (failure_of(run).code, failure_of(run).step) == ("boom", "boom")


async def test_one_at_a_time_and_the_run_is_compensating_meanwhile(engine: Engine) -> None:
    flow = Workflow("one_at_a_time")
    clock = Clock()

    async def undo() -> None:
        clock.note()
        await asyncio.sleep(10)

    for name in "abc":
        flow.add(name, lambda: 1).compensate(undo)
    flow.add("boom", boom, after=["a", "b", "c"])
    run = await engine.start(flow)
    await engine.advance("5s")
    assert run.status == "compensating"
    await engine.until(run, "compensated")
    assert clock.times == pytest.approx([0, 10, 20], abs=1)


async def test_what_undoes_gets_output_input_and_context(engine: Engine) -> None:
    flow = Workflow("values", input=dict[str, int])
    seen: list[Any] = []

    @flow.step
    def quote() -> int:
        return 5

    @flow.step
    def charge(quote: int, ctx: Context) -> Receipt:
        ctx.put("account", "A-1")
        return Receipt(number="R-1")

    @charge.compensate
    def refund(charge: Receipt, quote: int, input: dict[str, int], ctx: Context, why: Happened) -> None:
        assert why.failure is not None
        seen.extend(
            [charge.number, quote, input, ctx.get("account"), ctx.step, ctx.attempt, why.failure.code]
        )
        seen.append(why.step)

    flow.add("boom", boom, after=charge)
    run = await engine.start(flow, {"n": 1})
    await engine.until(run, "compensated")
    assert seen == ["R-1", 5, {"n": 1}, "A-1", "charge~compensate", 1, "boom", "boom"]


async def test_own_retries_and_those_of_the_workflow_are_not_taken(engine: Engine) -> None:
    flow = Workflow("retried", retry=Retry(5))
    flow.add("a", lambda: 1).compensate(retry=Retry(3, base="1m"))(failing_until(3))
    flow.add("b", lambda: 1, after="a").compensate(failing_until(3))
    flow.add("boom", boom, after="b")
    run = await engine.start(flow)
    await engine.until(run, "compensation_failed", "compensated")
    assert run.step("a~compensate").attempts == 3
    assert run.step("a").status == "compensated"


def failing_until(attempt: int) -> Any:
    def undo(ctx: Context) -> str:
        if ctx.attempt < attempt:
            raise Fail("bank_down", f"attempt {ctx.attempt}")
        return "undone"

    return undo


async def test_one_that_fails_does_not_stop_the_rest_and_all_results_are_kept(engine: Engine) -> None:
    flow = Workflow("kept")
    steps = [flow.add("a", lambda: 1)]
    steps.append(flow.add("b", lambda: 1, after="a"))
    steps.append(flow.add("c", lambda: 1, after="b"))
    undone = undoing(flow, steps[0], steps[2])
    steps[1].compensate(failing_until(9))
    flow.add("boom", boom, after="c")
    run = await engine.start(flow)
    await engine.until(run, "compensation_failed")
    assert undone == ["c", "a"]
    assert {name: step.status for name, step in run.steps.items()} == {
        "a": "compensated", "b": "completed", "c": "compensated", "boom": "failed",
    }  # fmt: skip
    assert {name: helper.status for name, helper in run.state.helpers.items()} == {
        "a~compensate": "completed", "b~compensate": "failed", "c~compensate": "completed",
    }  # fmt: skip
    assert run.step("c~compensate").output == "undid c"
    assert failure_of(run.step("b~compensate")).code == "bank_down"
    assert run.step("a").output == 1, "what it had come to is still known"
    assert failure_of(run).code == "boom", "the run failed of that, and not of what could not be undone"


async def test_only_what_completed_is_undone(engine: Engine) -> None:
    flow = Workflow("only")
    done = flow.add("done", lambda: 1)
    skipped = flow.add("skipped", lambda: Skip("no need"), after=done)
    refused = flow.add("refused", boom, after=skipped)
    never = flow.add("never", lambda: 1, after=refused)
    undone = undoing(flow, done, skipped, refused, never)
    run = await engine.start(flow)
    await engine.until(run, "compensated")
    assert undone == ["done"]


async def test_a_step_that_failed_at_first_is_undone_once(engine: Engine) -> None:
    flow = Workflow("once")
    flaky = flow.add("flaky", lambda: 1, retry=Retry(3))
    engine.fail("flaky", times=2)
    undone = undoing(flow, flaky)
    flow.add("boom", boom, after=flaky)
    run = await engine.start(flow)
    await engine.until(run, "compensated")
    assert undone == ["flaky"]


async def test_a_step_without_one_is_left_alone_and_a_run_without_any_just_fails(engine: Engine) -> None:
    flow = Workflow("none")
    flow.add("a", lambda: 1)
    flow.add("boom", boom, after="a")
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert run.step("a").status == "completed"
    assert run.state.helpers == {}


@pytest.mark.parametrize("end", ["completes", "finishes"])
async def test_a_run_that_comes_to_a_good_end_undoes_nothing(engine: Engine, end: str) -> None:
    flow = Workflow("good")
    undone = undoing(flow, flow.add("a", lambda: 1))
    flow.add("b", lambda: Finish("early") if end == "finishes" else "late", after="a")
    flow.add("c", lambda b="?": b, after="b")
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert (run.output, undone) == ("early" if end == "finishes" else "late", [])


async def test_every_reason_to_fail_undoes(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", boom)

    def flow_of(name: str, **options: Any) -> tuple[Workflow, list[str]]:
        flow = Workflow(name, **options)
        return flow, undoing(flow, flow.add("a", lambda: 1))

    by_child, undone_by_child = flow_of("by_child")
    by_child.child("kid", small, after="a")
    by_wait, undone_by_wait = flow_of("by_wait")
    by_wait.wait_signal("go", timeout="1h", after="a")
    by_time, undone_by_time = flow_of("by_time", timeout="1h")
    by_time.sleep("nap", "2h", after="a")
    for flow, undone in [(by_child, undone_by_child), (by_wait, undone_by_wait), (by_time, undone_by_time)]:
        run = await engine.start(flow)
        await engine.until(run, "compensated")
        assert undone == ["a"], flow.name


async def test_members_clauses_and_what_was_added_are_undone(engine: Engine) -> None:
    flow = Workflow("members")
    undone: list[Any] = []

    @flow.each("input")
    def book(item: str) -> str:
        return item.upper()

    @book.compensate
    def unbook(item: str, book: str) -> None:
        undone.append([item, book])

    @flow.template
    def scan(item: str) -> str:
        return item * 2

    @scan.compensate
    def unscan(item: str, scan: str) -> None:
        undone.append([item, scan])

    flow.add("scans", lambda: Expand([scan.of("x")]), after=book)
    kind = flow.branch("kind", on="input", after="scans")
    in_clause = kind.clause().add("in_clause", lambda: 1)
    in_clause.compensate(lambda: undone.append("in clause"))
    flow.add("boom", boom, after=kind)
    run = await engine.start(flow, ["a", "b"])
    await engine.until(run, "compensated")
    assert undone[:2] == ["in clause", ["x", "xx"]]
    assert sorted(undone[2:]) == [["a", "A"], ["b", "B"]]


def child_and_parent() -> tuple[Workflow, list[str]]:
    """A parent whose child pays, waits for a signal, and can be undone as a step of its parent, too."""
    undone: list[str] = []
    small = Workflow("small")
    pay = small.add("pay", lambda: "paid")
    pay.compensate(lambda: undone.append("pay"))
    small.wait_signal("go", after=pay)
    small.add("receipt", lambda: {"number": "R-1"}, after="go")
    flow = Workflow("parent")
    kid = flow.child("kid", small)

    @kid.compensate
    def unkid(kid: dict[str, str]) -> None:
        undone.append(f"kid {kid['number']}")

    @flow.step(after=kid)
    async def check() -> None:
        await boom()

    flow.wait_signal("stop")
    flow.add("stopped", boom, after="stop")
    return flow, undone


async def test_a_child_that_completed_is_undone_by_its_parent(engine: Engine) -> None:
    flow, undone = child_and_parent()
    run = await engine.start(flow, id="p")
    await engine.until_waiting(run)
    await engine.signal("p//kid", "go")
    await engine.until(run, "compensated")
    assert undone == ["kid R-1"]
    assert [child.status for child in run.children] == ["completed"]


async def test_a_child_under_way_undoes_itself_when_its_parent_fails(engine: Engine) -> None:
    flow, undone = child_and_parent()
    run = await engine.start(flow, id="p")
    await engine.until_waiting(run)
    await engine.signal("p", "stop")
    await engine.until_idle()
    assert undone == ["pay"]
    assert [child.status for child in run.children] == ["compensated"]


@pytest.mark.parametrize(("compensate", "status"), [(False, "cancelled"), (True, "compensated")])
async def test_a_child_is_cancelled_as_its_parent_is(engine: Engine, compensate: bool, status: str) -> None:
    flow, undone = child_and_parent()
    run = await engine.start(flow, id="p")
    await engine.until_waiting(run)
    await run.cancel("enough", compensate=compensate)
    await engine.until_idle()
    assert undone == (["pay"] if compensate else [])
    assert [child.status for child in run.children] == [status]
    assert run.status == "cancelled", "nothing of the parent's own was to be undone"


async def test_a_failed_child_has_undone_its_own_and_the_parent_may_go_on(engine: Engine) -> None:
    small = Workflow("small")
    undone = undoing(small, small.add("pay", lambda: 1))
    small.add("boom", boom, after="pay")
    flow = Workflow("parent")
    flow.child("kid", small, on_error="continue")
    flow.add("end", lambda kid="nothing": kid)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert (undone, run.output, [child.status for child in run.children]) == (
        ["pay"],
        "nothing",
        ["compensated"],
    )
    assert failure_of(run.step("kid")).code == "boom"


async def test_a_worker_that_dies_while_it_undoes_uses_the_same_key(engine: Engine) -> None:
    flow = Workflow("crash")
    keys: list[str] = []

    @flow.step
    def charge() -> int:
        return 1

    @charge.compensate
    def refund(ctx: Context) -> None:
        keys.append(ctx.idempotency_key)

    flow.add("boom", boom, after=charge)
    engine.crash_after(refund)
    run = await engine.start(flow, id="r")
    await engine.until(run, "compensated")
    assert keys == ["r/charge~compensate/1"] * 2


async def test_each_is_undone_once_though_the_reconciler_dies_in_between(engine: Engine) -> None:
    flow = Workflow("takeover")
    undone: list[str] = []

    async def undo(ctx: Context) -> None:
        await asyncio.sleep(10)
        undone.append(ctx.step)

    for name in "abc":
        flow.add(name, lambda: 1).compensate(undo)
    flow.add("boom", boom, after=["a", "b", "c"])
    run = await engine.start(flow)
    for _ in range(4):
        await engine.advance("7s")
        engine.restart()
    await engine.until(run, "compensated")
    assert sorted(undone) == ["a~compensate", "b~compensate", "c~compensate"]


async def test_a_cancel_during_compensation_stops_nothing(engine: Engine) -> None:
    flow = Workflow("too_late")
    undone: list[str] = []

    async def undo(ctx: Context) -> None:
        await asyncio.sleep(60)
        undone.append(ctx.step)

    flow.add("a", lambda: 1).compensate(undo)
    flow.add("b", lambda: 1, after="a").compensate(undo)
    flow.add("boom", boom, after="b")
    run = await engine.start(flow)
    await engine.advance("10s")
    await run.cancel("in the middle of it")
    await run.pause("in the middle of it")
    await engine.until(run, "compensated")
    assert undone == ["b~compensate", "a~compensate"]
    request = run.state.requests.cancel
    assert request is not None
    assert (request.reason, request.is_late) == ("in the middle of it", True)
    await run.cancel("once more")
    assert run.state.requests.cancel == request, "the first counts"


async def test_a_cancel_after_the_end_is_kept_apart_from_the_outcome(engine: Engine) -> None:
    flow = Workflow("ended")
    flow.add("a", lambda: 1)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    order = await run.cancel("not wanted")
    request = run.state.requests.cancel
    assert request is not None
    assert (request.id, request.is_late, run.status) == (order, True, "completed")
    await run.retry("a")
    await engine.until(run, "completed")
    assert run.state.requests.cancel is None


async def test_a_compensated_run_tells_so_publicly(engine: Engine) -> None:
    flow = Workflow("public")
    undoing(flow, flow.add("a", lambda: 1))
    flow.add("boom", boom, after="a")
    run = await engine.start(flow)
    await engine.until(run, "compensated")
    types = [event.type for event in run.events]
    assert types[-1] == "run.compensated"
    assert types.index("step.compensated") > types.index("step.failed")


def test_what_cannot_be_undone_is_refused() -> None:
    flow = Workflow("bad")
    a = flow.add("a", lambda: 1)
    a.compensate(lambda: 1)
    a.compensate(lambda: 2)
    flow.add("b", lambda: 1).compensate(lambda nobody, x: 1)
    faults = refusal(flow)
    assert any("two compensations" in fault for fault in faults)
    assert any("'nobody'" in fault and "compensation" in fault for fault in faults)
    waits = Workflow("waits")
    waits.sleep("nap", "1s").compensate(lambda: 1)
    assert any("'nap'" in fault and "compensation" in fault for fault in refusal(waits))
