"""E12: keys take turns by weight, and calls count by what they cost."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from stream_durable import Context, Gate, Workflow
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
