"""D11, B9: calls of reactions that no worker makes hold up no end of the run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import App, Context, Fail, Finish, Retry, Snooze, Workflow
from stream_durable.testing import Engine


def bound(react: Any, **options: Any) -> Workflow:
    """Return a workflow that has something to undo and waits, with a reaction on a queue of its own."""
    flow = Workflow("bound", restart=options.pop("restart", None))
    book = flow.add("book", lambda: 1)
    book.compensate(lambda: None)

    @flow.step(after=flow.wait_signal("go", after=book))
    def end(go: str) -> Finish:
        if go == "fail":
            raise Fail("bad", "it cannot be")
        return Finish(go)

    flow.on_signal("ping", queue="slow", **options)(react)
    return flow


async def ended(engine: Engine, run: Any, how: str) -> None:
    """Let a run begin to end."""
    if how == "cancelled":
        await run.cancel("enough", compensate=True)
    else:
        await engine.signal(run, "go", how)


ENDS = [("cancelled", "compensated"), ("fail", "compensated"), ("finish", "completed")]


@pytest.mark.parametrize(("how", "status"), ENDS)
async def test_one_that_has_snoozed_holds_up_no_end(engine: Engine, how: str, status: str) -> None:
    def ping(ctx: Context) -> Snooze:
        return Snooze("5d")

    run = await engine.start(bound(ping))
    await engine.signal(run, "ping")
    await engine.until_idle()
    await ended(engine, run, how)
    await engine.advance("1s")
    assert (run.status, run.step("~ping.0").status) == (status, "cancelled")


async def test_one_that_snoozes_while_the_run_ends_is_made_no_more(engine: Engine) -> None:
    async def ping(ctx: Context) -> Snooze:
        await asyncio.sleep(10)
        ctx.increment("pings")
        return Snooze("5d")

    run = await engine.start(bound(ping))
    await engine.signal(run, "ping")
    await engine.advance("5s")
    await ended(engine, run, "cancelled")
    await engine.advance("6s")
    assert (run.status, run.context) == ("compensated", {"pings": 1})


@pytest.mark.parametrize(("how", "status"), ENDS)
async def test_one_before_a_gate_is_not_made_in_a_run_that_ends(
    engine: Engine, how: str, status: str
) -> None:
    async def ping(ctx: Context) -> None:
        ctx.increment("pings")
        await asyncio.sleep(600)

    flow = bound(ping, concurrency=2)
    App("shop", workflows=[flow]).queue("slow", at_once=1)
    run = await engine.start(flow)
    await engine.signal(run, "ping")
    await engine.signal(run, "ping")
    await engine.advance("1s")
    await ended(engine, run, how)
    await engine.advance("11m")
    assert (run.status, run.context) == (status, {"pings": 1})
    assert run.step("~ping.1").status == "cancelled"
    assert (await engine.gate("queue:slow")).places == []


@pytest.mark.parametrize(("how", "status"), ENDS)
@pytest.mark.parametrize("has_limit", [False, True])
async def test_one_that_no_worker_begins_is_waited_for_a_minute(
    engine: Engine,
    how: str,
    status: str,
    has_limit: bool,  # noqa: FBT001
) -> None:
    options: Any = {"timeout": "10s"} if has_limit else {}

    def ping() -> None: ...

    flow = bound(ping, **options)
    run = await engine.start(flow)
    await engine.until_idle()
    await engine.pause_queue("slow")
    await engine.signal(run, "ping")
    await ended(engine, run, how)
    await engine.advance("9s" if has_limit else "59s")
    assert run.state.ended is None and run.step("~ping.0").waits_for == ("a worker of queue slow",)
    engine.restart()
    await engine.advance("2s")
    assert (run.status, run.step("~ping.0").status) == (status, "cancelled")
    await engine.resume_queue("slow")
    await engine.until_idle()
    assert engine.calls("~ping.0") == 0


async def test_the_next_try_of_the_graph_makes_one_that_no_worker_began(engine: Engine) -> None:
    heard: list[int] = []

    def ping(signal: int) -> None:
        heard.append(signal)

    run = await engine.start(bound(ping, restart=Retry(2, base="1s")))
    await engine.until_idle()
    await engine.pause_queue("slow")
    await engine.signal(run, "ping", 1)
    await engine.signal(run, "ping", 2)
    await ended(engine, run, "fail")
    await engine.advance("2m")
    assert (run.state.attempt, run.state.ended, heard) == (2, None, [])
    await engine.resume_queue("slow")
    await engine.until_idle()
    assert heard == [1, 2]
    await ended(engine, run, "finish")
    assert await run.result() == "finish"
