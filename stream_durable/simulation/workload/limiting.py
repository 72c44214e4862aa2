"""Workflows with gates: places and rates, for each key, by turns, by priority and by cost."""

from __future__ import annotations

import asyncio
from typing import Any

from stream_durable.sdk.breaker import Breaker
from stream_durable.sdk.context import Context
from stream_durable.sdk.gate import Gate
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.steps import any_of
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import SOON, answer, chance, instant, stumble

#: The gates of all workflows here, by name.
GATES = {
    gate.name: gate
    for gate in (
        Gate("two", at_once=2),
        Gate("fast", rate="4/1s", burst=1),
        Gate("both", at_once=1, rate="5/1s", per="input.group"),
        Gate("turns", at_once=1, rate="8/1s", burst=1, per="input.group", weights={"g0": 3}),
        Gate("costly", rate="6/1s", burst=3),
        Gate("few", at_once=2),
        Gate("own", at_once=1, rate="8/1s", burst=1, per="input.group", weights={"g0": 3}),
        Gate("kept", at_once=1, rate="10/1s"),
    )
}


async def _slow(ctx: Context[Any]) -> dict[str, Any]:
    await asyncio.sleep(0.3 * chance(ctx, "time"))
    stumble(ctx)
    return answer(ctx)


async def _spending(ctx: Context[Any]) -> dict[str, Any]:
    """Report the cost of the call, however the call ends."""
    ctx.spent(int(5 * chance(ctx, "spent")))
    return await _slow(ctx)


async def _napping(ctx: Context[Any]) -> dict[str, Any]:
    """Wait inside the function: the place is given back meanwhile."""
    await ctx.sleep("100ms")
    stumble(ctx)
    return answer(ctx)


def _limited() -> Workflow:
    flow = Workflow("limited", retry=SOON)
    flow.add("one", _slow, gate=GATES["two"])
    flow.add("two", _slow, gate=GATES["two"], priority="high", after="one", total="20s", on_error="skip")
    flow.add("beside", instant, gate=GATES["fast"])
    flow.add("end", _napping, gate=GATES["two"], priority="low", after=["two", "beside"])
    return flow


def _keyed() -> Workflow:
    flow = Workflow("keyed", retry=SOON)
    flow.add("both", _slow, gate=GATES["both"])
    flow.add("turn", _spending, gate=GATES["turns"], units=2)
    for i in range(3):
        flow.add(f"turn_{i}", instant, gate=GATES["turns"], after="both")
    flow.add("costly", instant, gate=GATES["costly"], units="input.rounds", after="turn")
    flow.each("input.items", name="many", gate=GATES["fast"], concurrency=2)(instant)
    return flow


async def _doubtful(ctx: Context[Any]) -> dict[str, Any]:
    if chance(ctx, "doubtful") < 0.5:
        raise ConnectionError("not yet")
    return await _slow(ctx)


def _guarded() -> Workflow:
    """A step behind a breaker and a gate, in a restarted run."""
    flow = Workflow("twice_guarded", restart=Retry(2, base="50ms"))
    bank = Breaker("two", failures=2, window="5s", reset="400ms")
    flow.add("charge", _doubtful, breaker=bank, gate=GATES["two"], retry=Retry(30, base="100ms", cap="300ms"))
    flow.add("shaky", _doubtful, gate=GATES["two"], after="charge")
    return flow


def _sectioned() -> Workflow:
    """Several steps with a single place, as a side of a race."""
    flow = Workflow("sectioned", retry=SOON, restart=Retry(2, base="50ms"))
    flow.add("in", _slow)
    flow.add("mid", _napping, after="in", on_error="continue")
    flow.each("input.items", name="all", after="mid")(instant)
    flow.parallel("section", ["in", "mid", "all"], gate=GATES["kept"])
    flow.add("beside", _slow)
    flow.add("end", instant, after=any_of("section", "beside", cancel_rest=True))
    return flow


async def _undone(ctx: Context[Any]) -> None:
    await asyncio.sleep(0.1 * chance(ctx, "time"))


def _few() -> Workflow:
    """Runs that wait to begin, and undo what they did before they give their place back."""
    flow = Workflow("few", gate=GATES["few"], restart=Retry(2, base="50ms"))
    flow.add("one", _slow, retry=SOON).compensate(_undone)
    flow.add("two", _napping, after="one")
    flow.on_failure(_undone)
    return flow


def crowds() -> list[Workflow]:
    """Return workflows whose runs pass gates, and one with such children."""
    few = _few()
    owned = Workflow("owned", gate=GATES["own"])
    owned.add("one", _slow, retry=SOON)
    owned.add("two", instant, after="one", gate=GATES["two"])
    crowd = Workflow("crowd")
    crowd.child("first", few, input="input", on_error="continue")
    crowd.child("hurried", owned, input="input", timeout="900ms", retry=Retry(2, base="100ms"))
    return [few, owned, crowd]


MAKERS = (_limited, _keyed, _guarded, _sectioned)
