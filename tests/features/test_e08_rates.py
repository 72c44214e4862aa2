"""E8: so many per time, for each key, with bursts; the surplus waits."""

from __future__ import annotations

from typing import Any

import pytest
from outcomes import Clock

from stream_durable import Context, Gate, Workflow
from stream_durable.testing import Engine


def called(gate: Gate, name: str = "shop", **options: Any) -> tuple[Workflow, Clock]:
    flow, clock = Workflow(name), Clock()

    @flow.step(gate=gate, **options)
    async def send(ctx: Context[Any]) -> None:
        clock.note()

    return flow, clock


async def test_a_rate_spreads_its_passages(engine: Engine) -> None:
    flow, clock = called(Gate("mail", rate="6/1m"))
    runs = [await engine.start(flow, n) for n in range(5)]
    await engine.until(runs[-1], "completed")
    assert clock.times == pytest.approx([0, 10, 20, 30, 40], abs=0.5)


async def test_a_burst_passes_after_a_quiet_time(engine: Engine) -> None:
    flow, clock = called(Gate("mail", rate="6/1m", burst=3))
    for n in range(5):
        run = await engine.start(flow, n)
    await engine.until(run, "completed")
    assert clock.times == pytest.approx([0, 0, 0, 0, 10], abs=0.5)
    await engine.advance("5m")
    for n in range(6):
        run = await engine.start(flow, n)
    await engine.until(run, "completed")
    last = clock.times[5:]
    assert [each - last[0] for each in last] == pytest.approx([0, 0, 0, 0, 10, 20], abs=0.5)


async def test_each_key_has_the_rate_for_itself(engine: Engine) -> None:
    flow, clock = called(Gate("mail", rate="6/1m", per="input"))
    for to in ("a", "b", "a"):
        run = await engine.start(flow, to)
    await engine.until(run, "completed")
    assert clock.times == pytest.approx([0, 0, 10], abs=0.5)


async def test_a_rate_and_places_hold_both(engine: Engine) -> None:
    flow, clock = called(Gate("mail", rate="60/1m", at_once=1))
    runs = [await engine.start(flow, n) for n in range(3)]
    await engine.until(runs[-1], "completed")
    assert clock.times == pytest.approx([0, 1, 2], abs=0.5)


async def test_units_count_what_a_call_costs(engine: Engine) -> None:
    flow, clock = called(Gate("model", rate="60/1m"), units="input.tokens")
    runs = [await engine.start(flow, {"tokens": n}) for n in (20, 10, 0, 1)]
    await engine.until(runs[-1], "completed")
    assert clock.times == pytest.approx([0, 20, 30, 30], abs=0.5)
    run = await engine.start(flow, {"tokens": "many"})
    await engine.until(run, "failed")
    assert run.step("send").failure.code == "bad_units"
