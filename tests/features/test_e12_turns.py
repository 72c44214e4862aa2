"""E12: keys take turns by weight, and calls count by what they cost."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from outcomes import Clock, failure_of

from stream_durable import (
    Context,
    Expand,
    Fail,
    Finish,
    Gate,
    Jump,
    Retry,
    Skip,
    Snooze,
    Workflow,
)
from stream_durable.testing import Engine


async def test_keys_pass_in_proportion_to_their_weights(engine: Engine) -> None:
    flow, order = Workflow("shop"), list[str]()

    @flow.step(gate=Gate("model", at_once=1, per="input", weights={"gold": 3}))
    async def ask(ctx: Context[str]) -> None:
        order.append(ctx.input)
        await asyncio.sleep(1)

    await engine.start(flow, "first")
    await engine.advance("100ms")
    for _ in range(40):
        for tenant in ("iron", "gold"):
            await engine.start(flow, tenant)
    await engine.advance("33s")
    assert Counter(order[1:33]) == {"gold": 24, "iron": 8}


async def test_keys_that_all_wait_get_their_weights_within_two_percent(engine: Engine) -> None:
    flow, order = Workflow("shop"), list[str]()
    weights = {"gold": 5, "silver": 3, "iron": 2}

    @flow.step(gate=Gate("model", at_once=4, per="input", weights=weights))
    async def ask(ctx: Context[str]) -> None:
        order.append(ctx.input)
        await asyncio.sleep(1)

    holders = [await engine.start(flow, "first") for _ in range(4)]
    await engine.advance("100ms")
    for tenant, weight in weights.items():
        for _ in range(21 * weight):
            await engine.start(flow, tenant)
    await engine.until(holders[0], "completed")
    engine.restart()
    await engine.advance("60s")
    counts = Counter(order[4:204])
    for tenant, weight in weights.items():
        assert counts[tenant] == pytest.approx(20 * weight, rel=0.02), counts


async def test_dear_calls_take_fewer_turns(engine: Engine) -> None:
    flow, order = Workflow("shop"), list[str]()

    @flow.step(gate=Gate("model", at_once=1, per="input.tenant", weights={}), units="input.tokens")
    async def ask(ctx: Context[dict[str, Any]]) -> None:
        order.append(ctx.input["tenant"])
        await asyncio.sleep(1)

    await engine.start(flow, {"tenant": "first", "tokens": 1})
    await engine.advance("100ms")
    for _ in range(30):
        await engine.start(flow, {"tenant": "dear", "tokens": 300})
        await engine.start(flow, {"tenant": "cheap", "tokens": 100})
    await engine.advance("25s")
    found = Counter(order[1:25])
    assert abs(found["cheap"] - 18) <= 1


ENDS: dict[str, Any] = {
    "a value": lambda: "done",
    "skip": lambda: Skip("nothing to do"),
    "jump": lambda: Jump("last"),
    "finish": lambda: Finish("done"),
    "expand": lambda: Expand([]),
    "retry": lambda: Fail("busy"),
    "failure": lambda: Fail("no", retryable=False),
}


@pytest.mark.parametrize("how", [*ENDS, "time-out", "wait"])
async def test_what_a_call_has_cost_counts_in_place_of_the_forecast(engine: Engine, how: str) -> None:
    flow, clock = Workflow("shop", retry=Retry(2, backoff="fixed", base="1h", cap="1h")), Clock()

    @flow.step(gate=Gate("model", rate="60/1m"), units=30, timeout="1s")
    async def ask(ctx: Context[Any]) -> Any:
        if clock.note() > 1:
            return None
        ctx.spent(3)
        ctx.spent(2)
        if how == "time-out":
            await asyncio.sleep(60)
        if how == "wait":
            await ctx.sleep("1h")
        answer = ENDS[how]()
        if isinstance(answer, Fail):
            raise answer
        return answer

    flow.add("between", lambda: 1, after="ask")
    flow.add("last", lambda: 1, after="between")
    for _ in range(2):
        await engine.start(flow)
    await engine.advance("20s")
    assert clock.times == pytest.approx([0, 5], abs=1.2), "30 were asked for, and 5 spent"


async def test_more_may_be_spent_than_was_forecast_and_a_snooze_passes_again(engine: Engine) -> None:
    flow, clock = Workflow("shop"), Clock()

    @flow.step(gate=Gate("model", rate="60/1m", burst=9), units=1)
    async def ask(ctx: Context[Any]) -> Any:
        count = clock.note()
        ctx.spent(10)
        return Snooze("1s") if count == 1 else None

    for _ in range(2):
        await engine.start(flow)
    await engine.advance("1m")
    assert clock.times == pytest.approx([0, 1, 11], abs=0.5), "each waits for what the others spent"
    await engine.start(flow)
    await engine.advance("1m")
    assert clock.times[3] - clock.times[0] == pytest.approx(60, abs=0.5), "30 are long paid for"


async def test_a_turn_is_corrected_too(engine: Engine) -> None:
    flow, order = Workflow("shop"), list[str]()

    @flow.step(gate=Gate("model", at_once=1, per="input", weights={}), units=100)
    async def ask(ctx: Context[str]) -> None:
        order.append(ctx.input)
        ctx.spent(300 if ctx.input == "dear" else 100)
        await asyncio.sleep(1)

    await engine.start(flow, "first")
    await engine.advance("100ms")
    for _ in range(30):
        for tenant in ("dear", "cheap"):
            await engine.start(flow, tenant)
    await engine.advance("25s")
    assert abs(Counter(order[1:25])["cheap"] - 18) <= 1


async def test_an_attempt_whose_worker_is_lost_costs_its_forecast(engine: Engine) -> None:
    flow, clock = Workflow("shop"), Clock()

    @flow.step(gate=Gate("model", rate="60/1m"), units=30)
    async def ask(ctx: Context[Any]) -> None:
        clock.note()
        ctx.spent(2)

    engine.crash_after("ask")
    for _ in range(2):
        await engine.start(flow)
    await engine.advance("2m")
    assert len(clock.times) == 3, "the first was made twice, under one passage"


async def test_units_that_are_no_number_fail_the_step(engine: Engine) -> None:
    flow = Workflow("shop")

    @flow.step(gate=Gate("model", rate="60/1m"), units=1)
    async def ask(ctx: Context[Any]) -> None:
        ctx.spent(ctx.input)

    for value in (-1, 1.5, True, "many"):
        run = await engine.start(flow, value)
        await engine.until(run, "failed")
        assert failure_of(run.step("ask")).code == "bad_units"


async def test_what_is_spent_without_a_gate_is_nobodys(engine: Engine) -> None:
    flow = Workflow("shop")

    @flow.step
    async def ask(ctx: Context[Any]) -> str:
        ctx.spent(5)
        return "done"

    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert await engine.gates() == []
