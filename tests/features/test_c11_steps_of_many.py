"""C11: a step of all runs that a filter means is skipped, cancelled, retried, completed or failed."""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from instances import SECONDS, running
from waiting import eventually

from stream_durable import App, Fail, Workflow
from stream_durable.client import RunFilter
from stream_durable.core.errors import RejectedError
from stream_durable.settings import Settings
from stream_durable.testing import Engine

#: What does not work now.
DOWN: set[str] = set()


def shop() -> Workflow[Any, Any]:
    flow: Workflow[Any, Any] = Workflow("shop")

    @flow.step
    async def reserve(input: str) -> str:
        return input

    @reserve.compensate
    async def release(reserve: str) -> None:
        if "release" in DOWN:
            raise Fail("cannot_release", retryable=False)

    @flow.step(on_error="hold")
    async def charge(reserve: str) -> int:
        if "bank" in DOWN and reserve != "rich":
            raise Fail("bank_down", retryable=False)
        return len(reserve)

    flow.wait_signal("packed", after=charge)

    @flow.step(after="packed")
    async def ship() -> str:
        return "shipped"

    return flow


FLOW = shop()


@pytest.fixture(autouse=True)
def down() -> None:
    DOWN.clear()


async def started(engine: Engine, *inputs: str, tag: str = "") -> list[Any]:
    runs = [await engine.start(FLOW, each, id=f"{tag}{each}", tags=[tag] if tag else []) for each in inputs]
    await engine.until_idle()
    return runs


async def test_held_steps_of_all_matching_runs_are_skipped_with_who_and_why(engine: Engine) -> None:
    DOWN.add("bank")
    poor, other, rich = await started(engine, "poor", "other", "rich")
    found = await engine.find_steps("skip", RunFilter(workflow="shop"))
    assert (set(found.runs), found.is_exact) == ({"poor", "other"}, True)
    heard: list[int] = []

    assert (
        await engine.skip_all(RunFilter(workflow="shop"), None, "free", by="tom", progress=heard.append) == 2
    )

    await engine.until_idle()
    assert heard == [2]
    for run in (poor, other):
        assert (run.step("charge").status, run.step("packed").status) == ("skipped", "waiting")
        assert [(one.decision, one.by, one.reason) for one in run.state.reviews] == [("skip", "tom", "free")]
    assert rich.step("charge").status == "completed"
    assert await engine.skip_all(RunFilter(needs_review=True)) == 0


async def test_a_named_step_is_skipped_where_it_is_under_way_or_still_to_come(engine: Engine) -> None:
    DOWN.add("bank")
    held, waiting = await started(engine, "poor", "rich")
    done = await engine.start(FLOW, "rich", id="done")
    await engine.until_idle()
    await done.signal("packed")
    await engine.until(done, "completed")
    other: Workflow[Any, Any] = Workflow("other")
    other.wait_signal("go")
    await engine.until_waiting(await engine.start(other, id="without"))

    assert await engine.skip_all(RunFilter(), "packed", "walked out") == 2

    await engine.until_idle()
    assert (waiting.output, done.output) == ("shipped", "shipped")
    assert (held.step("packed").status, held.step("charge").status) == ("skipped", "held")
    assert await engine.skip_all(RunFilter(), "packed") == 0
    assert not (await engine.dead_records()).records


async def test_a_step_of_many_is_cancelled_and_retried(engine: Engine) -> None:
    runs = await started(engine, "a", "b")
    assert await engine.cancel_all(RunFilter(workflow="shop"), "lost", step="packed", by="ann") == 2
    await engine.until_idle()
    assert {run.step("packed").status for run in runs} == {"cancelled"}
    assert {run.status for run in runs} == {"cancelled"}
    # What was cancelled is retried if the filter names that, as with whole runs.
    assert await engine.retry_all(RunFilter(workflow="shop"), step="packed") == 0
    assert await engine.retry_all(RunFilter(status="cancelled"), step="reserve") == 0
    assert await engine.retry_all(RunFilter(status="cancelled"), step="packed") == 2
    await engine.until_idle()
    assert {run.step("packed").status for run in runs} == {"waiting"}


