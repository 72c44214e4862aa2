"""Each hindrance is explained in one whole sentence: what, since when, and who or what ends it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import Play, step, undoing
from reasons import explain, same

from stream_durable import Breaker, Context, Fail, Retry, Workflow
from stream_durable.client.edge import Edge
from stream_durable.client.run import RunHandle
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import CancelRun
from stream_durable.explain.explained import explain_step
from stream_durable.explain.snapshot import Snapshot
from stream_durable.memory.broker import Broker
from stream_durable.memory.views import MemoryCatalogue
from stream_durable.testing import Engine


def fails() -> None:
    raise Fail("boom", "it broke", retryable=False)


async def test_a_held_step(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("charge", lambda: 1, on_error="hold", retry=Retry(2, base="1s"))
    flow.add("pack", lambda: 2)
    engine.fail("charge", times=2, error=Fail("declined", "no money"))
    run = await engine.start(flow)
    await engine.until_idle()

    text = (
        "charge failed for good at 22:13:21 after 2 attempts with declined: no money; it is held until a "
        "person retries, completes, skips or fails it"
    )
    same(await explain(run), "held", f"Needs review: {text}.")
    same(await explain(run, "charge"), "held", f"Needs review: {text}.")
    [listed] = (await engine.list()).runs
    assert (listed.word, listed.reason) == ("Needs review", "1 step is held")


async def test_a_step_that_failed_for_good(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step(retry=Retry(2, backoff="fixed", base="2m", cap="2m"))
    async def refund() -> None:
        raise Fail("psp_conflict", "refund exceeds the captured amount.")

    flow.add("then", lambda refund: 1)
    run = await engine.start(flow)
    await engine.advance("130s")
    text = (
        "refund failed for good at 22:15:20 after 2 attempts with psp_conflict: refund exceeds the captured "
        "amount"
    )
    found = await explain(run)
    same(found, "failed", f"Needs review: {text}; 1 step did not run.")
    assert (found.step, found.status) == ("refund", "failed")
    same(await explain(run, "refund"), "failed", f"Needs review: {text}.")
    same(
        await explain(run, "then"),
        "cancelled",
        "Done: then did not run before the run ended at 22:15:20.",
    )
    [entry] = (await engine.list()).runs
    assert (entry.word, entry.reason) == (
        "Needs review",
        "refund: psp_conflict: refund exceeds the captured amount",
    )


async def test_a_run_out_of_time(engine: Engine) -> None:
    flow = Workflow("flow", timeout="1h")
    flow.wait_signal("go")
    run = await engine.start(flow)
    await engine.advance("2h")
    same(
        await explain(run),
        "failed",
        "Needs review: The run failed on 14 Nov 23:13 with timeout: the run did not end within 3600000 ms; "
        "1 step did not run.",
    )


async def test_a_paused_run(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    flow.add("a", lambda go: 1)
    run = await engine.start(flow)
    await run.pause("stocktaking", by="tom")
    await engine.signal(run.id, "go")
    await engine.advance("1h")
    text = "Blocked: The run was paused by tom (stocktaking) at 22:13:20; nothing resumes it by itself."
    same(await explain(run), "paused", text)
    same(await explain(run, "a"), "paused", text)
    [entry] = (await engine.list()).runs
    assert (entry.word, entry.reason) == ("Blocked", "paused by tom: stocktaking")
    assert run.state.requests.pause is not None
    assert run.state.requests.pause.by == "tom"


BANK = Breaker("bank", failures=2, window="10m", reset="5m")


def banking() -> tuple[Workflow, list[int]]:
    flow, calls = Workflow("flow"), list[int]()

    @flow.step(breaker=BANK, retry=Retry(9, backoff="fixed", base="1s"))
    async def pay() -> None:
        calls.append(1)
        if len(calls) > 2:
            await asyncio.sleep(50)
        raise Fail("down")

    return flow, calls


async def test_an_open_breaker(engine: Engine) -> None:
    flow, _ = banking()
    first = await engine.start(flow, id="first")
    await engine.advance("10s")
    await engine.start(flow, id="second")
    text = (
        "Blocked: pay cannot pass breaker bank, open since 22:13:21 after 2 failures; it lets one "
        "attempt try at 22:18:21, in 4 min 51 s; 1 other waits with it."
    )
    found = await explain(first, "pay")
    same(found, "breaker_open", text)
    assert [check.name for check in found.checks if check.state == "passed"] == [
        "after", "run", "attempts", "wait",
    ]  # fmt: skip
    assert found.evidence["waiting"] == 2


async def test_the_trial_of_a_breaker(engine: Engine) -> None:
    flow, _ = banking()
    await engine.start(flow, id="first")
    await engine.advance("10s")
    second = await engine.start(flow, id="second")
    await engine.advance("5m")
    same(
        await explain(second),
        "breaker_trial",
        "Blocked: pay cannot pass breaker bank, half-open since 22:18:21, where pay of first tries; "
        "without its end another one tries at 22:19:21, in 51 s.",
    )


async def test_a_closed_breaker_lets_attempts_pass_in_portions(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream_durable.core.gate.breaker.PORTION", 1)
    flow, calls = Workflow("flow"), list[int]()

    @flow.step(breaker=Breaker("bank", failures=1, reset="10s"), retry=Retry(9, backoff="fixed", base="1ms"))
    async def pay() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise Fail("down")

    runs = [await engine.start(flow, id=f"run-{n}") for n in range(5)]
    await engine.advance("10s")
    while len(calls) < 2:
        await engine.advance("10ms")
    await engine.advance("20ms")
    blocked = [run for run in runs if run.status == "running"]
    assert 1 <= len(blocked) <= 4
    waits = f"{len(blocked)} attempts wait" if len(blocked) > 1 else "1 attempt waits"
    same(
        await explain(blocked[-1], "pay"),
        "gate_asked",
        f"Blocked: pay is about to pass breaker bank: {waits} there.",
    )
    await engine.advance("10s")
    assert all(run.status == "completed" for run in runs)


async def test_a_worker_without_the_function(engine: Engine) -> None:
    old, new = Workflow("flow"), Workflow("flow")
    old.wait_signal("go")
    old.add("charge", lambda go: 1)
    new.wait_signal("go")
    new.add("collect", lambda go: 1)
    run = await engine.start(old)
    engine.deploy(new)
    await engine.signal(run.id, "go")
    await engine.advance("1s")
    same(
        await explain(run, "charge"),
        "not_carried",
        "Blocked: charge was given back by worker-1.1, which does not carry it: app 'test' has no function "
        "for step 'charge' of workflow 'flow'; queue default gets it again at 22:13:25, in 4 s.",
    )


async def test_a_silent_worker(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def work() -> None:
        await asyncio.sleep(600)

    run = await engine.start(flow)
    await engine.advance("12s")
    deployment: Any = engine._backend
    deployment = deployment._deployment
    [worker] = [slot for slot in deployment.slots if slot.role == "worker"]
    deployment.crash(worker)
    await engine.advance("20s")
    same(
        await explain(run),
        "worker_silent",
        "Blocked: work is with worker-1.1, silent since 22:13:31; it is given up at 22:14:01, in 9 s.",
    )


async def test_a_definition_that_is_nowhere(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    run = await engine.start(flow)
    elsewhere = MemoryCatalogue(Broker(engine._backend._deployment.clock, 1))  # type: ignore[attr-defined]
    handle: RunHandle = RunHandle(Edge(engine.ports._replace(catalogue=elsewhere)), run.id)
    found = engine.ask(lambda: handle.why("go"))
    assert (found.word, found.code, found.step, found.status) == (
        "Blocked", "no_definition", "go", "waiting",
    )  # fmt: skip
    assert found.sentence.startswith(
        f"go cannot move without definition {flow.fingerprint} of workflow flow: "
    )


async def test_an_unknown_run_or_step_is_refused(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    run = await engine.start(flow)
    with pytest.raises(RejectedError, match="has no step 'gp'; it has go"):
        await run.why("gp")
    with pytest.raises(RejectedError, match="there is no run 'nobody'"):
        await engine.run("nobody").why()


async def test_a_run_that_is_being_undone(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def reserve() -> int:
        return 1

    @reserve.compensate
    async def release(reserve: int) -> None:
        await asyncio.sleep(300)

    flow.wait_signal("go", after=reserve)
    run = await engine.start(flow)
    await engine.advance("1s")
    await run.cancel("ordered twice", compensate=True, by="tom")
    await engine.advance("30s")
    same(
        await explain(run),
        "undoing",
        "Running: The run is being undone, cancelled by tom (ordered twice) since 22:13:21; "
        "reserve~compensate, attempt 1, runs on worker-1.1 since 22:13:22.",
    )
    await engine.advance("10m")
    same(await explain(run), "compensated", "Done: The run was undone at 22:18:21 by tom (ordered twice).")
    same(await explain(run, "reserve"), "compensated", "Done: reserve was undone at 22:18:21.")


async def test_a_compensation_that_failed(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def reserve() -> int:
        return 1

    @reserve.compensate
    async def release(reserve: int) -> None:
        raise Fail("shipped", "already shipped")

    flow.add("boom", fails, after=reserve)
    run = await engine.start(flow)
    await engine.advance("1h")
    found = await explain(run)
    same(
        found,
        "compensation_failed",
        "Needs review: reserve~compensate failed for good at 22:13:20 with shipped: already shipped; a "
        "person has to retry or skip it.",
    )
    assert (found.step, found.status) == ("reserve~compensate", "compensation_failed")


async def test_a_run_that_waits_for_an_attempt_to_stop(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def charge() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(20)
            raise

    @charge.compensate
    async def refund() -> None: ...

    run = await engine.start(flow)
    await engine.advance("5s")
    await run.cancel("no more", by="tom")
    await engine.advance("2s")
    text = "charge was asked to stop; worker-1.1 has to answer by 22:14:25, in 58 s."
    same(
        await explain(run),
        "ending",
        f"Running: The run is being cancelled by tom (no more) since 22:13:25; {text}",
    )
    same(await explain(run, "charge"), "stopping", f"Running: {text}")


def test_an_attempt_that_is_asked_to_stop_before_a_worker_has_said_that_it_began() -> None:
    play = Play(step("charge", queue="mail", compensation=undoing("charge")))
    play.tell(CancelRun(key=play.run.id, id="cancel-1"))
    seen = Snapshot(play.run, datetime.fromtimestamp(play.now / 1_000, UTC))
    same(
        explain_step(seen, "charge", UTC),
        "stopping",
        "Running: charge was asked to stop, and no worker has said that it began; a worker of queue mail "
        "answers when it reads that, or it counts as stopped at 16:01:00, in 1 min.",
    )


async def test_a_long_attempt(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step(timeout="1h")
    async def work(ctx: Context) -> None:
        ctx.progress(40, "rows")
        await asyncio.sleep(600)

    run = await engine.start(flow)
    await engine.advance("30s")
    found = await explain(run)
    assert (found.code, found.step) == ("running", "work")
    assert str(found).startswith(
        "Running: work, attempt 1, runs on worker-1.1 since 22:13:21, 40 % done (rows); "
    )
    assert found.evidence["percent"] == 40


async def test_what_has_ended_says_so(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step(on_error="skip")
    async def notify() -> None:
        raise Fail("away", "bad luck")

    flow.add("gift", lambda: 1, when=lambda ctx: False)
    flow.add("ship", lambda: 1)
    run = await engine.start(flow)
    same(await explain(run), "completed", "Done: The run completed at 22:13:20.")
    same(await explain(run, "ship"), "completed", "Done: ship completed at 22:13:20.")
    same(await explain(run, "notify"), "skipped", "Done: notify was skipped at 22:13:20: bad luck.")
    same(
        await explain(run, "gift"),
        "skipped",
        "Done: gift was skipped at 22:13:20: its condition is not met.",
    )


async def test_a_cancelled_run(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    run = await engine.start(flow)
    await run.cancel("ordered twice", by="tom")
    same(await explain(run), "cancelled", "Done: The run was cancelled by tom (ordered twice) at 22:13:20.")
    [entry] = (await engine.list()).runs
    assert (entry.word, entry.reason) == ("Done", "cancelled by tom: ordered twice")
