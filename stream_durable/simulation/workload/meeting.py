"""Workflows whose starts meet: debounced, in batches, one at a time; and parents that start many."""

from __future__ import annotations

import asyncio
from typing import Any

from stream_durable.sdk.context import Context
from stream_durable.sdk.gate import Gate
from stream_durable.sdk.starts import Batch, Debounce, Single
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import SOON, answer, chance, stumble

#: The rules of the workflows here, by name.
RULES: dict[str, Debounce | Batch | Single] = {
    "debounced": Debounce(key="input.group", quiet="400ms", cap="1s"),
    "gathered": Debounce(quiet="300ms", inputs="all"),
    "batched": Batch(size=3, within="600ms"),
    "skipping": Single(key="input.group"),
    "replacing": Single(busy="replace"),
    "queueing": Single(key="input.group", busy="queue"),
    "renewing": Single(busy="newest"),
}
_GATE = Gate("meeting", at_once=1)


async def _slow(ctx: Context[Any]) -> dict[str, Any]:
    await asyncio.sleep(0.3 * chance(ctx, "time"))
    stumble(ctx)
    return answer(ctx)


async def _undone(ctx: Context[Any]) -> None:
    await asyncio.sleep(0.1 * chance(ctx, "time"))


def meetings() -> list[Workflow]:
    """Return workflows whose starts meet, and parents that start several of each."""
    found = []
    for name, rule in RULES.items():
        flow = Workflow(name, starts=rule, gate=_GATE if name in ("batched", "renewing") else None)
        flow.add("one", _slow, retry=SOON).compensate(_undone)
        flow.add("two", _slow, retry=SOON, after="one")
        above = Workflow(f"of_{name}")
        for number in range(3):
            above.child(f"child_{number}", flow, input="input", on_error="continue")
        above.sleep("nap", "500ms")
        above.child("late", flow, input="input", after="nap", on_error="continue", timeout="4s")
        found += [flow, above]
    return found
