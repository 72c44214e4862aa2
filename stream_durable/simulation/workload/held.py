"""Workflows whose failed steps are held for a person: steps, waits, members of groups, and a race."""

from __future__ import annotations

from typing import Any

from stream_durable.sdk.context import Context
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.steps import any_of
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import (
    SOON,
    answer,
    chance,
    doomed,
    instant,
    item_work,
    plain,
    quick,
    shaky,
    work,
)


async def _unlucky(ctx: Context[Any]) -> dict[str, Any]:
    """Fail with most attempts, at once."""
    if chance(ctx, "unlucky") < 0.8:
        raise ConnectionError("not now")
    return answer(ctx)


def _held() -> Workflow:
    """Steps and a wait, one after the other, with something to undo; the run may have a time-out."""
    flow = Workflow("held", due="2s")
    taken = flow.add("taken", quick)
    taken.compensate(retry=SOON)(instant)
    flow.add("judged", shaky, retry=Retry(2, base="100ms"), on_error="hold", due="1s", after="taken")
    flow.wait_signal("said", "go", timeout="700ms", on_error="hold", due="300ms", after="judged")
    flow.add("aside", doomed, on_error="hold", timeout="2s")
    flow.add("close", plain, after=["said", "aside"])
    flow.on_overdue(instant)
    return flow


def _parts() -> Workflow:
    """Members of groups, a group as a whole, and a step that loses a race while it is held."""
    flow = Workflow("held_parts")
    one = flow.add("one", shaky, on_error="hold")
    two = flow.add("two", work, retry=SOON)
    flow.parallel("both", [one, two], concurrency=1)
    flow.each("input.items", name="many", on_error="hold", concurrency=2)(item_work)
    flow.add("slow", doomed, on_error="hold")
    flow.sleep("nap", "3s")
    flow.add("won", instant, after=any_of("slow", "nap", cancel_rest=True))
    flow.add("close", work, on_error="hold", after=["both", "many", "won"])
    return flow


def _retried() -> Workflow:
    """Steps with many retries, so that fewer make a difference."""
    flow = Workflow("held_retried")
    for name in ("one", "two"):
        flow.add(name, _unlucky, retry=Retry(4, base="50ms"), on_error="hold")
    flow.add("close", work, on_error="hold", after=["one", "two"])
    return flow


def workflows() -> list[Workflow]:
    """Return them all, with a parent that holds a child."""
    child = Workflow("held_child")
    child.add("work", shaky)
    parent = Workflow("holding")
    parent.child("part", child, input="input", on_error="hold")
    parent.add("close", instant, after="part")
    return [_held(), _parts(), _retried(), child, parent]
