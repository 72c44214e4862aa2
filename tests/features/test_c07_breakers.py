"""C7: a circuit breaker for each named dependency, which all steps, runs and workflows share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from outcomes import Clock, failure_of
from refusals import refusal

from stream_durable import Breaker, Fail, RejectedError, Retry, Snooze, Workflow
from stream_durable.core.gate.summary import GatePlace, GateSummary
from stream_durable.testing import Engine

BANK = Breaker("bank", failures=3, window="1m", reset="30s")


def failing(
    name: str, breaker: Breaker | str, *, attempts: int = 99, base: str = "1s", until: int = 99
) -> Any:
    """Return a flow that calls a dependency which is down until so many calls have come, and their clock."""
    flow = Workflow(name)
    clock = Clock()

    @flow.step(breaker=breaker, retry=Retry(attempts, backoff="fixed", base=base))
    async def charge() -> str:
        if clock.note() <= until:
            raise ConnectionError("no answer")
        return "paid"

    return flow, clock


async def test_so_many_failures_open_it_and_after_reset_one_may_try(engine: Engine) -> None:
    flow, clock = failing("shop", BANK)
    run = await engine.start(flow)
    await engine.advance("2m")
    assert clock.times == pytest.approx([0, 1, 2, 32, 62, 92], abs=2)
    state = run.step("charge").state
    assert state.held == "gate"
    assert state.attempt == 7, "an attempt that waits has its number"


async def test_it_closes_when_the_one_that_tries_ends_well(engine: Engine) -> None:
    flow, clock = failing("shop", BANK, until=4)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert len(clock.times) == 5
    other, times = failing("other", BANK, until=0)
    second = await engine.start(other)
    await engine.advance("1s")
    assert (second.status, len(times.times)) == ("completed", 1)


async def test_a_person_lets_one_try_before_the_time_is_over(engine: Engine) -> None:
    flow, clock = failing("shop", Breaker("bank", failures=3, window="1m", reset="1d"), until=3)
    run = await engine.start(flow)
    await engine.advance("1m")
    assert len(clock.times) == 3
    await engine.probe_breaker("bank")
    await engine.until(run, "completed", within="1m")
    assert clock.times[3] == pytest.approx(60, abs=2)
    with pytest.raises(RejectedError, match="is closed"):
        await engine.probe_breaker("bank")
    with pytest.raises(RejectedError, match="no breaker 'mail'"):
        await engine.probe_breaker("mail")


async def test_one_tries_and_the_others_wait_until_it_ended_well(engine: Engine) -> None:
    flow, _ = failing("shop", BANK, attempts=3)
    await engine.until(await engine.start(flow), "failed")
    flow = Workflow("late")
    clock = Clock()

    @flow.step(breaker=BANK)
    async def pay() -> None:
        clock.note()
        await asyncio.sleep(20)

    runs = [await engine.start(flow) for _ in range(5)]
    await engine.advance("40s")
    assert len(clock.times) == 1, "one is trying"
    gate, places = engine.ask(lambda: _shown(engine, "bank"))
    assert gate is not None
    assert (gate.state, gate.waiting) == ("half-open", 4)
    assert [place.is_inside for place in places] == [True, False, False, False, False]
    assert {place.run for place in places} == {run.id for run in runs}
    assert engine.ask(lambda: _shown(engine, "bank", after=places[3].ordinal, limit=9)) == (gate, places[4:])
    assert engine.ask(lambda: _shown(engine, "bank", limit=2)) == (gate, places[:2])
    await engine.advance("30s")
    assert clock.times == pytest.approx([0, 20, 20, 20, 20], abs=1)
    await engine.until(runs[-1], "completed")
    assert engine.ask(lambda: _shown(engine, "bank"))[1] == []
    assert engine.ask(lambda: _shown(engine, "mail")) == (None, [])


async def _shown(engine: Engine, name: str, **page: int) -> tuple[GateSummary | None, list[GatePlace]]:
    views = engine.ports.views
    return await views.gate_get(name), await views.gate_places(name, **page)


async def test_failures_that_are_long_ago_do_not_count(engine: Engine) -> None:
    flow, clock = failing("shop", BANK, base="40s", attempts=8)
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert clock.waits == pytest.approx([40] * 7, abs=2), "never three within a minute"


async def test_every_failure_counts_whatever_its_code(engine: Engine) -> None:
    flow = Workflow("shop")
    clock = Clock()

    @flow.step(breaker=BANK, retry=Retry(9, backoff="fixed", base="0s"))
    async def charge() -> str:
        if (times := clock.note()) <= 3:
            raise Fail(f"code_{times}")
        return "paid"

    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert clock.times[3] - clock.times[2] > 25


async def test_what_is_handed_back_or_skipped_is_no_failure(engine: Engine) -> None:
    flow = Workflow("shop")
    clock = Clock()

    @flow.step(breaker=Breaker("shy", failures=1))
    async def charge() -> Any:
        return Snooze("1s") if clock.note() < 5 else "paid"

    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert clock.waits == pytest.approx([1] * 4, abs=0.5)


async def test_other_names_are_other_breakers(engine: Engine) -> None:
    flow, _ = failing("shop", BANK, attempts=3)
    run = await engine.start(flow)
    await engine.until(run, "failed")
    other = Workflow("other")
    other.add("mail", lambda: "sent", breaker=Breaker("mail", failures=3))
    other.add("unguarded", lambda: "done")
    other.add("pay", lambda: "paid", breaker=BANK)
    second = await engine.start(other)
    await engine.advance("1s")
    assert {name: step.status for name, step in second.steps.items()} == {
        "mail": "completed", "unguarded": "completed", "pay": "ready",
    }  # fmt: skip
    [cause] = second.step("pay").waits_for
    assert "breaker bank" in cause


async def test_waiting_uses_up_no_attempt_and_no_time_out_but_total_goes_on(engine: Engine) -> None:
    flow, _ = failing("shop", BANK, attempts=3)
    await engine.until(await engine.start(flow), "failed")
    other = Workflow("other")
    other.add("patient", lambda: "paid", breaker=BANK, timeout="5s", on_error="continue")
    other.add("hasty", lambda: "paid", breaker=BANK, total="5s", on_error="continue")
    run = await engine.start(other)
    await engine.advance("10s")
    assert failure_of(run.step("hasty")).code == "timeout"
    await engine.until(run, "completed")
    assert (run.step("patient").output, run.step("patient").attempts) == ("paid", 1)
    assert engine.calls("hasty") == 0


async def test_one_that_waits_can_be_cancelled_and_makes_room(engine: Engine) -> None:
    flow, _ = failing("shop", BANK, attempts=3)
    await engine.until(await engine.start(flow), "failed")
    other = Workflow("other")
    other.add("pay", lambda: "paid", breaker=BANK)
    first, second = await engine.start(other), await engine.start(other)
    await engine.advance("1s")
    await first.cancel("not wanted")
    assert first.status == "cancelled"
    await engine.advance("35s")
    assert second.status == "completed"
    assert engine.calls("pay") == 1


async def test_the_one_that_tries_can_be_cancelled_and_makes_room_at_once(engine: Engine) -> None:
    flow, _ = failing("shop", BANK, attempts=3)
    await engine.until(await engine.start(flow), "failed")
    other = Workflow("other", input=float)

    @other.step(breaker=BANK)
    async def pay(seconds: float) -> None:
        await asyncio.sleep(seconds)

    first, second = await engine.start(other, 3_600), await engine.start(other, 1)
    await engine.advance("35s")
    assert (first.step("pay").status, engine.calls(pay)) == ("running", 1)
    await first.cancel("not wanted")
    await engine.advance("3s")
    assert (first.status, second.status) == ("cancelled", "completed")


async def test_a_name_alone_takes_the_defaults(engine: Engine) -> None:
    flow, clock = failing("shop", "bank", attempts=7)
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert clock.times == pytest.approx([0, 1, 2, 3, 4, 34, 64], abs=2)
    node = flow.definition().nodes[0]
    breaker: Any = node.breaker
    assert (breaker.name, breaker.failures, breaker.window_ms, breaker.reset_ms) == (
        "bank",
        5,
        60_000,
        30_000,
    )


async def test_it_outlives_the_reconciler(engine: Engine) -> None:
    flow, _ = failing("shop", BANK, attempts=3)
    await engine.until(await engine.start(flow), "failed")
    engine.restart()
    engine.redeliver()
    other = Workflow("other")
    other.add("pay", lambda: "paid", breaker=BANK)
    run = await engine.start(other)
    await engine.advance("1s")
    assert run.status == "running"
    await engine.until(run, "completed")


def test_a_breaker_that_cannot_be_is_refused() -> None:
    flow = Workflow("bad")
    flow.add("a", lambda: 1, breaker=Breaker("a", failures=0))
    flow.add("b", lambda: 1, breaker=Breaker("b", window="soon"))
    flow.add("c", lambda: 1, breaker=Breaker("not a name?"))
    flow.add("d", lambda: 1, breaker=5)  # type: ignore[arg-type]
    flow.add("e", lambda: 1, breaker="")
    faults = refusal(flow)
    assert {fault.partition(":")[0].partition(",")[0] for fault in faults} == {f"step {n!r}" for n in "abcde"}
