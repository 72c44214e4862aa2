"""B3: a step that turns out not to be needed is skipped, with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable import Context, Fail, Skip, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


async def test_the_steps_after_it_go_on_without_its_output(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def pack(input: int) -> str | Skip:  # noqa: A002
        return Skip("nothing to pack") if input == 0 else "packed"

    @flow.step
    def ship(pack: str | None) -> str:
        return f"shipped {pack}"

    none, some = await engine.start(flow, 0), await engine.start(flow, 1)
    await engine.until_idle()
    assert (none.status, none.output) == ("completed", "shipped None")
    assert some.output == "shipped packed"
    failure = none.step("pack").failure
    assert none.step("pack").status == "skipped"
    assert failure is not None
    assert (failure.code, failure.message) == ("skipped", "nothing to pack")
    assert none.step("pack").output is None


async def test_it_is_said_publicly_with_its_reason(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("pack", lambda: Skip("nothing to pack"))
    run = await engine.start(flow)
    await engine.until_idle()
    (skipped,) = [event for event in run.events if event.type == "step.skipped"]
    assert skipped.failure is not None
    assert skipped.failure.message == "nothing to pack"
    assert (run.status, run.output) == ("completed", None)


async def test_changes_of_the_context_are_kept(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def pack(ctx: Context) -> Skip:
        ctx.put("looked", True)
        return Skip("nothing")

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.context == {"looked": True}


async def test_a_skipped_step_is_not_undone_and_no_attempt_follows(engine: Engine) -> None:
    flow = Workflow("order")
    undone: list[str] = []
    flow.add("pack", lambda: Skip("nothing")).compensate(lambda: undone.append("pack"))

    @flow.step(after="pack")
    def ship() -> None:
        raise Fail("down", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, undone) == ("failed", [])
    assert run.step("pack").attempts == 1


async def test_a_member_that_skips_leaves_a_hole(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.each("input")
    def each(item: int) -> int | Skip:
        return item if item else Skip("zero")

    run = await engine.start(flow, [1, 0, 2])
    await engine.until_idle()
    assert run.output == [1, None, 2]


async def test_a_run_of_which_all_was_skipped_has_completed(engine: Engine) -> None:
    flow = Workflow("order")
    for name in "abc":
        flow.add(name, lambda: Skip("no"))
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", {"a": None, "b": None, "c": None})


async def test_a_long_reason_is_cut(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: Skip("r" * 10_000))
    run = await engine.start(flow)
    await engine.until_idle()
    failure = run.step("a").failure
    assert failure is not None
    assert failure.message == "r" * 4_000


@pytest.mark.parametrize("reason", [None, 7, ["x"]], ids=repr)
async def test_a_reason_is_a_text(engine: Engine, reason: Any) -> None:
    with pytest.raises(RejectedError, match="Skip takes a text as its reason, not "):
        Skip(reason)
    flow = Workflow("order")
    flow.add("a", lambda: Skip(reason))
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.failure is not None
    assert run.failure.code == "OptionError"
