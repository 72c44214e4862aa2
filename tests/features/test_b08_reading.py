"""B8: what a step reads while it runs."""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Context, Fail, Jump, Results, Retry, Skip, Workflow
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str


async def test_everything_a_step_can_ask(engine: Engine) -> None:
    flow = Workflow("order", input=Order)
    flow.add("charge", lambda: {"number": "R-1"})

    @flow.step(after="charge", timeout="30s", retry=Retry(3))
    def look(ctx: Context[Order]) -> dict[str, Any]:
        if ctx.attempt == 1:
            raise Fail("busy")
        assert ctx.deadline is not None
        left = ctx.deadline - engine.now
        return {
            "input": ctx.input.id, "run": ctx.run_id, "workflow": ctx.workflow, "step": ctx.step,
            "attempt": ctx.attempt, "key": ctx.idempotency_key, "tags": list(ctx.tags),
            "metadata": ctx.metadata,
            "left": timedelta(seconds=29) < left <= timedelta(seconds=30), "cancelled": ctx.cancelled,
            "charge": ctx.output("charge"),
        }  # fmt: skip

    run = await engine.start(flow, Order(id="42"), id="order-42", tags=["vip", "eu"], metadata={"by": "tom"})
    await engine.until_idle()
    assert run.output == {
        "input": "42", "run": "order-42", "workflow": "order", "step": "look", "attempt": 2,
        "key": "order-42/look/2", "tags": ["vip", "eu"], "metadata": {"by": "tom"}, "left": True,
        "cancelled": False, "charge": {"number": "R-1"},
    }  # fmt: skip


async def test_without_a_time_limit_there_is_no_deadline(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def look(ctx: Context) -> Any:
        return [ctx.deadline, ctx.tags, ctx.metadata]

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == [None, [], {}]


async def test_any_finished_output_upstream(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: "a")
    flow.add("b", lambda a: f"{a}b")
    flow.add("skipped", lambda: Skip("no"))

    @flow.step(after=["b", "skipped"], reads=["a"])
    def look(ctx: Context) -> Any:
        return [ctx.output("a"), ctx.output("b"), ctx.output("skipped", "nothing")]

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == ["a", "ab", "nothing"]


async def test_an_output_that_was_not_handed_over_says_how_to_get_it(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: "a")
    flow.add("b", lambda a: "b")

    @flow.step(after="b")
    def look(ctx: Context) -> Any:
        return ctx.output("a")

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.failure is not None
    assert (run.failure.code, run.failure.message, run.failure.retryable) == (
        "no_output",
        (
            "step 'look' was handed no output of step 'a': name it in the step's reads=, "
            "and give a default here if it "
            "may be skipped, fail or not be waited for"
        ),
        False,
    )


async def test_results_of_a_group_and_what_a_race_was_won_by(engine: Engine) -> None:
    from stream_durable import any_of

    flow = Workflow("order")
    flow.add("a", lambda: 1)
    flow.add("b", lambda: 1 / 0)
    flow.parallel("group", ["a", "b"], on_error="complete_all")

    @flow.step(after=any_of("group", "slow"))
    def look(ctx: Context, group: Results) -> Any:
        return [group.ok, list(group.failed), ctx.output("slow", "not yet"), sorted(ctx.output("group"))]

    flow.sleep("slow", "1h")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("look").output == [{"a": 1}, ["b"], "not yet", ["a", "b"]]


async def test_members_read_their_item_and_their_own_name(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.each("input")
    def each(item: str, ctx: Context) -> str:
        return f"{item} {ctx.step} {ctx.idempotency_key}"

    run = await engine.start(flow, ["x"], id="r")
    await engine.until_idle()
    assert run.output == ["x each[0] r/each[0]/1"]


async def test_progress_is_seen_while_the_step_runs_and_cut_to_what_is_possible(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    async def work(ctx: Context) -> None:
        for percent, label in ((30, "a third"), (150, "too much"), (-5, None)):
            ctx.progress(percent, label)
            await asyncio.sleep(60)

    run = await engine.start(flow)
    seen = []
    for _ in range(3):
        await engine.advance("59s")
        seen.append((run.step("work").state.percent, run.step("work").state.label))
        await engine.advance("1s")
    assert seen == [(30, "a third"), (100, "too much"), (0, None)]
    assert run.status == "completed"


async def test_a_step_sees_that_it_is_cancelled(engine: Engine) -> None:
    flow = Workflow("order")
    seen: list[bool] = []

    @flow.step
    async def work(ctx: Context) -> None:
        seen.append(ctx.cancelled)
        try:
            await asyncio.sleep(3_600)
        finally:
            seen.append(ctx.cancelled)

    run = await engine.start(flow)
    await engine.advance("1m")
    await run.cancel("enough")
    await engine.until_idle()
    assert (run.status, seen) == ("cancelled", [False, True])


async def test_the_logger_knows_where_it_is_and_its_lines_are_kept(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    flow = Workflow("order")
    caplog.set_level(logging.INFO)

    @flow.step(retry=Retry(2))
    def work(ctx: Context) -> None:
        ctx.log.info("attempt %d", ctx.attempt)
        print("printed")
        if ctx.attempt == 1:
            raise Fail("busy")

    run = await engine.start(flow, id="r")
    await engine.until_idle()
    kept = run._engine.ask(run._target.logs)
    assert [(line.step, line.attempt, line.level, line.text) for line in kept] == [
        ("work", 1, "info", "attempt 1"), ("work", 1, "print", "printed"),
        ("work", 2, "info", "attempt 2"), ("work", 2, "print", "printed"),
    ]  # fmt: skip
    records = [
        record for record in caplog.records if "attempt" in record.getMessage() and hasattr(record, "run")
    ]
    assert [(r.run, r.step, r.attempt, r.workflow) for r in records] == [  # type: ignore[attr-defined]
        ("r", "work", 1, "order"), ("r", "work", 2, "order"),
    ]  # fmt: skip


async def test_what_lies_between_a_jump_and_its_target_is_no_output(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("check", lambda: Jump("end", 1))
    flow.add("between", lambda check: 2)

    @flow.step(after="between", reads="check")
    def end(ctx: Context) -> Any:
        return [ctx.output("check"), ctx.output("between", None)]

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == [1, None]


def test_a_test_makes_its_own_context() -> None:
    flow = Workflow("order", input=Order)

    @flow.step
    def ship(ctx: Context[Order]) -> str:
        ctx.put("parcels", ctx.get("parcels", 0) + 1)
        return f"{ctx.input.id} {ctx.output('charge')} {ctx.attempt}"

    ctx = Context(Order(id="1"), values={"parcels": 1}, outputs={"charge": "R-1"}, attempt=2)
    assert ship(ctx) == "1 R-1 2"
    assert ctx.get("parcels") == 2
    assert [(change.kind, change.key) for change in ctx.changes] == [("put", "parcels")]
