"""C4: a failure for good fails the run, skips the step, or is recorded while the run goes on."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

from typing import Any, Literal

import pytest
from outcomes import failure_of
from refusals import refusal

from stream_durable import Fail, Happened, Results, Retry, Workflow
from stream_durable.testing import Engine

Policy = Literal["fail", "skip", "continue"]
KINDS = ("step", "child", "wait", "branch", "event", "condition", "limit", "repeat")


def failing(kind: str, policy: Policy) -> Workflow:
    """Return a flow in which something of this kind, named x, fails; y takes what it came to."""
    flow = Workflow(f"{kind}_{policy}")

    def broken() -> Any:
        raise Fail("broken", f"the {kind} is broken", details={"of": kind}, retryable=False)

    match kind:
        case "step":
            flow.add("x", broken, on_error=policy)
        case "child" | "repeat":
            small = Workflow(f"small_{kind}_{policy}")
            small.add("only", broken)
            again: dict[str, Any] = {"until": "x.done"} if kind == "repeat" else {}
            flow.child("x", small, on_error=policy, **again)
        case "wait":
            flow.wait_signal("x", timeout="1m", on_error=policy)
        case "branch":
            flow.branch("x", on="input", on_error=policy).clause().add("only", broken)
        case "condition":
            flow.add("x", lambda: 1, when=lambda input: broken(), on_error=policy)
        case "event":
            flow.wait_event("x", "paid", key="input.id", timeout="1m", on_error=policy)
        case _:
            flow.add("x", lambda: 1, timeout=lambda input: broken(), on_error=policy)

    @flow.step
    def y(x: Any = "nothing") -> Any:
        return ["y", x]

    return flow


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("policy", ["fail", "skip", "continue"])
async def test_what_a_failure_does(engine: Engine, kind: str, policy: Policy) -> None:
    run = await engine.start(failing(kind, policy), {"id": "1"})
    await engine.until(run, "failed" if policy == "fail" else "completed")
    code = "timeout" if kind in ("wait", "event") else "broken"
    assert failure_of(run.step("x")).code == code, "why it did not come to anything is on record in any case"
    if policy == "fail":
        assert (run.step("x").status, run.step("y").status) == ("failed", "cancelled")
        assert failure_of(run).code == code
        assert engine.calls("y") == 0
    else:
        assert run.step("x").status == ("skipped" if policy == "skip" else "failed")
        assert (run.output, run.failure) == (["y", "nothing"], None)


async def test_failing_is_the_default(engine: Engine) -> None:
    flow = Workflow("default")
    flow.add("x", lambda: 1 / 0)
    run = await engine.start(flow)
    await engine.until(run, "failed")


async def test_it_is_for_failures_for_good_only(engine: Engine) -> None:
    flow = Workflow("retried")
    engine.fail("x", times=2)
    flow.add("x", lambda: "well", on_error="skip", retry=Retry(3))
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert (run.output, run.step("x").attempts) == ("well", 3)


@pytest.mark.parametrize("policy", ["skip", "continue"])
async def test_a_last_step_that_may_fail_leaves_the_run_without_its_output(
    engine: Engine, policy: Policy
) -> None:
    flow = Workflow("last")
    flow.add("x", lambda: 1 / 0, on_error=policy)
    flow.add("z", lambda: 26)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert run.output == {"x": None, "z": 26} or run.output == {"z": 26}


async def test_hooks_tell_a_skipped_step_from_a_failed_one(engine: Engine) -> None:
    flow = Workflow("hooks")
    told: list[tuple[str | None, str]] = []
    flow.add("skips", lambda: 1 / 0, on_error="skip")
    flow.add("goes_on", lambda: 1 / 0, on_error="continue")

    @flow.on_step_fail
    def failed(happened: Happened) -> None:
        told.append((happened.step, happened.status))

    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert ("goes_on", "failed") in told


async def test_a_policy_of_a_step_holds_within_a_clause(engine: Engine) -> None:
    flow = Workflow("clause")
    clause = flow.branch("kind", on="input").clause()
    clause.add("x", lambda: 1 / 0, on_error="continue")
    clause.add("y", lambda x="nothing": x)
    run = await engine.start(flow, 1)
    await engine.until(run, "completed")
    assert run.output == "nothing"
    assert run.step("x").status == "failed"


async def test_groups_and_each_say_it_of_their_members(engine: Engine) -> None:
    flow = Workflow("groups")
    flow.add("a", lambda: 1 / 0)
    flow.add("b", lambda: 2)
    flow.parallel("group", ["a", "b"], on_error="complete_all")

    @flow.each("input", on_error="complete_all")
    def each(item: int) -> float:
        return 1 / item

    @flow.step
    def end(group: Results, each: list[float | None]) -> Any:
        return [group.ok, list(group.failed), each]

    run = await engine.start(flow, [1, 0, 2])
    await engine.until(run, "completed")
    assert run.output == [{"b": 2}, ["a"], [1.0, None, 0.5]]


@pytest.mark.parametrize("policy", ["skip", "continue"])
async def test_what_may_fail_does_not_undo_what_is_done(engine: Engine, policy: Policy) -> None:
    flow = Workflow("saga")
    undone: list[str] = []
    flow.add("reserve", lambda: 1).compensate(lambda: undone.append("reserve"))
    flow.add("x", lambda: 1 / 0, after="reserve", on_error=policy)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert undone == []


def test_there_are_three_policies() -> None:
    flow = Workflow("bad")
    flow.add("a", lambda: 1, on_error="ignore")  # type: ignore[arg-type]
    flow.parallel("g", ["a"], on_error="continue")  # type: ignore[arg-type]
    flow.wait_signal("w", on_error="fail_fast")  # type: ignore[arg-type]
    faults = refusal(flow)
    assert len(faults) == 3
    assert all("on_error=" in fault for fault in faults)
    assert "'ignore'" in "".join(faults)
