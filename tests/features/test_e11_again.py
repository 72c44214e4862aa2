"""E11: runs that met and are retried, and rules that change while runs wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import Batch, Context, Debounce, Gate, RejectedError, Single, Workflow
from stream_durable.testing import Engine


def reports(**options: Any) -> tuple[Workflow, list[Any]]:
    """Return a workflow whose one step takes ten seconds, and the inputs that its calls were given."""
    flow, given = Workflow("report", **options), list[Any]()

    @flow.step
    async def write(ctx: Context[Any]) -> str:
        given.append(list(ctx.inputs))
        await asyncio.sleep(10)
        return ctx.run_id

    return flow, given


async def test_a_step_of_a_run_that_never_began_is_not_retried_and_the_refusal_says_what_is(
    engine: Engine,
) -> None:
    flow, _ = reports(starts=Single(busy="skip"))
    await engine.start(flow, 1, id="first")
    merged = await engine.start(flow, 2, id="merged")
    later = await engine.start(flow, 3, id="later", after="1h")
    await later.cancel()
    assert (merged.status, later.status) == ("merged", "cancelled")
    with pytest.raises(RejectedError, match="merged into run 'first': retry that one, or this one") as caught:
        await merged.retry("write")
    assert caught.value.code == "not_begun"
    with pytest.raises(RejectedError, match="step 'write' of run 'later' has not begun"):
        await later.retry("write")


async def test_a_run_retried_that_never_began_is_not_given_inputs_that_went_with_another(
    engine: Engine,
) -> None:
    flow, given = reports(starts=Batch(size=2, within="1m"), gate=Gate("press", at_once=1))
    runs = [await engine.start(flow, n, id=f"r{n}") for n in range(4)]
    assert (given, runs[3].status) == ([[0, 1]], "pending")  # the second batch is let in, and is at the gate
    await runs[3].cancel()
    await engine.advance("2m")
    assert given == [[0, 1], [2]]
    await runs[3].retry(whole=True)
    await engine.advance("2m")
    assert given == [[0, 1], [2], [3]]


async def test_a_changed_input_is_the_last_of_those_that_began_together(engine: Engine) -> None:
    flow, given = Workflow("import", starts=Batch(size=2, within="1m")), list[Any]()

    @flow.step(on_error="hold")
    async def store(ctx: Context[Any]) -> int:
        given.append((ctx.input, list(ctx.inputs)))
        return 1 if "bad" not in ctx.inputs else int(ctx.inputs[-1])

    await engine.start(flow, "good", id="first")
    run = await engine.start(flow, "bad", id="second")
    assert run.state.needs_review == ("store",)
    await run.change(input="better", reason="a typing error", by="tom")
    engine.restart()
    await run.retry("store")
    assert run.status == "completed"
    assert given == [("bad", ["good", "bad"]), ("better", ["good", "better"])]


@pytest.mark.parametrize("busy", ["skip", "replace", "queue", "newest"])
@pytest.mark.parametrize("was", ["waiting", "at the gate", "under way"])
async def test_a_workflow_that_comes_to_let_in_one_at_a_time_is_not_blocked_by_earlier_runs(
    engine: Engine, was: str, busy: Any
) -> None:
    before, _ = reports(starts=Batch(size=2, within="1m"), gate=Gate("press", at_once=1))
    after, _ = reports(starts=Single(busy=busy))
    if was == "at the gate":
        for n in (-2, -1):
            await engine.start(before, n, id=f"r{n}")
    for n in range(1 if was == "waiting" else 2):
        await engine.start(before, n, id=f"r{n}")
    engine.deploy(after)
    for n in (2, 3):
        await engine.start(after, n, id=f"r{n}")
    await engine.advance("3m")
    assert {run.status for run in engine.runs} <= {"completed", "merged", "cancelled"}
    assert await engine.admissions() == [] or not (await engine.admission("report")).members
    last = await engine.start(after, 4, id="r4")
    await engine.advance("11s")
    assert last.status == "completed"


@pytest.mark.parametrize("before", [Single(busy="queue"), Debounce(quiet="2m")])
@pytest.mark.parametrize("after", [Batch(size=9, within="1m"), Debounce(quiet="1m", inputs="all")])
async def test_no_input_is_lost_where_a_workflow_comes_to_take_the_inputs_of_all(
    engine: Engine, before: Any, after: Any
) -> None:
    (earlier, given), (later, given_later) = reports(starts=before), reports(starts=after)
    for n in range(3):
        await engine.start(earlier, n, id=f"r{n}")
    engine.deploy(later)
    for n in (3, 4):
        await engine.start(later, n, id=f"r{n}")
    await engine.advance("10m")
    found = sorted(one for inputs in given + given_later for one in inputs)
    assert found == [0, 1, 2, 3, 4]


async def test_a_run_with_a_long_id_is_replaced_again_after_it_was_retried(engine: Engine) -> None:
    flow = Workflow("report", starts=Single(busy="replace"))
    flow.sleep("night", "1d")
    first = await engine.start(flow, 1, id="r" * 512)
    second = await engine.start(flow, 2, id="second")
    assert (first.status, second.status) == ("cancelled", "waiting")
    await second.cancel()
    await first.retry()
    assert first.status == "waiting"
    third = await engine.start(flow, 3, id="third")
    assert (first.status, third.status) == ("cancelled", "waiting")
