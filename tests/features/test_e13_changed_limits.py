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
    assert gate.limits_text == "3 at once, 1 in 1 min"
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


async def test_all_keys_are_changed_together_those_that_wait_and_those_to_come(engine: Engine) -> None:
    flow, order = slow(Gate("crm", rate="1/1h", per="input"))
    for tenant in ("a", "a", "b"):
        await engine.start(flow, tenant)
    await engine.advance("1s")
    assert sorted(order) == ["a", "b"]
    await engine.set_gate("crm", all_keys=True, rate="2/1h", burst=9, by="ann", reason="sale")
    await engine.set_gate("crm", all_keys=True, rate="3/1h")
    await engine.advance("1s")
    assert sorted(order) == ["a", "a", "b"], "who waits for an hour is let in at once"
    for _ in range(3):
        await engine.start(flow, "new")
    await engine.advance("1s")
    assert order.count("new") == 3
    texts = {gate.key: gate.limits_text for gate in await engine.gates()}
    assert texts == dict.fromkeys(("a", "b", "new"), "3 in 1 h, 9 more in a burst")
    [(act, by)] = {(act, one.by) for gate in await engine.gates() for act, one in gate.orders.items()}
    assert (act, by) == ("set all keys", "")


async def test_a_key_s_own_change_goes_before_that_of_all_keys_and_each_is_reset_by_itself(
    engine: Engine,
) -> None:
    flow, _ = slow(Gate("crm", at_once=1, per="input"))
    for tenant in ("a", "b"):
        await engine.start(flow, tenant)
    await engine.advance("1s")
    await engine.set_gate("crm", key="a", at_once=7)
    await engine.set_gate("crm", all_keys=True, at_once=2)
    await engine.advance("1s")

    async def most() -> dict[str, int | None]:
        await engine.advance("1s")
        return {gate.key: gate.limits.at_once for gate in await engine.gates() if gate.limits is not None}

    assert await most() == {"a": 7, "b": 2}
    later, _ = slow(Gate("crm", at_once=5, per="input"))
    engine.deploy(later)
    await engine.start(later, "b")
    assert await most() == {"a": 7, "b": 2}
    await engine.reset_gate("crm", key="a")
    assert await most() == {"a": 2, "b": 2}
    await engine.reset_gate("crm", all_keys=True)
    assert await most() == {"a": 1, "b": 5}
    await engine.start(later, "c")
    assert await most() == {"a": 1, "b": 5, "c": 5}


async def test_all_keys_are_of_gates_with_limits_for_each_key(engine: Engine) -> None:
    flow, _ = slow(Gate("bank", at_once=1))
    await engine.start(flow, 0)
    await engine.advance("1s")
    with pytest.raises(RejectedError, match="there is no gate 'bank' whose keys have limits each"):
        await engine.set_gate("bank", all_keys=True, at_once=2)
    for options in ({"key": "a"}, {"weights": {"a": 2}}):
        with pytest.raises(RejectedError, match="all_keys= goes without key= and weights="):
            await engine.set_gate("bank", all_keys=True, **options)
