"""A9, B7: a step jumps forward to a named step; what lies between is skipped."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import Context, Fail, Jump, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


def statuses(run: Any) -> dict[str, str]:
    return {name: step.status for name, step in run.steps.items()}


def chain(answer: Any) -> Workflow:
    flow = Workflow("chain")
    flow.add("check", lambda: answer)
    flow.add("review", lambda check: f"review of {check}")
    flow.add("approve", lambda review: f"approved {review}")
    flow.add("close", lambda check, approve: [check, approve])
    flow.add("after", lambda close: close)
    return flow


async def test_a_jump_skips_what_lies_between(engine: Engine) -> None:
    run = await engine.start(chain(Jump("close", "small")))
    await engine.until_idle()
    assert run.output == ["small", None]
    assert statuses(run) == {
        "check": "completed", "review": "skipped", "approve": "skipped", "close": "completed",
        "after": "completed",
    }  # fmt: skip
    assert engine.calls("review") == engine.calls("approve") == 0
    failure = run.step("review").failure
    assert failure is not None
    assert (failure.code, failure.message) == ("jumped_over", "step 'check' jumped to 'close'")


async def test_without_a_jump_all_of_them_run(engine: Engine) -> None:
    run = await engine.start(chain("large"))
    await engine.until_idle()
    assert run.output == ["large", "approved review of large"]


async def test_a_jump_to_the_next_step_skips_nothing(engine: Engine) -> None:
    run = await engine.start(chain(Jump("review", "x")))
    await engine.until_idle()
    assert run.output == ["x", "approved review of x"]


async def test_a_jump_takes_a_step_or_a_name_and_may_be_conditional(engine: Engine) -> None:
    flow = Workflow("typed")

    @flow.step
    def check(input: int) -> int | Jump:  # noqa: A002
        return Jump(close, input) if input < 10 else input * 2

    @flow.step
    def review(check: int) -> int:
        return check + 1

    @flow.step
    def close(check: int, review: int | None) -> list[int | None]:
        return [check, review]

    small, large = await engine.start(flow, 1), await engine.start(flow, 10)
    await engine.until_idle()
    assert (small.output, large.output) == ([1, None], [20, 21])


async def test_what_does_not_wait_for_the_jumping_step_goes_on(engine: Engine) -> None:
    flow = Workflow("beside")
    flow.add("check", lambda: Jump("close"))
    flow.add("between", lambda: 1, after="check")

    @flow.step
    async def beside() -> str:
        await asyncio.sleep(60)
        return "beside"

    flow.add("close", lambda beside: beside, after=["between", "beside"])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == "beside", "the target still waits for whatever else it waits for"
    assert statuses(run)["between"] == "skipped"


async def test_other_ways_that_do_not_lead_to_the_target_are_skipped_too(engine: Engine) -> None:
    flow = Workflow("side")
    flow.add("check", lambda: Jump("close"))
    flow.add("close", lambda: "closed", after="check")
    flow.add("side", lambda: "side", after="check")
    flow.add("end", lambda: "end", after=["side", "close"])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == "end"
    assert statuses(run)["side"] == "skipped"


async def test_a_jump_over_waits_groups_children_and_each(engine: Engine) -> None:
    small = Workflow("small")
    small.add("only", lambda: 1)
    flow = Workflow("over")
    flow.add("check", lambda: Jump("close", []))
    flow.wait_signal("go", after="check")
    flow.sleep("nap", "1h", after="check")
    flow.child("small", small, after="go")

    @flow.each("check")
    def each(item: int) -> int:
        return item

    flow.add("a", lambda: 1, after="check")
    flow.parallel("group", ["a"], after="check")
    flow.add("close", lambda: "closed", after=["go", "nap", "small", "each", "group"])
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "closed")
    assert {status for name, status in statuses(run).items() if name not in ("check", "close")} == {"skipped"}
    assert run.children == []


async def test_a_jump_out_of_a_group_and_into_a_clause(engine: Engine) -> None:
    flow = Workflow("inside")
    flow.add("first", lambda: Jump("last", 1))
    flow.add("second", lambda: 2, after="first")
    flow.parallel("group", ["first", "second"])
    flow.add("between", lambda: 1, after="group")
    flow.add("last", lambda group: group.skipped, after="between")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert statuses(run)["between"] == "skipped"
    assert "second" in run.output


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("before", "a jump goes forward: 'check' comes after 'before', or is it"),
        ("check", "a jump goes forward: 'check' comes after 'check', or is it"),
        ("nobody", "there is no step 'nobody' to jump to"),
    ],
)
async def test_where_nobody_can_jump(engine: Engine, target: str, says: str) -> None:
    flow = Workflow("bad")
    flow.add("before", lambda: 1)
    flow.add("check", lambda before: Jump(target))
    flow.add("close", lambda check: check)
    run = await engine.start(flow)
    await engine.until_idle()
    failure = run.step("check").failure
    assert failure is not None
    assert (failure.code, failure.message, failure.retryable) == ("bad_jump", says, False)
    assert run.status == "failed"


@pytest.mark.parametrize("has_begun", [True, False])
async def test_a_target_beside_the_jumping_step_begins_by_itself(engine: Engine, has_begun: bool) -> None:
    """Whether it has begun when the jump comes, makes no difference: no race decides what is skipped."""
    flow = Workflow("beside")

    @flow.step
    async def check() -> Jump:
        await asyncio.sleep(10 if has_begun else 0)
        return Jump("beside")

    flow.add("between", lambda: 1, after="check")

    @flow.step
    async def first() -> None:
        await asyncio.sleep(5)

    flow.add("beside", lambda: "beside", after="first")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert run.output == {"between": None, "beside": "beside"}
    assert [run.step(name).status for name in ("check", "between", "beside")] == [
        "completed", "skipped", "completed",
    ]  # fmt: skip


async def test_a_jump_keeps_what_the_attempt_put_into_the_context(engine: Engine) -> None:
    flow = Workflow("keeps")

    @flow.step
    def check(ctx: Context) -> Jump:
        ctx.put("n", 1)
        return Jump("close", {"from": "output"})

    flow.add("between", lambda: 1, after="check")

    @flow.step(after="between")
    def close(ctx: Context) -> list[Any]:
        return [ctx.get("n"), ctx.has("from")]

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == [1, False]


async def test_a_step_that_jumped_is_undone_like_any_other(engine: Engine) -> None:
    flow = Workflow("undone")
    undone: list[Any] = []
    check = flow.add("check", lambda: Jump("close", "x"))
    check.compensate(lambda check: undone.append(check))
    flow.add("between", lambda: 1, after="check").compensate(lambda: undone.append("between"))

    @flow.step(after="between")
    def close() -> None:
        raise Fail("down", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, undone) == ("compensated", ["x"])


async def test_skipped_steps_are_said_publicly(engine: Engine) -> None:
    run = await engine.start(chain(Jump("close")))
    await engine.until_idle()
    said = [(event.type, getattr(event, "step", None)) for event in run.events]
    assert sorted(said[1:4]) == [
        ("step.completed", "check"), ("step.skipped", "approve"), ("step.skipped", "review"),
    ]  # fmt: skip
    assert [said[0], *said[4:]] == [
        ("run.started", None), ("step.completed", "close"), ("step.completed", "after"),
        ("run.completed", None),
    ]  # fmt: skip


@pytest.mark.parametrize("target", [None, 7, "", object()], ids=["None", "7", "empty", "object"])
def test_what_is_no_target(target: Any) -> None:
    with pytest.raises(RejectedError, match="Jump takes a step or its name, not "):
        Jump(target)