async def test_held_steps_of_many_are_retried_completed_and_failed(engine: Engine) -> None:
    DOWN.add("bank")
    runs = await started(engine, "a", "b", tag="one")
    assert await engine.retry_all(RunFilter(tag="one"), step="charge") == 2
    await engine.until_idle()
    assert {run.step("charge").status for run in runs} == {"held"}
    with pytest.raises(RejectedError, match="charge"):
        await engine.complete_all(RunFilter(tag="one"), "charge", "no number")
    assert await engine.complete_all(RunFilter(tag="one"), "ship", "no number") == 0
    assert await engine.complete_all(RunFilter(tag="one"), "charge", 7, "by hand", by="tom") == 2
    await engine.until_idle()
    assert {run.step("charge").output for run in runs} == {7}

    failing = await started(engine, "a", "b", tag="two")
    assert await engine.fail_all(RunFilter(tag="two"), "charge", "no money", "stolen", by="tom") == 2
    await engine.until_idle()
    assert {run.status for run in failing} == {"compensated"}
    assert {run.state.failure.message for run in failing} == {"no money"}


async def test_failed_compensations_of_many_are_retried_or_accepted(engine: Engine) -> None:
    DOWN.update({"bank", "release"})
    await started(engine, "a", "b")
    assert await engine.fail_all(RunFilter()) == 2
    await engine.until_idle()
    stuck = RunFilter(status="compensation_failed")
    assert (await engine.count(stuck)).found == 2

    assert await engine.retry_all(stuck, step="reserve~compensate") == 2
    await engine.until_idle()
    assert (await engine.count(stuck)).found == 2
    assert await engine.skip_all(RunFilter(id_prefix="a"), "reserve~compensate", "by hand") == 1
    await engine.until_idle()
    assert await engine.skip_all(stuck) == 1
    await engine.until_idle()
    assert (await engine.count(RunFilter(status="compensated"))).found == 2


async def test_all_matching_open_runs_are_undone(engine: Engine) -> None:
    runs = await started(engine, "a", "b")
    assert await engine.cancel_all(RunFilter(workflow="shop"), "closing", compensate=True) == 2
    await engine.until_idle()
    assert {run.status for run in runs} == {"compensated"}


async def test_what_contradicts_itself_is_refused(engine: Engine) -> None:
    with pytest.raises(RejectedError, match="whole runs"):
        await engine.cancel_all(RunFilter(), step="a", compensate=True)
    with pytest.raises(RejectedError, match="not both"):
        await engine.retry_all(RunFilter(), step="a", whole=True)
    with pytest.raises(RejectedError, match="name the step"):
        await engine.find_steps("complete", RunFilter())


async def test_a_preview_reads_a_bounded_number_of_runs(engine: Engine) -> None:
    await started(engine, "a", "b", "c")
    found = await engine.find_steps("skip", RunFilter(), "packed", at_most=2)
    assert (len(found.runs), found.is_exact) == (2, False)
    assert (await engine.find_steps("skip", RunFilter(), "packed", at_most=3)).is_exact


@pytest.mark.real
async def test_steps_of_many_on_real_services(settings: Settings) -> None:
    DOWN.update({"bank", "release"})
    flow = FLOW
    async with running(settings, App("shop", workflows=[flow])) as instance:
        client = instance.client
        for n in range(5):
            await client.start(flow, f"n{n}", id=f"n{n}")

        def are(status: str, count: int, **more: Any) -> Callable[[], Any]:
            async def look() -> bool:
                return (await client.count(RunFilter(status=status, **more))).found == count

            return look

        await eventually(are("waiting", 5, needs_review=True), "all are held", seconds=SECONDS)
        assert await client.skip_all(RunFilter(id_prefix="n0"), "charge", "free", by="tom") == 1
        await eventually(are("waiting", 4, needs_review=True), "one is skipped", seconds=SECONDS)
        assert await client.complete_all(RunFilter(id_prefix="n1"), "charge", 3) == 1
        assert await client.skip_all(RunFilter(workflow=flow), "packed") == 5
        await eventually(are("completed", 2), "two are through", seconds=SECONDS)
        assert await client.fail_all(RunFilter(workflow=flow)) == 3
        await eventually(are("compensation_failed", 3), "three fail", seconds=SECONDS)
        assert set((await client.find_steps("skip", RunFilter(workflow=flow))).runs) == {"n2", "n3", "n4"}
        assert await client.skip_all(RunFilter(status="compensation_failed"), reason="by hand") == 3
        await eventually(are("compensated", 3), "that is accepted", seconds=SECONDS)
