"""E7: so many at once, over all runs and workers, for each key; the surplus waits, in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from outcomes import Inside
from refusals import refusal

from stream_durable import App, Context, Fail, Gate, Retry, Snooze, Workflow
from stream_durable.testing import Engine


def guarded(gate: Gate, seconds: float = 10, name: str = "shop", **options: Any) -> tuple[Workflow, Inside]:
    flow, inside = Workflow(name), Inside(seconds)

    @flow.step(gate=gate, **options)
    async def charge(ctx: Context[Any]) -> None:
        await inside.call(ctx.input)

    return flow, inside


async def test_so_many_at_once_and_the_others_wait_in_order(engine: Engine) -> None:
    flow, inside = guarded(Gate("bank", at_once=2))
    runs = [await engine.start(flow, n, id=f"run-{n}") for n in range(6)]
    await engine.advance("5s")
    assert inside.order == [0, 1]
    [cause] = runs[5].step("charge").waits_for
    assert "a place at gate bank" in cause
    assert runs[5].step("charge").state.held == "gate"
    await engine.until(runs[5], "completed")
    assert (inside.most, inside.order) == (2, [0, 1, 2, 3, 4, 5])
    assert inside.clock.times == pytest.approx([0, 0, 10, 10, 20, 20], abs=1)


async def test_a_gate_is_shared_by_workflows_and_a_breaker_of_its_name_is_another(engine: Engine) -> None:
    gate = Gate("bank", at_once=1)
    one, inside = guarded(gate, breaker="bank")
    other = Workflow("other")

    @other.step(gate=gate)
    async def pay(ctx: Context[Any]) -> None:
        await inside.call(ctx.input)

    first = await engine.start(one, "one")
    second = await engine.start(other, "two")
    await engine.until(second, "completed")
    assert first.status == "completed"
    assert (inside.most, inside.order) == (1, ["one", "two"])


async def test_each_key_has_the_limit_for_itself(engine: Engine) -> None:
    flow, inside = guarded(Gate("bank", at_once=1, per="input.tenant"))
    tenants = ["a", "b", "a", "b", 7, "a"]
    runs = [await engine.start(flow, {"tenant": tenant, "n": n}) for n, tenant in enumerate(tenants)]
    await engine.advance("5s")
    assert [each["n"] for each in inside.order] == [0, 1, 4]
    [cause] = runs[5].step("charge").waits_for
    assert "a place at gate bank: a" in cause
    await engine.until(runs[5], "completed")
    assert [each["n"] for each in inside.order] == [0, 1, 4, 2, 3, 5]


async def test_priority_goes_first_then_age(engine: Engine) -> None:
    gate = Gate("bank", at_once=1)
    low, inside = guarded(gate, name="low", priority="low")
    usual = Workflow("usual")
    high = Workflow("high")
    for flow, options in ((usual, {}), (high, {"priority": "high"})):

        @flow.step(gate=gate, **options)
        async def charge(ctx: Context[Any]) -> None:
            await inside.call(ctx.input)

    await engine.start(usual, "first")
    await engine.advance("1s")
    for flow, about in ((low, "low"), (usual, "usual"), (high, "high 1"), (high, "high 2")):
        await engine.start(flow, about)
    await engine.start(usual, "usual, of a run with priority", priority=20)
    await engine.advance("2m")
    assert inside.order == ["first", "high 1", "high 2", "usual, of a run with priority", "usual", "low"]


async def test_a_retry_gives_its_place_back_and_asks_again(engine: Engine) -> None:
    gate = Gate("bank", at_once=1)
    flow = Workflow("shop")
    order: list[str] = []

    @flow.step(gate=gate, retry=Retry(2, backoff="fixed", base="30s"))
    async def charge(ctx: Context[str]) -> None:
        name = ctx.input
        order.append(name)
        await asyncio.sleep(5)
        if name == "a" and order.count("a") == 1:
            raise Fail("busy")

    runs = [await engine.start(flow, name) for name in ("a", "b")]
    await engine.until(runs[0], "completed")
    assert order == ["a", "b", "a"]
    assert runs[0].step("charge").attempts == 2


@pytest.mark.parametrize("of_queue", [False, True])
async def test_one_that_snoozes_gives_its_place_back_and_asks_again(
    engine: Engine,
    of_queue: bool,  # noqa: FBT001
) -> None:
    flow, inside = Workflow("shop"), Inside(60)

    @flow.step(gate=None if of_queue else Gate("bank", at_once=1), total="3h")
    async def charge(ctx: Context[str]) -> Any:
        if ctx.input == "late" and not ctx.get("has_slept", False):
            ctx.put("has_slept", True)  # noqa: FBT003
            return Snooze("1h")
        return await inside.call(ctx.input)

    if of_queue:
        App("shop", workflows=[flow]).queue("default", at_once=1)
    late = await engine.start(flow, "late")
    await engine.start(flow, "early")
    await engine.advance("30s")
    assert inside.order == ["early"]
    await engine.advance("59m")
    await engine.start(flow, "between")
    await engine.advance("45s")
    assert "a place at gate" in late.step("charge").waits_for[0]
    await engine.until(late, "completed")
    assert (inside.most, inside.order) == (1, ["early", "between", "late"])
    assert [gate.inside for gate in await engine.gates()] == [0]


@pytest.mark.parametrize("how", ["cancelled", "skipped", "timed out"])
async def test_what_ends_by_other_means_frees_its_place_or_leaves_the_line(engine: Engine, how: str) -> None:
    flow, inside = guarded(Gate("bank", at_once=1), 1_000, **({"total": "20s"} if how == "timed out" else {}))
    runs = [await engine.start(flow, n) for n in range(3)]
    await engine.advance("5s")
    assert inside.order == [0]
    if how == "cancelled":
        await runs[1].cancel()
        await runs[0].cancel()
    elif how == "skipped":
        await runs[1].skip_step("charge")
        await runs[0].skip_step("charge")
    else:
        await engine.advance("16s")
    await engine.advance("5s")
    assert inside.order == ([0] if how == "timed out" else [0, 2])


async def test_a_lost_worker_keeps_the_place_until_its_attempt_is_given_up(engine: Engine) -> None:
    flow, inside = guarded(Gate("bank", at_once=1), 1)
    engine.crash_after("charge")
    runs = [await engine.start(flow, n) for n in range(2)]
    await engine.until(runs[1], "completed")
    assert runs[0].status == "completed"
    assert inside.order == [0, 0, 1], "the attempt is made again under the same place"


def test_bad_gates_are_refused_with_the_remedy() -> None:
    flow = Workflow("shop")
    flow.add("a", lambda: 1, gate=Gate("bank"))
    flow.add("b", lambda: 1, gate=Gate("mail", at_once=0, burst=-1, rate="0/1m"))
    flow.add("c", lambda: 1, gate="bank")
    flow.add("d", lambda: 1, gate=Gate("e", rate="soon"), priority="urgent")
    flow.add("f", lambda: 1, gate=Gate("no name!", at_once=1, per="d.x"))
    flow.add("g", lambda: 1, gate=Gate("w", at_once=1, weights={"": 0}))
    flow.add("h", lambda: 1, units=3)
    flow.add("i", lambda: 1, gate=Gate("u", rate="1/0s"), units=-1, priority=101)
    flow.add("j", lambda: 1, gate=Gate("w", at_once=2))
    found = refusal(flow)
    for text in (
        "step 'a': gate 'bank' limits nothing: give at_once=, rate= or both",
        "gate 'mail': at_once is 0, and must be from 1",
        "gate 'mail': rate is 0, and must be from 1",
        "gate 'mail': burst is -1",
        "gate= takes a Gate, such as Gate(\"bank\", at_once=10), not 'bank'",
        "'soon' is not a rate; write \"100/1m\"",
        'priority= takes "high", "normal", "low", or -100 to 100, not \'urgent\'',
        "'no name!' is not a name for a gate",
        "weights= are of keys, and per= is missing",
        "the weight of '' is 0, and must be from 1",
        "a key has 1 to 512 bytes",
        "step 'h': units= says what a call costs at a gate, but gate= is missing",
        "the time of its rate must be longer than nothing",
        "units= is -1",
        "priority= is 101, and must be from -100 to 100",
        "gate 'w' is set otherwise than by step 'g'",
    ):
        assert any(text in fault for fault in found), text


async def test_a_key_that_cannot_be_read_fails_the_step(engine: Engine) -> None:
    flow, _ = guarded(Gate("bank", at_once=1, per="input.tenant"))
    for value, code in (
        ({}, "path_missing"),
        ({"tenant": 1.5}, "bad_key"),
        ({"tenant": "x" * 600}, "bad_key"),
    ):
        run = await engine.start(flow, value)
        await engine.until(run, "failed")
        assert run.step("charge").failure.code == code


@pytest.mark.parametrize(
    "options",
    [
        {"gate": Gate("bank", at_once=1)},
        {"gate": Gate("bank", rate="1/10s")},
        {"gate": Gate("bank", at_once=1), "breaker": "bank"},
    ],
    ids=["places", "rate", "behind a breaker"],
)
async def test_a_step_let_in_while_its_run_is_paused_is_called_when_that_is_resumed(
    engine: Engine, options: Any
) -> None:
    flow, inside = Workflow("shop"), Inside(10)

    @flow.step(**options)
    async def charge(ctx: Context[Any]) -> None:
        await inside.call(ctx.input)

    runs = [await engine.start(flow, n, id=f"run-{n}") for n in range(3)]
    await engine.advance("5s")
    await runs[1].pause()
    await engine.advance("25s")
    assert 1 not in inside.order
    assert runs[1].step("charge").waits_for == ("the run to be resumed",)

    await runs[1].resume()
    await engine.until(runs[2], "completed")
    await engine.until(runs[1], "completed")
    assert sorted(inside.order) == [0, 1, 2]
    assert (inside.most, runs[1].step("charge").attempts) == (1, 1)


async def test_a_step_in_line_of_a_paused_run_keeps_its_turn(engine: Engine) -> None:
    flow, inside = guarded(Gate("bank", at_once=1))
    runs = [await engine.start(flow, n, id=f"run-{n}") for n in range(3)]
    await engine.advance("5s")
    await runs[1].pause()
    await runs[1].resume()
    await engine.until(runs[2], "completed")
    assert (inside.most, inside.order) == (1, [0, 1, 2])


async def test_a_paused_run_with_a_place_that_is_cancelled_gives_it_back(engine: Engine) -> None:
    flow, inside = guarded(Gate("bank", at_once=1))
    runs = [await engine.start(flow, n, id=f"run-{n}") for n in range(3)]
    await engine.advance("5s")
    await runs[1].pause()
    await engine.advance("25s")
    assert inside.order == [0]
    await runs[1].cancel()
    await engine.until(runs[2], "completed")
    assert (runs[1].status, inside.order) == ("cancelled", [0, 2])
