"""Gates: in memory and on Postgres and Kafka."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from stream_durable import App, Context, Gate, Retry, Workflow
from stream_durable.testing import Engine
from stream_durable.testing.handles import TestedRun

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


class Inside:
    """Counts calls under way, and notes their order; the first waits until so many are under way."""

    def __init__(self, wanted: int = 1) -> None:
        self.wanted, self.now, self.most = wanted, 0, 0
        self.order: list[Any] = []
        self.is_reached = asyncio.Event()

    async def call(self, ctx: Context[Any]) -> None:
        self.order.append(ctx.input)
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now >= self.wanted:
            self.is_reached.set()
        try:
            await self.is_reached.wait()
            # The work: what must not be beside it has time to come.
            await asyncio.sleep(0.02)
        finally:
            self.now -= 1


def seconds_between(runs: list[TestedRun], step: str) -> list[float]:
    """Return when a step of each run began, after that of the first."""
    times = [run.step(step).started for run in runs]
    assert all(times)
    return [(time - times[0]).total_seconds() for time in times]  # type: ignore[operator]


async def test_places_are_kept_to_by_steps_keys_and_sections(engine: Engine) -> None:
    flow, inside, tenants = Workflow("shop", retry=Retry(2, base="10ms")), Inside(2), Counter[str]()
    gate = Gate("bank", at_once=2)
    flow.add("charge", inside.call, gate=gate)

    @flow.step(gate=Gate("crm", at_once=1, per="input"), after="charge")
    async def note(ctx: Context[str]) -> None:
        tenants[ctx.input] += 1
        assert tenants[ctx.input] == 1
        await asyncio.sleep(0.01)
        tenants[ctx.input] -= 1

    section = Inside()
    flow.add("first", section.call, after="note")
    flow.add("second", section.call, after="first")
    flow.parallel("both", ["first", "second"], gate=Gate("terminal", at_once=1))
    runs = [await engine.start(flow, "ab"[n % 2], id=f"run-{n}") for n in range(8)]
    await engine.until(runs[3], "completed")
    engine.restart()
    engine.redeliver()
    for run in runs:
        await engine.until(run, "completed")
    assert (inside.most, len(inside.order)) == (2, 8)
    assert (section.most, len(section.order)) == (1, 16)
    assert all(not gate.inside and not gate.waiting for gate in await engine.gates())


async def test_rates_and_what_calls_have_cost(engine: Engine) -> None:
    flow = Workflow("shop")
    flow.add("send", lambda: None, gate=Gate("mail", rate="6/1m", burst=1))
    runs = [await engine.start(flow, n, id=f"run-{n}") for n in range(4)]
    for run in runs:
        await engine.until(run, "completed")
    times = sorted(seconds_between(runs, "send"))
    assert times[1] < 10
    assert times[2:] == pytest.approx([times[0] + 10, times[0] + 20], abs=5)

    costly = Workflow("costly")

    @costly.step(gate=Gate("model", rate="60/1m"), units=60)
    async def ask(ctx: Context[Any]) -> None:
        ctx.spent(20)

    runs = [await engine.start(costly, n) for n in range(3)]
    for run in runs:
        await engine.until(run, "completed")
    times = sorted(seconds_between(runs, "ask"))
    assert times[2] - times[0] == pytest.approx(40, abs=10), "not the 120 that were forecast"


async def test_keys_get_their_weights(engine: Engine) -> None:
    flow, inside = Workflow("shop"), Inside()
    gate = Gate("model", at_once=1, per="input", weights={"gold": 3, "silver": 2})
    flow.add("ask", inside.call, gate=gate)
    holder = Workflow("holder")
    holder.wait_signal("go", "go")
    holder.parallel("held", ["go"], gate=gate)
    keys = ["gold", "silver", "iron"]
    first = await engine.start(holder, "first")
    await engine.until_idle()
    runs = [await engine.start(flow, keys[n % 3], id=f"run-{n}") for n in range(90)]
    await engine.until_idle()
    await first.signal("go")
    for run in runs:
        await engine.until(run, "completed")
    # While all three wait: the first half.
    found = Counter(inside.order[:50])
    assert inside.most == 1
    assert found["gold"] > found["silver"] > found["iron"]


async def test_changed_limits_stay_until_they_are_reset(engine: Engine) -> None:
    flow = Workflow("shop")
    flow.add("charge", lambda: None, gate=Gate("bank", at_once=1))
    flow.wait_signal("go", "go", after="charge")
    flow.parallel("held", ["go"], gate=Gate("open", at_once=1), after="charge")
    runs = [await engine.start(flow, n, id=f"run-{n}") for n in range(4)]
    await engine.until_idle()
    assert sum(run.step("go").status == "waiting" for run in runs) == 1
    await engine.set_gate("open", at_once=3)
    engine.restart()
    await engine.until_idle()
    waiting = [run for run in runs if run.step("go").status == "waiting"]
    assert len(waiting) == 3
    (found,) = [one for one in await engine.gates() if one.name == "open"]
    assert (found.limits_text, found.asked_text, found.inside, found.waiting) == (
        "3 at once",
        "1 at once",
        3,
        1,
    )
    await engine.reset_gate("open")
    for run in waiting:
        await run.signal("go")
    await engine.until_idle()
    assert [run.status for run in waiting] == ["completed"] * 3
    (last,) = [run for run in runs if run not in waiting]
    assert last.step("go").status == "waiting"


async def test_all_keys_are_changed_together_for_good(engine: Engine) -> None:
    flow = Workflow("shop")
    flow.wait_signal("go", "go")
    flow.parallel("held", ["go"], gate=Gate("crm", at_once=1, per="input"))
    runs = [await engine.start(flow, tenant) for tenant in ("a", "a", "b")]
    await engine.until_idle()
    assert sum(run.step("go").status == "waiting" for run in runs) == 2
    await engine.set_gate("crm", all_keys=True, at_once=2, by="ann")
    await engine.until_idle()
    engine.restart()
    runs += [await engine.start(flow, "c") for _ in range(3)]
    await engine.until_idle()
    assert sum(run.step("go").status == "waiting" for run in runs) == 5
    found = {one.key: (one.limits_text, one.orders["set all keys"].by) for one in await engine.gates()}
    assert found == dict.fromkeys(("a", "b", "c"), ("2 at once", "ann"))
    await engine.reset_gate("crm", all_keys=True)
    await engine.until_idle()
    assert {one.limits_text for one in await engine.gates()} == {"1 at once"}


async def test_a_queue_as_a_whole_with_lanes_by_priority(engine: Engine) -> None:
    flow, inside = Workflow("mails"), Inside(2)
    flow.add("post", inside.call, queue="mail")
    flow.add("last", lambda: None, queue="mail", priority="low", after="post")
    App("shop", workflows=[flow]).queue("mail", at_once=2, lanes=True)
    priorities = [-50, 0, 50, 1]
    runs = [
        await engine.start(flow, n, id=f"run-{n}", priority=priority) for n, priority in enumerate(priorities)
    ]
    await engine.until(runs[0], "completed")
    engine.restart()
    engine.redeliver()
    for run in runs:
        await engine.until(run, "completed")
    assert inside.most == 2
    assert sorted(inside.order) == [0, 1, 2, 3]
    assert all(not gate.inside and not gate.waiting for gate in await engine.gates())
