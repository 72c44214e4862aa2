"""Workflows of steps that wait and keep values inside their functions."""

from __future__ import annotations

import asyncio
from typing import Any

from stream_durable.sdk.context import Context
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import SOON, answer, chance, serial, stumble

#: What a step keeps under these names, one after the other: each value says which one was seen before it.
CHAIN = ("first", "second", "third")


async def _made(ctx: Context[Any], before: dict[str, Any] | None) -> dict[str, Any]:
    """Return a value like no other, naming the one before."""
    await asyncio.sleep(0.2 * chance(ctx, "made"))
    return {"number": serial(), "after": None if before is None else before["number"]}


def _plain(before: dict[str, Any] | None) -> dict[str, Any]:
    return {"number": serial(), "after": None if before is None else before["number"]}


async def _keeps(ctx: Context[Any]) -> dict[str, Any]:
    """Keep values, each of which depends on the one before, and stumble between."""
    seen: dict[str, Any] = {}
    before: dict[str, Any] | None = None
    for name in CHAIN:
        before = seen[name] = await ctx.once(name, _made, ctx, before)
        if name == "second":
            stumble(ctx)
    return {**answer(ctx), "seen": seen}


def _keeps_plainly(ctx: Context[Any]) -> dict[str, Any]:
    """Keep values in a function that is not async."""
    seen: dict[str, Any] = {}
    before: dict[str, Any] | None = None
    for name in CHAIN:
        before = seen[name] = ctx.once(name, _plain, before).result()
        ctx.sleep("50ms").result()
    stumble(ctx)
    return {**answer(ctx), "seen": seen}


async def _goes_on(ctx: Context[Any]) -> dict[str, Any]:
    """Go on from the checkpoint."""
    for number in range(ctx.last or 0, 4):
        await asyncio.sleep(0.05)
        await ctx.checkpoint(number + 1)
        if chance(ctx, f"stop {number}") < 0.2:
            raise ConnectionError("not yet")
    return {**answer(ctx), "done": ctx.last}


def _keeping() -> Workflow:
    flow = Workflow("keeping", retry=SOON)
    flow.add("keeps", _keeps)
    flow.add("plainly", _keeps_plainly, retry=SOON)
    flow.add("goes_on", _goes_on, after="keeps", retry=Retry(20, base="50ms", cap="200ms"))
    return flow


def _waiting_inside(leaf: Workflow) -> Workflow:
    """Wait for everything there is, with values kept between."""

    async def waits(ctx: Context[Any]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        seen["first"] = await ctx.once("first", _made, ctx, None)
        await ctx.sleep("300ms")
        seen["second"] = await ctx.once("second", _made, ctx, seen["first"])
        await ctx.wait_signal("go", timeout="800ms", on_timeout=None)
        await ctx.gather(
            ctx.sleep("100ms"),
            ctx.wait_event("payment", key=ctx.run_id, timeout="1s", on_timeout=None),
            ctx.ask("agreed", choices=["yes", "no"], timeout="900ms", on_timeout="no"),
        )
        seen["third"] = await ctx.once("third", _made, ctx, seen["second"])
        stumble(ctx)
        return {**answer(ctx), "seen": seen}

    async def calls(ctx: Context[Any]) -> dict[str, Any]:
        started = [await ctx.call(leaf, ctx.input, ref="started", wait=False)]
        started.append(await ctx.call(leaf, ctx.input, ref="left", wait=False, leave=True))
        found = await ctx.gather(ctx.call(leaf, ctx.input, ref="one"), ctx.sleep("1s"))
        stumble(ctx)
        return {**answer(ctx), "found": found[0] is not None, "started": started}

    flow = Workflow("inside", retry=SOON)
    flow.add("waits", waits, total="20s")
    flow.add("calls", calls, on_error="skip")
    flow.add("end", answered, after=["waits", "calls"])
    return flow


async def answered(ctx: Context[Any]) -> dict[str, Any]:
    """Return at once."""
    return answer(ctx)


MAKERS = (_keeping,)


def callers(leaf: Workflow) -> list[Workflow]:
    """Return the workflows that call a given one inside their steps."""
    return [_waiting_inside(leaf)]
