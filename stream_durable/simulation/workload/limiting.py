"""Workflows with gates: places and rates, for each key, by turns, by priority and by cost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from stream_durable.core.declared import changed_keys
from stream_durable.core.format import GATES as GATES_FORMAT
from stream_durable.core.format import TRIGGERS
from stream_durable.core.gate.limits import GateChange, KeysChange
from stream_durable.core.gate.state import gate_id
from stream_durable.core.messages import ResetGate, RulesDeclared, SetGate, SetGateKeys
from stream_durable.memory.ports import VirtualClock
from stream_durable.sdk.breaker import Breaker
from stream_durable.sdk.context import Context
from stream_durable.sdk.gate import Gate
from stream_durable.sdk.retry import Retry
from stream_durable.sdk.steps import any_of
from stream_durable.sdk.workflow import Workflow
from stream_durable.simulation.workload.functions import SOON, answer, chance, instant, stumble
from stream_durable.simulation.workload.plan import Sent, message
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import DEFINITIONS, INBOX

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

#: The one whose keys have limits each, and those with limits for all together.
KEYED: Final = "both"
_WHOLE: Final = ("two", "fast", "turns", "costly", "few", "kept")


async def _slow(ctx: Context[Any]) -> dict[str, Any]:
    await asyncio.sleep(0.3 * chance(ctx, "time"))
    stumble(ctx)
    return answer(ctx)


async def _spending(ctx: Context[Any]) -> dict[str, Any]:
    """Report the cost of the call, however the call ends."""
    ctx.spent(int(5 * chance(ctx, "spent")))
    return await _slow(ctx)


async def _thrifty(ctx: Context[Any]) -> dict[str, Any]:
    """Report less than the forecast, after a while in which its use of the rate may be paid for."""
    await asyncio.sleep(3.0 * chance(ctx, "long"))
    ctx.spent(0)
    return answer(ctx)


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
    flow.add("costly", _thrifty, gate=GATES["costly"], units="input.rounds", after="turn")
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
#: Workflows whose runs or steps pass gates.
GATED: Final = frozenset(("limited", "keyed", "twice_guarded", "sectioned", "few", "owned", "crowd"))


def orders(rng: Random, seconds: float, partitions: int) -> Iterator[list[Sent]]:
    """Draw how people change limits while runs pass: of a gate, and of all keys of one."""
    for number in range(rng.choice((0, 2, 4))):
        gate, at = gate_id(rng.choice(_WHOLE)), rng.uniform(0.0, seconds)
        changed = SetGate(key=gate, id=f"set {number}", format=GATES_FORMAT, change=_change(rng))
        script = [message(at, changed)]
        if rng.random() < 0.5:
            later = at + rng.uniform(0.0, 2.0)
            script.append(message(later, ResetGate(key=gate, id=f"reset {number}", format=GATES_FORMAT)))
        yield script * rng.choice((1, 1, 2))
    at = rng.uniform(0.0, seconds / 2)
    for number in range(rng.choice((0, 1, 2))):
        yield list(_of_all_keys(rng, number, at, partitions))
        at += rng.uniform(0.0, 2.0)


def _of_all_keys(rng: Random, number: int, at: float, partitions: int) -> Iterator[Sent]:
    """Declare a change, as the client does, then send it to the keys there are."""
    change = None if number and rng.random() < 0.5 else _change(rng)
    keys = KeysChange(change=change, at=VirtualClock.EPOCH_MS + int(at * 1_000), id=f"keys {number}")
    key, value = changed_keys(KEYED, keys)
    yield Sent(at, DEFINITIONS, 0, key, value)
    for partition in range(partitions):
        told = RulesDeclared(key=str(partition), format=TRIGGERS)
        yield Sent(at, INBOX, partition, told.key.encode(), encode(told))
    for group in rng.sample(("g0", "g1"), rng.choice((0, 1, 2))):
        yield message(at, SetGateKeys(key=gate_id(KEYED, group), format=GATES_FORMAT, keys=keys))


def _change(rng: Random) -> GateChange:
    rate = rng.choice((None, None, 3, 20))
    return GateChange(at_once=rng.choice((None, 1, 3)), rate=rate, burst=rng.choice((None, 0, 2)))
