"""A workflow with reactions to events and signals, and its clients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

from msgspec import Raw

from stream_durable.core.ids import channel_id
from stream_durable.core.messages import EventPublished, SignalRun
from stream_durable.sdk.answers import Cancel, Finish, Jump
from stream_durable.sdk.app import App
from stream_durable.sdk.context import Context
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import SOON, answer, chance, instant, shaky, stumble, work
from stream_durable.simulation.workload.plan import Sent, message

NAME = "informed"
NEWS = "news"


async def _react(ctx: Context[Any]) -> Any:
    """Change the context, and sometimes the course of the run."""
    await asyncio.sleep(0.3 * chance(ctx, "time"))
    stumble(ctx)
    made, drawn = answer(ctx), chance(ctx, "react")
    if drawn < 0.06:
        return Cancel("enough", compensate=drawn < 0.03)
    if drawn < 0.1:
        return Finish(made)
    return Jump("later") if drawn < 0.16 else made


async def _changed(ctx: Context[Any], event: Any) -> Any:
    return await _react(ctx)


async def _heard(ctx: Context[Any], event: Any) -> Any:
    return await _react(ctx)


async def _told(ctx: Context[Any], signal: Any) -> Any:
    return await _react(ctx)


def _informed() -> Workflow:
    """Reactions during work, waits, failures, restarts and compensation."""
    flow = Workflow(NAME, restart=Retry(2, base="50ms"))
    flow.on_event(NEWS, key="input.id", retry=SOON, on_error="continue", concurrency=2)(_changed)
    flow.on_event(NEWS, key="input.group", retry=SOON, on_error="skip")(_heard)
    flow.on_signal("yes", retry=SOON, concurrency=2)(_told)
    flow.add("before", work, retry=SOON).compensate(instant)
    flow.sleep("nap", "1500ms", after="before")
    flow.wait_event("same", NEWS, key="input.group", timeout="2s", on_timeout=None, after="before")
    flow.add("shaky", shaky, after="nap", on_error="skip")
    flow.wait_signal("word", "go", after="shaky", timeout="3s", on_timeout=None)
    flow.add("later", instant, after=["word", "same"])
    flow.add("end", work, retry=SOON, after="later")
    return flow


def react_with_runs(app: App) -> None:
    """Let some events start runs, and some of those be the same run."""
    chain = app.workflows["bare"]
    app.on(NEWS, start=chain, input="data", match={"data.n": [0, 3]})
    app.on(
        NEWS, start=chain, id="key", input="data", match={"data.n": 1, "key": ["g0", "g1"]}, name="once-a-key"
    )


def reacted(rng: Random, run: str, at: float) -> Iterator[Sent]:
    """Send events and signals to a run: many at once, twice, too early and too late."""
    for number in range(rng.choice((0, 2, 6, 14))):
        at += rng.uniform(0.0, 0.7)
        data = Raw(b'{"n":%d}' % number)
        kind = rng.random()
        sent: EventPublished | SignalRun
        if kind < 0.3:
            sent = SignalRun(key=run, id=f"yes {number} {run}", signal="yes", data=data)
        else:
            key = run if kind < 0.7 else f"g{rng.randrange(2)}"
            sent = EventPublished(
                key=channel_id(NEWS, key), id=f"news {number} {run}", data=data,
                ttl_ms=rng.choice((0, 200, 5_000)),
            )  # fmt: skip
        yield message(at, sent)
        if rng.random() < 0.3:
            yield message(at + rng.uniform(0.0, 1.0), sent)


MAKERS = (_informed,)
