"""C6: functions that are told how a run ended, of each attempt that failed, and of the steps on their way."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from outcomes import failure_of
from refusals import refusal

from stream_durable import Context, Expand, Fail, Finish, Happened, Retry, Skip, Workflow
from stream_durable.testing import Engine

Told = list[tuple[str, Happened]]


def hooked(flow: Workflow, *kinds: str) -> Told:
    """Let these hooks note what they are told."""
    told: Told = []

    def note(kind: str) -> Any:
        def hook(happened: Happened) -> None:
            told.append((kind, happened))

        return hook

    for kind in kinds:
        getattr(flow, kind)(note(kind))
    return told


ENDS = ("on_success", "on_failure", "on_cancel")


async def test_on_success(engine: Engine) -> None:
    flow = Workflow("flow")
    told = hooked(flow, *ENDS)
    flow.add("a", lambda: 1)
    run = await engine.start(flow, id="r")
    await engine.until(run, "completed")
    [(kind, happened)] = told
    assert kind == "on_success"
    assert (happened.status, happened.run, happened.workflow, happened.failure) == (
        "completed",
        "r",
        "flow",
        None,
    )


async def test_on_failure_with_error_step_and_trace(engine: Engine) -> None:
    flow = Workflow("flow", retry=Retry(2))
    told = hooked(flow, *ENDS)

    @flow.step
    def charge() -> None:
        raise ValueError("no such card")

    run = await engine.start(flow)
    await engine.until(run, "failed")
    [(kind, happened)] = told
    assert (kind, happened.status, happened.step) == ("on_failure", "failed", "charge")
    failure = happened.failure
    assert failure is not None
    assert (failure.code, failure.message) == ("ValueError", "no such card")
    assert failure.trace is not None
    assert "in charge" in failure.trace
    assert 'raise ValueError("no such card")' in failure.trace


async def test_on_cancel_with_the_reason(engine: Engine) -> None:
    flow = Workflow("flow")
    told = hooked(flow, *ENDS)
    flow.wait_signal("go")
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.cancel("too dear")
    await engine.until(run, "cancelled")
    assert [(kind, happened.status, happened.reason) for kind, happened in told] == [
        ("on_cancel", "cancelled", "too dear")
    ]


@pytest.mark.parametrize("how", ["time", "child", "finish", "by hand", "compensated"])
async def test_whatever_ended_the_run(engine: Engine, how: str) -> None:
    flow = Workflow("flow", timeout="1h")
    told = hooked(flow, *ENDS)
    match how:
        case "time":
            flow.sleep("nap", "2h")
        case "child":
            small = Workflow("small")
            small.add("only", lambda: 1 / 0)
            flow.child("kid", small)
        case "finish":
            flow.add("a", lambda: Finish(1))
        case "by hand":
            flow.wait_signal("go")
        case _:
            flow.add("a", lambda: 1).compensate(lambda: 1)
            flow.add("b", lambda: 1 / 0, after="a")
    run = await engine.start(flow)
    if how == "by hand":
        await run.cancel_step("go", "no")
    await engine.advance("2h")
    assert [(kind, happened.status) for kind, happened in told] == [
        {
            "time": ("on_failure", "failed"),
            "child": ("on_failure", "failed"),
            "finish": ("on_success", "completed"),
            "by hand": ("on_cancel", "cancelled"),
            "compensated": ("on_failure", "compensated"),
        }[how]
    ]
    assert run.status == told[0][1].status


async def test_for_each_attempt_that_fails(engine: Engine) -> None:
    flow = Workflow("flow")
    told = hooked(flow, "on_attempt_fail", "on_step_fail")

    @flow.step(retry=Retry(3), on_error="continue")
    def shaky(ctx: Context) -> None:
        raise Fail(f"code_{ctx.attempt}", "no answer", details={"n": ctx.attempt})

    @flow.step(retry=Retry(2))
    def once(ctx: Context) -> str:
        if ctx.attempt == 1:
            raise KeyError("x")
        return "well"

    run = await engine.start(flow)
    await engine.until(run, "completed")
    attempts = sorted(
        (h.step, h.attempt, h.failure.code)
        for kind, h in told
        if kind == "on_attempt_fail" and h.failure is not None
    )
    assert attempts == [
        ("once", 1, "KeyError"),
        ("shaky", 1, "code_1"),
        ("shaky", 2, "code_2"),
        ("shaky", 3, "code_3"),
    ]
    [step] = [h for kind, h in told if kind == "on_step_fail"]
    assert step.failure is not None
    assert (step.step, step.attempt, step.status, step.failure.details) == ("shaky", 3, "failed", {"n": 3})


async def test_at_the_start_completion_and_failure_of_steps_of_every_kind(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda: 1)
    flow = Workflow("flow")
    told = hooked(flow, "on_step_start", "on_step_complete", "on_step_fail")
    flow.add("step", lambda: {"n": 1})
    flow.sleep("nap", "1s")
    flow.wait_signal("go", timeout="1s", on_timeout="none")
    flow.child("kid", small)
    flow.add("member", lambda: 1)
    flow.parallel("group", ["member"])

    @flow.each("input")
    def each(item: int) -> int:
        return item

    flow.branch("kind", on="input").clause().add("in_clause", lambda: 1)
    flow.add("fails", lambda: 1 / 0, on_error="continue")
    flow.add("skips", lambda: Skip("no"))
    run = await engine.start(flow, [7])
    await engine.until(run, "completed")
    names = {"step", "nap", "go", "kid", "member", "group", "each", "each[0]", "kind", "in_clause"}
    said = {kind: [happened for k, happened in told if k == kind] for kind, _ in told}
    assert sorted(h.step or "" for h in said["on_step_complete"]) == sorted(names)
    assert sorted(h.step or "" for h in said["on_step_start"]) == sorted(names | {"fails", "skips"})
    assert [h.step for h in said["on_step_fail"]] == ["fails"]
    outputs = {h.step: h.output for h in said["on_step_complete"]}
    assert (outputs["step"], outputs["each"], outputs["go"]) == ({"n": 1}, [7], "none")
    assert {h.status for h in said["on_step_complete"]} == {"completed"}


async def test_members_that_were_added_are_told_of_too(engine: Engine) -> None:
    flow = Workflow("flow")
    told = hooked(flow, "on_step_complete")

    @flow.template
    def scan(item: int) -> int:
        return item

    flow.add("scans", lambda: Expand([scan.of(1, name="one")]))
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert [happened.step for _, happened in told] == ["scans[one]", "scans"]


async def test_hooks_are_durable_and_retried(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1)
    keys: list[str] = []

    @flow.on_success(retry=Retry(3, base="1h", cap="1h"))
    def tell(ctx: Context) -> str:
        keys.append(ctx.idempotency_key)
        if ctx.attempt < 3:
            raise ConnectionError("the pager is down")
        return "told"

    engine.crash_before(tell)
    run = await engine.start(flow, id="r")
    await engine.advance("5m")
    assert run.status == "running", "the run ends when its hook has"
    engine.restart()
    await engine.until(run, "completed")
    assert keys == [f"r/~on_success/{n}" for n in (1, 2, 3)]
    assert run.step("~on_success").attempts == 3


@pytest.mark.parametrize(
    "kind", [*ENDS, "on_step_start", "on_step_complete", "on_step_fail", "on_attempt_fail"]
)
async def test_a_hook_that_fails_is_recorded_and_changes_nothing(engine: Engine, kind: str) -> None:
    flow = Workflow("flow")

    @getattr(flow, kind)  # type: ignore[untyped-decorator]
    def broken() -> None:
        raise RuntimeError("the pager is broken")

    ends = {"on_success": "completed", "on_cancel": "cancelled"}.get(kind, "failed")
    flow.add("a", lambda: "a")
    if ends == "failed":
        flow.add("b", lambda: 1 / 0, after="a")
    elif ends == "cancelled":
        flow.wait_signal("b", after="a")
    run = await engine.start(flow)
    if ends == "cancelled":
        await engine.until_waiting(run)
        await run.cancel()
    await engine.until(run, ends)
    helpers = {name: helper for name, helper in run.state.helpers.items() if kind in name}
    assert helpers
    for helper in helpers.values():
        assert helper.failure is not None
        assert (helper.status, helper.failure.message) == ("failed", "the pager is broken")
    if ends == "failed":
        assert failure_of(run).code == "ZeroDivisionError"


async def test_the_steps_after_do_not_wait_for_a_hook_but_the_run_does(engine: Engine) -> None:
    flow = Workflow("flow")
    done: list[str] = []
    flow.add("a", lambda: 1)
    flow.add("b", lambda: done.append("b"), after="a")

    @flow.on_step_complete
    async def slow(happened: Happened) -> None:
        await asyncio.sleep(600)
        done.append(f"hook of {happened.step}")

    run = await engine.start(flow)
    await engine.advance("1m")
    assert done == ["b"]
    assert run.status == "running"
    await engine.until(run, "completed")
    assert sorted(done) == ["b", "hook of a", "hook of b"]


async def test_a_hook_takes_context_and_input_and_keeps_what_it_puts(engine: Engine) -> None:
    flow = Workflow("flow", input=int)

    @flow.step
    def a(ctx: Context) -> None:
        ctx.put("file", "/tmp/x")  # noqa: S108

    @flow.on_success
    def tidy(ctx: Context, input: int) -> None:
        ctx.put("tidied", [ctx.get("file"), input])

    run = await engine.start(flow, 4)
    await engine.until(run, "completed")
    assert run.context["tidied"] == ["/tmp/x", 4]  # noqa: S108


async def test_hooks_come_after_clean_up_and_compensation(engine: Engine) -> None:
    flow = Workflow("flow")
    done: list[str] = []
    a = flow.add("a", lambda: 1)
    a.compensate(lambda: done.append("undone"))
    b = flow.add("b", lambda: 1 / 0, after=a)
    flow.add("tidy", lambda: done.append("tidied"), after=b.even_if_failed)
    flow.on_failure(lambda: done.append("told"))
    run = await engine.start(flow)
    await engine.until(run, "compensated")
    assert done == ["tidied", "undone", "told"]


async def test_a_child_has_hooks_of_its_own(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda: 1)
    flow = Workflow("flow")
    flow.child("kid", small)
    told_small, told = hooked(small, *ENDS), hooked(flow, *ENDS)
    run = await engine.start(flow, id="p")
    await engine.until(run, "completed")
    assert [happened.run for _, happened in told_small] == ["p//kid"]
    assert [happened.run for _, happened in told] == ["p"]


def test_what_a_hook_takes_is_judged() -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: 1)
    flow.on_success(lambda nobody, x: 1)
    flow.on_failure(lambda: 1)
    flow.on_failure(lambda: 2)
    faults = refusal(flow)
    assert any("on_success" in fault and "'nobody'" in fault for fault in faults)
    assert any("on_failure" in fault for fault in faults), "there is one hook of a kind"


async def test_a_hook_is_not_told_an_output_that_is_larger_than_a_value_may_be(engine: Engine) -> None:
    flow = Workflow("flow")
    told = hooked(flow, "on_success", "on_step_complete")
    listed = flow.add("listed", lambda: list(range(1_500)))

    @flow.each(listed)
    def much(item: int) -> str:
        return "x" * 700

    @flow.step(after=much)
    def last() -> str:
        return "done"

    run = await engine.start(flow)
    await engine.until(run, "completed")

    outputs = {happened.step: happened for kind, happened in told if kind == "on_step_complete"}
    assert outputs["much"].output is None
    assert "1054501 bytes" in (outputs["much"].reason or "")
    assert outputs["last"].output == "done"
    assert [happened.output for kind, happened in told if kind == "on_success"] == ["done"]


async def test_a_child_whose_input_does_not_fit_beside_the_tags_it_inherits_fails_by_name(
    engine: Engine,
) -> None:
    kid = Workflow("kid")
    kid.add("a", lambda: 1)
    flow = Workflow("flow")
    flow.child("kid", kid, input={"one": "input", "two": "input"})

    run = await engine.start(flow, "x" * 440_000, tags=[f"{n:03d}" + "\x01" * 500 for n in range(100)])
    await engine.until(run, "failed")

    assert failure_of(run).code == "input_too_large"
    assert "beside the tags" in failure_of(run).message
