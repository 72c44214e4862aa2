"""What dates from the engine's time, and what it goes on for: dead workers, copies of copies."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from stream_durable import Context, Workflow
from stream_durable.client import AsyncClient, RunFilter
from stream_durable.testing import Engine
from stream_durable.testing.virtual import VirtualBackend


async def test_until_idle_waits_for_an_attempt_that_a_dead_worker_has_left(engine: Engine) -> None:
    flow = Workflow("slow")

    @flow.step
    async def slow() -> str:
        await asyncio.sleep(5)
        return "done"

    engine.crash_after(slow)
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.output, engine.calls(slow)) == ("completed", "done", 2)


async def test_until_idle_does_not_wait_for_what_waits_in_a_group(engine: Engine) -> None:
    flow = Workflow("waits")
    flow.add("first", lambda: 1)
    flow.wait_signal("go", after="first")
    flow.parallel("both", ["first", "go"])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "waiting"


def test_copies_are_not_copied() -> None:
    backend = VirtualBackend()
    with Engine(backend) as engine:
        flow = Workflow("flow")
        flow.add("a", lambda: 1)

        async def story() -> list[int]:
            await engine.start(flow)
            await engine.until_idle()
            found = []
            for _ in range(3):
                engine.redeliver()
                found.append(len(backend._deployment.broker.topic("inbox").records()))
                await engine.until_idle()
            return found

        first, second, third = asyncio.run(story())
    assert third - second == second - first


async def test_lines_and_conditions_are_dated_in_the_engines_time(engine: Engine) -> None:
    flow = Workflow("dated")

    @flow.step
    async def note(ctx: Context) -> None:
        await asyncio.sleep(60)
        ctx.log.info("noted")

    run = await engine.start(flow, id="r")
    await engine.until(run, "completed")
    [line] = await run.logs()
    assert abs(line.time - engine.now) < timedelta(seconds=5)
    client: AsyncClient = engine._target

    async def found(since: str) -> list[str]:
        return [entry.id for entry in (await client.list(RunFilter(created_since=since))).runs]

    await engine.advance("2h")
    assert engine.ask(lambda: found("1h")) == []
    assert engine.ask(lambda: found("3h")) == ["r"]
