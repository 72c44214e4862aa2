"""A workflow that reacts to signals beside its steps, and starts and resumes others with what it emits."""

from __future__ import annotations

import asyncio
from typing import Any

from stream_durable.sdk.answers import Cancel, Finish
from stream_durable.sdk.context import Context
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import SOON, answer, chance, instant, quick, stumble, work


async def _heard(ctx: Context[Any], signal: Any) -> dict[str, Any]:
    """Go on with the run; fail now and then; publish an event that others wait for."""
    await asyncio.sleep(0.4 * chance(ctx, "time"))
    if chance(ctx, "tells") < 0.5:
        ctx.publish("shared", key=ctx.input["group"], data={"event": ctx.idempotency_key}, ttl="4s")
    stumble(ctx)
    return {**answer(ctx), "signal": signal}


async def _called_off(ctx: Context[Any], signal: Any) -> Any:
    """Cancel the run, with or without undoing, or go on."""
    await asyncio.sleep(0.2 * chance(ctx, "time"))
    made, drawn = answer(ctx), chance(ctx, "way")
    return made if drawn < 0.4 else Cancel("called off", compensate=drawn < 0.7)


async def _undone(ctx: Context[Any], before: Any) -> None:
    await asyncio.sleep(0.1 * chance(ctx, "time"))


def workflows(leaf: Workflow) -> list[Workflow]:
    """Return a workflow that starts runs of a given one."""
    flow = Workflow("reacting", restart=Retry(2, base="50ms"))
    flow.on_signal("yes", retry=SOON, on_error="continue", concurrency=3)(_heard)
    flow.on_signal("no")(_called_off)

    @flow.on_signal("other", timeout="500ms", on_error="skip")
    async def starting(ctx: Context[Any]) -> Any:
        """Start a run and leave it, or finish the own one."""
        made = answer(ctx)
        ctx.start(leaf, ctx.input, id=f"{ctx.run_id}+{ctx.step}+{ctx.attempt}", tags=["left"])
        return Finish(made) if chance(ctx, "way") < 0.3 else made

    flow.add("before", work, retry=SOON).compensate(retry=SOON)(_undone)
    flow.sleep("nap", "900ms", after="before")
    flow.add("beside", quick, after="before")
    flow.wait_signal("word", "go", after="nap", timeout="3s", on_timeout=None)
    flow.add("end", instant, after=["word", "beside"])
    return [flow]
