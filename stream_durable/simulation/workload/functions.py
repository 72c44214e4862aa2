"""Step functions of the simulated workflows.

An attempt's result is drawn from the attempt's key and from the trouble requested in the run's input, so that
a definition has many histories, and a repeated attempt has the same result.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

from stream_durable.core.ids import fraction
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.context import Context
from stream_durable.sdk.retry import Retry

#: Under this key of its context a run keeps which attempts have left something there.
MARKS = "marks"
#: And under this how many they were.
MARKED = "marked"
#: And under this and a step's name what the step came to, where its option says so.
INTO = "into-"

#: Some more tries, soon.
SOON = Retry(4, base="100ms", cap="800ms", jitter=0.5)

_serial = count()


def restart_serial() -> None:
    """Number answers from the beginning, so that a seed gives the same bytes every time."""
    global _serial  # noqa: PLW0603 - one world at a time
    _serial = count()


def serial() -> int:
    """Return a number that no other call gets."""
    return next(_serial)


def answer(ctx: Context[Any]) -> dict[str, Any]:
    """Record the attempt in the run's context; no two calls return the same."""
    ctx.append(MARKS, ctx.idempotency_key)
    ctx.increment(MARKED)
    return {"of": ctx.idempotency_key, "call": next(_serial)}


def tell_the_world(ctx: Context[Any]) -> None:
    """Emit now and then: some records, and a signal that the own run may wait for or not."""
    drawn = fraction("emits", ctx.idempotency_key)
    if drawn > 0.3:
        return
    for number in range(1 + int(drawn * 10)):
        ctx.emit("world", key=ctx.run_id, value={"of": ctx.idempotency_key, "number": number})
        ctx.attribute(f"of{number}", ctx.idempotency_key)
        ctx.attribute("drawn", drawn)
    if drawn < 0.1:
        ctx.signal(ctx.run_id, "told")


def chance(ctx: Context[Any], of: str) -> float:
    """Draw for this attempt."""
    return fraction(of, ctx.idempotency_key)


def stumble(ctx: Context[Any]) -> None:
    """Fail, once or for good, as often as the input wants it."""
    drawn, trouble = chance(ctx, "trouble"), ctx.input["trouble"]
    if drawn < trouble * 0.35:
        raise Fail("no_way", "this does not work", retryable=False)
    if drawn < trouble:
        raise ConnectionError("not now")


async def work(ctx: Context[Any]) -> dict[str, Any]:
    """Take no time or some, and now and then a lot; and fail now and then."""
    drawn = chance(ctx, "time")
    if drawn > 0.4:
        await asyncio.sleep(0.05 * drawn if drawn < 0.9 else 1.5 * drawn)
    tell_the_world(ctx)
    stumble(ctx)
    return answer(ctx)


async def quick(ctx: Context[Any]) -> dict[str, Any]:
    """Take a moment."""
    await asyncio.sleep(0.002 + 0.05 * fraction(ctx.idempotency_key))
    return answer(ctx)


async def instant(ctx: Context[Any]) -> dict[str, Any]:
    """Await nothing, and emit."""
    tell_the_world(ctx)
    return answer(ctx)


def threaded(ctx: Context[Any]) -> dict[str, Any]:
    """Be called in a thread."""
    return answer(ctx)


async def plain(input: Any) -> dict[str, Any]:  # noqa: A002 - the name that binds it
    """Take the input alone: the command carries nothing else."""
    return {"id": input["id"], "call": next(_serial)}


async def long(ctx: Context[Any]) -> dict[str, Any]:
    """Outlast the moment of announcement."""
    for part in range(4):
        ctx.progress(part * 25, "at it")
        await asyncio.sleep(0.4 + 0.4 * fraction(ctx.idempotency_key))
    return answer(ctx)


async def flaky(ctx: Context[Any]) -> dict[str, Any]:
    """Succeed with the third attempt."""
    await asyncio.sleep(0.01)
    if ctx.attempt < 3:
        raise ConnectionError("not yet")
    return answer(ctx)


async def shaky(ctx: Context[Any]) -> dict[str, Any]:
    """Fail for good with most attempts, after a while."""
    await asyncio.sleep(0.8 * chance(ctx, "time"))
    if chance(ctx, "shaky") < 0.6:
        raise Fail("shaky", "not this time", retryable=False)
    return answer(ctx)


async def doomed(ctx: Context[Any]) -> dict[str, Any]:
    """Always fail."""
    await asyncio.sleep(0.3)
    raise Fail("no_way", "this never works", retryable=False)


async def dawdling(ctx: Context[Any]) -> dict[str, Any]:
    """Run into a time-out with the first attempt."""
    await asyncio.sleep(2.0 if ctx.attempt == 1 else 0.01)
    return answer(ctx)


async def always_late(ctx: Context[Any]) -> dict[str, Any]:
    """Run into every time-out."""
    await asyncio.sleep(30.0)
    return answer(ctx)


async def number(ctx: Context[Any]) -> dict[str, Any]:
    """Return a value for paths."""
    stumble(ctx)
    return {**answer(ctx), "number": ctx.run_id, "items": ctx.input["items"], "kind": ctx.input["kind"]}


async def large(ctx: Context[Any]) -> dict[str, Any]:
    """Return a value large enough for a reference, or a small one."""
    much = "x" * (1_500 if chance(ctx, "much") < 0.7 else 5)
    return {**await number(ctx), "much": much}


async def item_work(ctx: Context[Any], item: Any) -> dict[str, Any]:
    """Do the work for an item."""
    return {**await work(ctx), "item": item}
