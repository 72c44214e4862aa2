"""D5: when an answer is expected is a time, a moment, or a path read when the question is put."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stream_durable import Context, Workflow
from stream_durable.sdk.errors import DefinitionError
from stream_durable.testing import Engine

CHRISTMAS = datetime(2026, 12, 24, 18, tzinfo=UTC)


async def due_of(engine: Engine, due: Any, given: Any) -> datetime | None:
    """Return when the answer is expected, as the list of questions and the state of the run have it."""
    flow = Workflow("order")
    flow.ask("approved", due=due)
    run = await engine.start(flow, given, id="order-1")
    await engine.until_asked(run)
    [question] = engine.ask(engine._target.inputs).inputs
    asked = run.step("approved").state.asked
    assert asked is not None and asked.due == question.due
    found: datetime | None = question.due
    return found


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-24T18:00:00Z",
        "2026-12-24T18:00",
        "2026-12-24T19:00:00+01:00",
        "2026-12-24 18:00:00.000+00:00",
    ],
)
async def test_a_moment_at_a_path(engine: Engine, text: str) -> None:
    assert await due_of(engine, "input.answer_by", {"answer_by": text}) == CHRISTMAS


async def test_a_date_is_its_beginning_in_utc(engine: Engine) -> None:
    found = await due_of(engine, "input.answer_by", {"answer_by": "2026-12-24"})
    assert found == datetime(2026, 12, 24, tzinfo=UTC)


async def test_a_time_at_a_path_counts_from_the_question(engine: Engine) -> None:
    found = await due_of(engine, "input.within", {"within": "2h"})
    opened = engine.run("order-1").step("approved").state.started
    assert found is not None and found - opened == timedelta(hours=2)


async def test_a_moment_itself(engine: Engine) -> None:
    assert await due_of(engine, CHRISTMAS, {}) == CHRISTMAS


@pytest.mark.parametrize("given", [{}, {"answer_by": None}, {"answer_by": ""}])
async def test_where_nothing_is_there_none_is_expected(engine: Engine, given: Any) -> None:
    assert await due_of(engine, "input.answer_by", given) is None


@pytest.mark.parametrize("wrong", ["soon", 7, True, ["2h"], "999999999999d", "2026-13-01"])
async def test_what_is_neither_fails_the_step(engine: Engine, wrong: Any) -> None:
    flow = Workflow("order")
    flow.ask("approved", due="input.answer_by")
    run = await engine.start(flow, {"answer_by": wrong})
    await engine.until_idle()
    assert run.status == "failed"
    assert run.failure.code == "bad_moment" and "input.answer_by" in run.failure.message


async def test_it_is_read_from_a_step_that_is_waited_for_and_again_after_a_retry(engine: Engine) -> None:
    flow = Workflow("order")
    moments = iter(["2026-12-24T18:00:00Z", "2026-12-25T18:00:00Z"])
    flow.add("plan", lambda: {"answer_by": next(moments)})
    flow.ask("approved", due="plan.answer_by", timeout="1h")
    run = await engine.start(flow, {})
    await engine.until_asked(run)
    assert run.step("approved").state.asked.due == CHRISTMAS
    await engine.advance("2h")
    await run.retry("plan")
    await engine.until_asked(run)
    assert run.step("approved").state.asked.due == CHRISTMAS + timedelta(days=1)


async def test_inside_a_step_a_time_and_a_moment_but_no_path(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    async def asks(ctx: Context) -> list[Any]:
        return await ctx.gather(ctx.ask("first", due=CHRISTMAS), ctx.ask("second", due="2h"))

    @flow.step
    async def reads(ctx: Context) -> Any:
        return await ctx.ask("third", due="input.answer_by")

    run = await engine.start(flow, {}, id="order-1")
    await engine.until_idle()
    assert run.step("asks/first").state.asked.due == CHRISTMAS
    assert (run.failure.code, "no path" in run.failure.message or "paths are" in run.failure.message) == (
        "bad_wait", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("due", "code"),
    [
        ("other.answer_by", "neither the input nor a step"),
        ("2 hours", "due="),
        (CHRISTMAS.replace(tzinfo=None), "due="),
        ("1.5h", "due="),
    ],
)
def test_what_leads_nowhere_is_refused_with_the_definition(due: Any, code: str) -> None:
    flow = Workflow("order")
    flow.ask("approved", due=due)
    with pytest.raises(DefinitionError, match=code):
        flow.definition()
