"""A6: `concurrency=` of a workflow: at most so many steps of one run are with workers at the same time."""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import Context, DefinitionError, Expand, Fail, Retry, Workflow
from stream_durable.testing import Engine


class Watched:
    """Counts which functions are under way."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.most = 0
        self._running = 0

    def takes(self, seconds: float, answer: Any = None) -> Any:
        async def call(ctx: Context) -> Any:
            self._running += 1
            self.most = max(self.most, self._running)
            self.order.append(ctx.step)
            try:
                await asyncio.sleep(seconds)
            finally:
                self._running -= 1
            return answer

        return call


def statuses(run: Any) -> dict[str, str]:
    return {name: step.status for name, step in run.steps.items()}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_so_many_at_a_time_in_the_order_of_the_definition(engine: Engine, limit: int) -> None:
    watched, flow = Watched(), Workflow("order", concurrency=limit)
    names = [f"s{i}" for i in range(9)]
    for name in names:
        flow.add(name, watched.takes(10))
    begun = engine.now
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert (watched.most, watched.order) == (min(limit, 9), names)
    assert (engine.now - begun).total_seconds() == pytest.approx(10 * -(-9 // limit), abs=2)


async def test_runs_do_not_wait_for_each_other(engine: Engine) -> None:
    watched, flow = Watched(), Workflow("order", concurrency=1)
    flow.add("a", watched.takes(10))
    flow.add("b", watched.takes(10))
    runs = [await engine.start(flow) for _ in range(3)]
    await engine.until_idle()
    assert [run.status for run in runs] == ["completed"] * 3
    assert watched.most == 3


async def test_what_waits_for_a_place_says_so(engine: Engine) -> None:
    watched, flow = Watched(), Workflow("order", concurrency=2)
    for name in ("a", "b", "c"):
        flow.add(name, watched.takes(60))
    run = await engine.start(flow)
    await engine.advance("5s")
    step = run.state.steps["c"]
    assert (step.status, step.held) == ("pending", "run")
    assert step.waits_for[0].text == "one of the 2 places that the workflow has for steps of one run"
    assert "one of the 2 places" in run.table


async def test_waits_children_and_groups_take_no_place(engine: Engine) -> None:
    small = Workflow("small")
    small.add("inner", lambda: 1)
    watched, flow = Watched(), Workflow("order", concurrency=1)
    flow.wait_signal("go")
    flow.sleep("nap", "1h")
    flow.child("small", small)
    flow.each("input", name="every")(watched.takes(1, "x"))
    flow.add("a", watched.takes(1))
    flow.add("b", watched.takes(1))
    flow.parallel("pair", ["a", "b"])
    expands = flow.template(name="t")(watched.takes(1))
    flow.add("grow", lambda: Expand([expands.of(i) for i in range(3)]))
    run = await engine.start(flow, [1, 2, 3])
    await engine.until_idle()
    assert {name for name, status in statuses(run).items() if status != "completed"} == {"go", "nap"}
    assert run.status == "waiting"
    assert watched.most == 1


async def test_a_step_keeps_its_place_between_attempts(engine: Engine) -> None:
    watched, flow = Watched(), Workflow("order", concurrency=1)
    tries: list[int] = []

    @flow.step(retry=Retry(3, base="1m", jitter=0))
    def flaky(ctx: Context) -> None:
        tries.append(ctx.attempt)
        if ctx.attempt < 3:
            raise Fail("down")

    flow.add("next", watched.takes(1))
    run = await engine.start(flow)
    await engine.advance("30s")
    assert (run.step("flaky").status, run.step("next").status) == ("retrying", "pending")
    await engine.until_idle()
    assert (run.status, tries, watched.order) == ("completed", [1, 2, 3], ["next"])


@pytest.mark.parametrize("mishap", ["restart", "redeliver", "pause"])
async def test_the_line_outlives(engine: Engine, mishap: str) -> None:
    watched, flow = Watched(), Workflow("order", concurrency=2)
    for i in range(6):
        flow.add(f"s{i}", watched.takes(10))
    flow.add("end", watched.takes(1), after=[f"s{i}" for i in range(6)])
    run = await engine.start(flow)
    await engine.advance("15s")
    match mishap:
        case "restart":
            engine.restart()
        case "redeliver":
            engine.redeliver()
        case _:
            await run.pause()
            await engine.until_idle()
            assert run.state.steps["s5"].held == "paused"
            await run.resume()
    await engine.until_idle()
    assert run.status == "completed"
    assert (watched.most, watched.order) == (2, [*(f"s{i}" for i in range(6)), "end"])


@pytest.mark.parametrize("has_undo", [False, True])
async def test_a_place_is_free_when_its_holder_has_stopped(engine: Engine, has_undo: bool) -> None:
    watched, flow = Watched(), Workflow("order", concurrency=1)

    @flow.step
    async def stubborn() -> None:
        try:
            await asyncio.sleep(3_600)
        except asyncio.CancelledError:
            await asyncio.sleep(5)
            watched.order.append("stopped")
            raise

    if has_undo:
        stubborn.compensate(lambda: None)
    flow.add("next", watched.takes(1))
    run = await engine.start(flow)
    await engine.advance("10s")
    await run.cancel_step("stubborn")
    await engine.until_idle()
    assert watched.order == ["stopped", "next"]
    assert run.status == "completed"


async def test_a_run_that_fails_begins_nothing_of_its_line_but_what_cleans_up(engine: Engine) -> None:
    watched, flow = Watched(), Workflow("order", concurrency=1)

    @flow.step
    async def fails() -> None:
        await asyncio.sleep(5)
        raise Fail("down", retryable=False)

    flow.add("never", watched.takes(1))
    flow.add("tidy", watched.takes(1), after=fails.even_if_failed)
    flow.add("sweep", watched.takes(1), after=fails.even_if_failed)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"
    assert (watched.order, watched.most) == (["tidy", "sweep"], 1)
    assert run.step("never").status == "cancelled"


async def test_cancelling_or_skipping_what_is_in_line_lets_the_others_go_on(engine: Engine) -> None:
    watched, flow = Watched(), Workflow("order", concurrency=1)
    for name in ("a", "b", "c", "d"):
        flow.add(name, watched.takes(10))
    run = await engine.start(flow)
    await engine.advance("5s")
    await run.cancel_step("b")
    await run.skip_step("c")
    await engine.until_idle()
    assert (run.status, watched.order) == ("completed", ["a", "d"])


async def test_groups_with_places_of_their_own_use_what_the_run_has(engine: Engine) -> None:
    watched, flow = Watched(), Workflow("order", concurrency=3)
    for i in range(3):
        flow.add(f"x{i}", watched.takes(10))
    for i in range(4):
        flow.add(f"m{i}", watched.takes(10))
    flow.parallel("pair", [f"m{i}" for i in range(4)], concurrency=2)
    flow.add("z", watched.takes(10))
    run = await engine.start(flow)
    begun = engine.now
    await engine.until_idle()
    assert run.status == "completed"
    assert watched.most == 3
    # Three begin at the same moment, from two lanes.
    assert watched.order[:3] == ["x0", "x1", "x2"]
    assert sorted(watched.order[3:6]) == ["m0", "m1", "z"]
    assert watched.order[6:] == ["m2", "m3"]
    assert (engine.now - begun).total_seconds() == pytest.approx(30, abs=3)


async def test_two_thousand_members_go_through_a_line(engine: Engine) -> None:
    watched, flow = Watched(), Workflow("order", concurrency=50)
    flow.each("input", name="every")(watched.takes(1))
    run = await engine.start(flow, list(range(2_000)))
    await engine.until_idle()
    assert run.status == "completed"
    assert (watched.most, len(watched.order)) == (50, 2_000)


@pytest.mark.parametrize(
    ("value", "what"), [(0, "at least one"), (-1, "at least one"), ("2", "whole number")]
)
def test_a_number_that_makes_no_sense_is_refused(value: Any, what: str) -> None:
    flow = Workflow("order", concurrency=value)
    flow.add("a", lambda: 1)
    with pytest.raises(DefinitionError, match=what):
        flow.definition()


def test_it_is_a_part_of_the_definition_only_where_it_is_given() -> None:
    one, other = Workflow("order"), Workflow("order", concurrency=5)
    for flow in (one, other):
        flow.add("a", lambda: 1)
    assert one.fingerprint != other.fingerprint
    assert one.definition().concurrency is None
