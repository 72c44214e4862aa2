"""E10, end to end: what a step writes is kept with its attempt, bounded, whatever it writes with."""

# ruff: noqa: A002, A006, T201 - `input` is what authors write, and they print

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest
from instances import running

from stream_durable import App, Context, Fail, Retry, Workflow
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

writes = Workflow("writes")


@writes.step(retry=Retry(2, base="10ms"))
async def loud(ctx: Context) -> int:
    ctx.log.info("attempt %s", ctx.attempt)
    ctx.log.debug("too fine to be kept")
    logging.getLogger("shop").warning("by logging")
    print("by print")
    await asyncio.sleep(0)
    if ctx.attempt == 1:
        ctx.log.error("it goes wrong")
        raise Fail("busy")
    return 1


@writes.step
def threaded(ctx: Context) -> int:
    print("in a thread, of", ctx.step)
    ctx.log.info("said")
    return 2


@writes.step
async def much() -> int:
    print("x" * 3_000)
    for number in range(300):
        print(number)
    return 3


@writes.step
async def quiet() -> int:
    return 4


@writes.each("input")
async def each(item: str, ctx: Context) -> None:
    ctx.log.info("item %s", item)


async def test_lines_are_kept_with_their_attempt(settings: Settings) -> None:
    async with running(settings, App("writes", workflows=[writes])) as instance:
        run = await instance.client.start(writes, ["a", "b"])
        await run.result(timeout="60s")

        first, second = await run.attempts("loud")
        assert [(line.level, line.text) for line in first.logs] == [
            ("info", "attempt 1"),
            ("warning", "by logging"),
            ("print", "by print"),
            ("error", "it goes wrong"),
        ]
        assert [line.text for line in second.logs] == ["attempt 2", "by logging", "by print"]
        assert (first.status, second.status) == ("failed", "completed")
        assert {(line.step, line.attempt) for line in first.logs} == {("loud", 1)}

        assert [line.text for line in await run.logs("threaded")] == ["in a thread, of threaded", "said"]
        assert await run.logs("quiet") == []
        assert [line.text for line in await run.logs("each[1]")] == ["item b"], (
            "side by side, and each has its own"
        )

        lines = await run.logs("much")
        assert len(lines) == 201
        assert len(lines[0].text) <= 2_010
        assert lines[1].text == "0", "the first ones are kept"
        assert "101" in lines[-1].text, "and how many were left out is said"

        everything = await run.logs()
        assert [line.time for line in everything] == sorted(line.time for line in everything)
        assert all(abs(line.time - datetime.now(UTC)) < timedelta(minutes=5) for line in everything)
