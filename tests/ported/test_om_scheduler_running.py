"""What users of a scheduler's workflow module rely on while runs go on: begin, look, pause, cancel, skip.

Left out: the list of all runs under way (E4) and cancelling all of a workflow (E6, by filter).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from stream_durable import Context, Workflow
from stream_durable.testing.engine import Engine


async def test_a_run_begins_at_a_moment_or_after_a_delay(engine: Engine) -> None:
    flow = Workflow("later")
    flow.add("a", lambda: 1)

    delayed = await engine.start(flow, after="30m")
    moment = await engine.start(flow, at=datetime.fromtimestamp(engine.now.timestamp() + 7_200, UTC))
    await engine.until_idle()
    assert delayed.status == moment.status == "pending"

    await engine.advance("31m")
    assert (delayed.status, moment.status) == ("completed", "pending")
    await engine.advance("90m")
    assert moment.status == "completed"


async def test_where_a_run_stands(engine: Engine) -> None:
    flow = Workflow("standing")
    flow.add("fetch", lambda: {"rows": 3})
    flow.add("validate", lambda fetch: fetch["rows"] == 3)
    flow.wait_signal("transform", after="validate")
    flow.add("notify", lambda: None, after="transform")

    run = await engine.start(flow, tags=["daily"], metadata={"owner": "data"})
    await engine.until_waiting(run)

    state = run.state
    assert (state.workflow, state.status, state.current) == ("standing", "waiting", ("transform",))
    assert (state.done, state.total) == (2, 4)
    assert state.tags == ("daily",)
    assert state.metadata == {"owner": "data"}


async def test_a_paused_run_goes_on_with_what_was_added(engine: Engine) -> None:
    flow = Workflow("pausing")

    @flow.step
    async def ask() -> None:
        await asyncio.sleep(5)

    @flow.step(after=ask)
    async def proceed(ctx: Context) -> str:
        return "approved" if ctx.get("approved") else "rejected"

    run = await engine.start(flow)
    await run.pause("a manager looks at it")
    await engine.advance("1d")
    assert run.status == "paused"
    assert run.step("ask").status == "completed", "what is under way goes on"
    assert run.step("proceed").attempts == 0

    await run.resume(context={"approved": True})
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "approved")


async def test_a_long_step_can_leave_when_it_is_cancelled(engine: Engine) -> None:
    """There a step asks; here a plain one asks `ctx.cancelled`, and an async one is told by an exception."""
    flow = Workflow("cooperative")
    processed: list[int] = []

    @flow.step
    async def process() -> None:
        try:
            for item in range(1_000):
                await asyncio.sleep(1)
                processed.append(item)
        except asyncio.CancelledError:
            processed.append(-1)
            raise

    run = await engine.start(flow)
    await engine.advance("5s")
    await run.cancel("enough")
    await engine.until_idle()

    assert run.status == "cancelled"
    assert processed[-1] == -1
    assert 3 <= len(processed) <= 8


async def test_clean_up_runs_when_a_run_is_cancelled(engine: Engine) -> None:
    flow = Workflow("cancel_with_clean_up")
    done: list[str] = []
    lock = flow.add("lock", lambda: "locked")
    work = flow.wait_signal("work", after=lock)
    flow.add("unlock", lambda: done.append("unlocked"), after=work.even_if_failed)

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.cancel("maintenance")
    await engine.until_idle()

    assert run.status == "cancelled"
    assert done == ["unlocked"]
    assert run.step("unlock").status == "completed"


async def test_one_step_is_skipped_or_cancelled_by_hand(engine: Engine) -> None:
    flow = Workflow("by_hand")
    flow.wait_signal("approval")
    flow.add("go", lambda: "went", after="approval")
    skipped = await engine.start(flow)
    cancelled = await engine.start(flow)
    await engine.until_idle()

    await skipped.skip_step("approval", "approved on the phone")
    await cancelled.cancel_step("approval", "nobody wants it")
    await engine.until_idle()

    assert (skipped.status, skipped.output) == ("completed", "went")
    assert skipped.step("approval").status == "skipped"
    assert cancelled.step("approval").status == cancelled.step("go").status == "cancelled"
    assert cancelled.status == "cancelled", "nothing is left of it"
