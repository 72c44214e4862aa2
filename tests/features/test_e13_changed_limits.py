"""E13: limits and weights changed while runs go on; they stay over deployments, until they are reset."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import Context, Gate, RejectedError, Workflow
from stream_durable.testing import Engine


def slow(gate: Gate) -> tuple[Workflow, list[Any]]:
    flow, order = Workflow("shop"), list[Any]()

    @flow.step(gate=gate)
    async def charge(ctx: Context[Any]) -> None:
        order.append(ctx.input)
        await asyncio.sleep(100)

    return flow, order


async def test_more_places_let_more_in_at_once_and_a_reset_takes_them_back(engine: Engine) -> None:
    flow, order = slow(Gate("bank", at_once=1))
    for n in range(6):
        await engine.start(flow, n)
    await engine.advance("1s")
    await engine.set_gate("bank", at_once=3)
    await engine.advance("1s")
    assert order == [0, 1, 2]
    [gate] = await engine.gates()
    assert (gate.limits_text, gate.asked_text, gate.inside) == ("3 at once", "1 at once", 3)
    await engine.set_gate("bank", rate="1/1m")
    await engine.advance("1s")
    [gate] = await engine.gates()
    assert gate.limits_text == "3 at once, 1 in 60000 ms"
    await engine.reset_gate("bank")
    await engine.advance("1s")
    [gate] = await engine.gates()
    assert (gate.limits_text, gate.is_changed) == ("1 at once", False)
    await engine.advance("100s")
    assert len(order) == 4, "the three that were in have left, and one may be in"
    assert [place.run for place in await engine.gate_places("bank//", is_inside=True)]


async def test_what_was_changed_holds_for_the_next_deployment(engine: Engine) -> None:
    flow, _ = slow(Gate("bank", at_once=1))
    await engine.start(flow, 0)
    await engine.advance("1s")
    await engine.set_gate("bank", at_once=2)
    later, order = slow(Gate("bank", at_once=5))
    engine.deploy(later)
    for n in range(4):
        await engine.start(later, n)
    await engine.advance("1s")
    assert order == [0], "one is in from before"


async def test_a_key_is_changed_by_itself(engine: Engine) -> None:
    flow, order = slow(Gate("crm", at_once=1, per="input"))
    await engine.start(flow, "a")
    await engine.advance("1s")
    await engine.set_gate("crm", key="a", at_once=2)
    for tenant in ("a", "b", "a", "b"):
        await engine.start(flow, tenant)
    await engine.advance("1s")
    assert sorted(order) == ["a", "a", "b"]


async def test_impossible_changes_are_refused(engine: Engine) -> None:
    flow, _ = slow(Gate("bank", at_once=1))
    await engine.start(flow, 0)
    await engine.advance("1s")
    for limits, why in (
        ({"at_once": 0}, "at_once is 0, and must be from 1"),
        ({"rate": "soon"}, "is not a rate"),
        ({"burst": -1}, "burst is -1"),
        ({"weights": {"a": 0}}, "the weight of 'a' is 0"),
        ({}, "nothing is to change"),
    ):
        with pytest.raises((RejectedError, ValueError), match=why):
            await engine.set_gate("bank", **limits)
    with pytest.raises(RejectedError, match="give the key"):
        await engine.set_gate("mail", at_once=1)
