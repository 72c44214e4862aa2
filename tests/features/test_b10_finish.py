"""B10: the run completes now with this output, and the rest is cancelled."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Context, Expand, Fail, Finish, Happened, Workflow, any_of
from stream_durable.testing import Engine


class Report(BaseModel):
    total: int


async def test_the_run_completes_with_this_output_and_the_rest_is_cancelled(engine: Engine) -> None:
    flow = Workflow("order")
    left: list[str] = []

    @flow.step
    def done() -> int:
        return 1

    @flow.step
    def check(done: int, input: int) -> int | Finish:
        return Finish("found in the cache") if input else 0

    @flow.step
    async def slow() -> None:
        try:
            await asyncio.sleep(3_600)
        finally:
            left.append("slow")

    flow.wait_signal("go")
    flow.sleep("nap", "1d")
    flow.add("end", lambda: "end", after=["check", "slow", "go", "nap"])
    begun = engine.now
    run = await engine.start(flow, 1)
    await engine.until_idle()
    assert (run.status, run.output, run.failure) == ("completed", "found in the cache", None)
    assert (engine.now - begun).total_seconds() < 5
    assert left == ["slow"]
    assert {name: step.status for name, step in run.steps.items()} == {
        "done": "completed", "check": "completed", "slow": "cancelled", "go": "cancelled", "nap": "cancelled",
        "end": "cancelled",
    }  # fmt: skip
    assert run.step("check").output == "found in the cache"


@pytest.mark.parametrize("output", [None, 0, "", [], {"a": [1]}, Report(total=3)], ids=repr)
async def test_any_output(engine: Engine, output: Any) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: Finish(output))
    flow.add("b", lambda: "b", after="a")
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", {"total": 3} if isinstance(output, Report) else output)


async def test_without_an_output_it_is_null(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: Finish())
    flow.add("b", lambda: "b")
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", None)


async def test_nothing_is_undone(engine: Engine) -> None:
    flow = Workflow("order")
    undone: list[str] = []
    flow.add("charge", lambda: 1).compensate(lambda: undone.append("charge"))
    flow.add("check", lambda: Finish("enough"), after="charge")
    flow.add("ship", lambda: 1, after="check").compensate(lambda: undone.append("ship"))
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, undone) == ("completed", [])
    assert run.step("charge").status == "completed"


async def test_children_are_cancelled(engine: Engine) -> None:
    small = Workflow("small")
    small.sleep("nap", "1d")
    flow = Workflow("order")
    flow.child("small", small)

    @flow.step
    async def check() -> Finish:
        await asyncio.sleep(5)
        return Finish(1)

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.children[0].status) == ("completed", "cancelled")


@pytest.mark.parametrize("where", ["group", "each", "clause", "graft"])
async def test_from_within_anything(engine: Engine, where: str) -> None:
    flow = Workflow("order")

    async def work(item: int = 0) -> Any:
        await asyncio.sleep(item * 60)
        return Finish(f"from {where}") if item == 1 else item

    match where:
        case "group":
            for i in range(3):
                flow.add(f"w{i}", member(work, i))
            flow.parallel("group", ["w0", "w1", "w2"])
        case "each":
            flow.each("input", name="group")(work_of_item(work))
        case "clause":
            group = flow.branch("group", on="input.0")
            group.add(0, "w0", member(work, 1))
            group.add(0, "w1", member(work, 2))
        case "graft":
            template = flow.template(name="t")(work_of_item(work))
            flow.add("group", lambda: Expand([template.of(i) for i in range(3)]))
    flow.add("end", lambda group: group)
    run = await engine.start(flow, [0, 1, 2])
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", f"from {where}")
    assert run.step("end").status == "cancelled"
    assert "running" not in {step.status for step in run.steps.values()}


def member(work: Any, item: int) -> Any:
    async def call() -> Any:
        return await work(item)

    return call


def work_of_item(work: Any) -> Any:
    async def call(item: int) -> Any:
        return await work(item)

    return call


async def test_a_child_that_finishes_gives_its_parent_that_output(engine: Engine) -> None:
    small = Workflow("small")
    small.add("a", lambda: Finish("early"))
    small.add("b", lambda: "late", after="a")
    flow = Workflow("order")
    flow.child("small", small)
    flow.add("end", lambda small: [small])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == ["early"]


async def test_hooks_hear_of_a_success(engine: Engine) -> None:
    flow = Workflow("order")
    told: list[str] = []
    flow.add("a", lambda: Finish(7))
    flow.sleep("nap", "1d")

    @flow.on_success
    def success(happened: Happened) -> None:
        told.append(happened.status)

    @flow.on_cancel
    def cancel() -> None:
        told.append("cancelled")

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, told) == ("completed", ["completed"])


async def test_clean_up_edges_run_for_a_step_that_was_cancelled_by_it(engine: Engine) -> None:
    """Whether it is cleaned up after a step must not depend on why the step ended."""
    flow = Workflow("order")

    @flow.step
    async def lock() -> None:
        await asyncio.sleep(3_600)

    @flow.step
    async def check() -> Finish:
        await asyncio.sleep(5)
        return Finish("found")

    flow.add("unlock", lambda: "unlocked", after=lock.even_if_failed)
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "found")
    assert run.step("lock").status == "cancelled"
    assert run.step("unlock").output == "unlocked"


def later(seconds: float, value: Any) -> Any:
    async def call() -> Any:
        await asyncio.sleep(seconds)
        return value

    return call


def place_finishing(flow: Workflow, where: str) -> Any:
    """Add a step that finishes the run after a minute, and return what encloses it, or the step itself."""

    finish, beside = later(60, Finish("early")), later(3_600, "late")
    match where:
        case "alone" | "race":
            return flow.add("finish", finish)
        case "group" | "queued group":
            members = ["finish", "beside"]
            flow.add("finish", finish)
            flow.add("beside", beside)
            return flow.parallel("around", members, concurrency=1 if where == "queued group" else None)
        case "clause":
            around = flow.branch("around", on="input.0")
            around.add(0, "finish", finish)
            around.add(0, "beside", beside)
            return around
        case _:
            return flow.each("input", name="around", concurrency=1)(first_finishes)


async def first_finishes(item: int) -> Any:
    await asyncio.sleep(60)
    return item or Finish("early")


@pytest.mark.parametrize("again", [False, True], ids=["once", "redelivered"])
@pytest.mark.parametrize("where", ["alone", "group", "queued group", "clause", "each", "race"])
async def test_clean_up_runs_wherever_the_run_was_finished(engine: Engine, where: str, again: bool) -> None:
    flow = Workflow("order")
    calls: list[str] = []

    def note(name: str) -> Any:
        return lambda: calls.append(name)

    held = flow.add("held", lambda: "lock")
    used = flow.add("used", later(3_600, None))
    around = place_finishing(flow, where)
    then = flow.add("then", note("then"), after=any_of(around, "used") if where == "race" else around)
    flow.add("free", note("free"), after=[held, around.even_if_failed])
    flow.add("freed", note("freed"), after="free")
    flow.add("stop", note("stop"), after=used.even_if_failed)
    flow.add("swept", note("swept"), after=then.even_if_failed)
    flow.add("both", note("both"), after=[then, used.even_if_failed])
    run = await engine.start(flow, [0, 1, 2])
    if again:
        await engine.advance("61s")
        engine.redeliver()
    await engine.until_idle()
    assert (run.status, run.output, run.failure) == ("completed", "early", None)
    assert sorted(calls) == ["free", "freed", "stop", "swept"]
    assert calls.index("free") < calls.index("freed")
    steps = {name: step.status for name, step in run.steps.items()}
    assert (steps["then"], steps["used"], steps["both"]) == ("cancelled", "cancelled", "cancelled")
    assert {steps.get("beside", "cancelled"), steps.get("around[2]", "cancelled")} == {"cancelled"}


async def test_what_goes_on_after_any_end_is_no_clean_up_of_what_it_began_itself(engine: Engine) -> None:
    """All of this graph comes after `even_if_failed`; yet what finishes it cancels the rest."""
    flow = Workflow("order")
    first = flow.add("first", lambda: 1)
    flow.add("second", lambda: Finish("early"), after=first.even_if_failed)
    flow.add("third", lambda: 3)
    flow.parallel("around", ["second", "third"], after=first.even_if_failed, concurrency=1)
    flow.add("end", lambda: "end", after="around")
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "early")
    assert {name: step.status for name, step in run.steps.items()} == {
        "first": "completed", "second": "completed", "third": "cancelled", "around": "completed",
        "end": "cancelled",
    }  # fmt: skip


async def test_clean_up_that_fails_does_not_fail_a_finished_run(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def check() -> Finish:
        return Finish("early")

    @flow.step(after=check.even_if_failed)
    def tidy() -> None:
        raise Fail("dirty", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output, run.failure) == ("completed", "early", None)
    assert run.step("tidy").status == "failed"


async def test_a_failure_that_came_first_wins(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    async def fails() -> None:
        raise Fail("down", retryable=False)

    @flow.step
    async def finishes() -> Finish:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        return Finish("too late")

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("failed", None)


async def test_the_first_of_two_counts(engine: Engine) -> None:
    flow = Workflow("order")
    for name, seconds in (("a", 5), ("b", 1)):
        flow.add(name, finishing(name, seconds))
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "b")


def finishing(name: str, seconds: float) -> Any:
    async def call() -> Finish:
        await asyncio.sleep(seconds)
        return Finish(name)

    return call


async def test_changes_of_the_context_are_kept(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def a(ctx: Context) -> Finish:
        ctx.put("n", 1)
        return Finish("x")

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.context == {"n": 1}


async def test_a_client_gets_it_as_the_result(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: Finish({"early": True}))
    flow.sleep("nap", "1d")
    run = await engine.start(flow)
    await engine.until_idle()
    assert engine.ask(run._target.result) == {"early": True}
    assert run.events[-1].type == "run.completed"
    assert run.events[-1].output == b'{"early":true}'
