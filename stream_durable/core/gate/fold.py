"""Handlers for each message to a gate, and the choice between a gate and a circuit breaker.

A request joins the line; then the first in line enter, while there are places and the rate allows it.
"""

from __future__ import annotations

from stream_durable.core.effects import Effects, Handler, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import GATES
from stream_durable.core.gate import breaker
from stream_durable.core.gate.breaker_state import Breaker
from stream_durable.core.gate.line import Place, PlaceKey
from stream_durable.core.gate.state import Gate
from stream_durable.core.ids import CHILD_MARK
from stream_durable.core.messages import (
    GateMessage,
    GateTimerFired,
    PlaceAsked,
    PlaceGiven,
    PlaceLeft,
    ResetGate,
    SetGate,
    SetGateKeys,
)
from stream_durable.core.orders import noted
from stream_durable.core.status import Outcome

#: After this time inside, and each time again, the holder is told once more that it has passed: one that
#: needs the place no longer, or is gone, gives it back.
LEASE_MS = 300_000
#: So many enter with one record, and are asked after with one.
PORTION = 500
PORTION_MS = 100

_TIMER = ""


def create(message: GateMessage, partition: int) -> Gate | Breaker:
    """Return the gate or the breaker, by the key."""
    kind = Gate if CHILD_MARK in message.key else Breaker
    return kind(message.key, partition)


def ask(gate: Gate, message: PlaceAsked, now: int, out: Effects) -> Outcome:
    """Let a step or a run pass, or make it wait."""
    key, turn = (message.run, message.step), (message.attempt, message.passes)
    place = gate.inside.get(key) or gate.waiting.get(key)
    if place is not None:
        if turn < place.turn:
            return Outcome.LATE
        if turn == place.turn:
            if key in gate.waiting:
                return Outcome.DUPLICATE
            gate.heed(message.limits, message.keys, now)
            _give(gate, key, place, out)
            return Outcome.APPLIED
        gate.leave(key)
    gate.heed(message.limits, message.keys, now)
    gate.wait(
        key,
        Place(turn, gate.next_ordinal(), now, message.share, message.priority, message.units),
    )
    _let_pass(gate, now, now, out)
    return Outcome.APPLIED


def leave(gate: Gate, message: PlaceLeft, now: int, out: Effects) -> Outcome:
    """Free a place, and count the cost of the call."""
    key = (message.run, message.step)
    inside = gate.inside.get(key)
    place = inside or gate.waiting.get(key)
    if place is None or place.turn != (message.attempt, message.passes):
        return Outcome.LATE
    gate.leave(key)
    if inside is not None and message.units is not None:
        gate.correct(inside, message.units, now)
    _let_pass(gate, now, now, out)
    return Outcome.APPLIED


def change(gate: Gate, message: SetGate, now: int, out: Effects) -> Outcome:
    """Change limits until they are reset, whatever definitions say."""
    changed = message.change if gate.change is None else gate.change.merged(message.change)
    if changed == gate.change:
        return Outcome.DUPLICATE
    gate.change = changed
    gate.orders = noted(gate.orders, "set", message, now)
    return _settle(gate, now, out)


def reset(gate: Gate, message: ResetGate, now: int, out: Effects) -> Outcome:
    """Go back to the limits of the latest definition."""
    if gate.change is None:
        return Outcome.DUPLICATE
    gate.change = None
    gate.orders = noted(gate.orders, "reset", message, now)
    return _settle(gate, now, out)


def change_keys(gate: Gate, message: SetGateKeys, now: int, out: Effects) -> Outcome:
    """Go by what was changed, or reset, for all keys."""
    if gate.is_over:
        return Outcome.LATE  # the next request brings it
    if not message.keys.is_after(gate.keys):
        return Outcome.DUPLICATE
    gate.keys = message.keys
    return _settle(gate, now, out)


def fire(gate: Gate | Breaker, message: GateTimerFired, now: int, out: Effects) -> Outcome:
    """Handle a due time: somebody may pass, or a holder is asked after."""
    if isinstance(gate, Breaker):
        return breaker.fire(gate, message, now, out)
    if message.due != gate.due or out.plan_again(("gate", gate.id, _TIMER), message.due, now):
        return Outcome.LATE
    gate.due = None
    gate.is_touched = True
    out.timers["gate", gate.id, _TIMER] = None
    if gate.is_idle(now):
        gate.forget()
        return Outcome.APPLIED
    moment = max(now, message.due)
    _ask_after(gate, moment, out)
    _let_pass(gate, now, moment, out)
    return Outcome.APPLIED


def _settle(gate: Gate, now: int, out: Effects) -> Outcome:
    gate.is_touched = True
    gate.settle(now)
    _let_pass(gate, now, now, out)
    return Outcome.APPLIED


def _let_pass(gate: Gate, now: int, moment: int, out: Effects) -> None:
    """Let the first in line pass, as many as possible, and plan the next time.

    The rate goes by the log's time `now`; `moment` is that of the timer, if its owner's clock is ahead.
    """
    left = PORTION
    while gate.waiting and gate.has_place():
        key = gate.line.first()
        opens = gate.opens(gate.waiting[key].cost, now)
        if opens > now:
            _plan(gate, opens + moment - now, out)
            break
        if not left:
            _plan(gate, moment + PORTION_MS, out)
            break
        left -= 1
        place = gate.line.serve(key)
        gate.use(place.cost, now)
        gate.touched_places[key] = None
        gate.is_touched = True
        place = place._replace(since=now)
        if gate.limits.at_once is not None or place.units is not None:
            gate.enter(key, place, moment + LEASE_MS)
        _give(gate, key, place, out)
    if gate.due is None:
        lease = gate.next_lease()
        if lease is not None:
            _plan(gate, lease[0], out)
        elif not (gate.waiting or gate.is_over or gate.id.endswith(CHILD_MARK)):
            # The time to forget a key that nobody uses.
            _plan(gate, moment + LEASE_MS, out)


def _ask_after(gate: Gate, moment: int, out: Effects) -> None:
    """Tell holders once more that they have passed."""
    for _ in range(PORTION):
        due = gate.next_lease()
        if due is None or due[0] > moment:
            return
        key = due[1]
        place = gate.inside[key]
        gate.enter(key, place, moment + LEASE_MS)
        _give(gate, key, place, out)


def _give(gate: Gate, key: PlaceKey, place: Place, out: Effects) -> None:
    run, step = key
    attempt, passes = place.turn
    given = PlaceGiven(
        key=run, step=step, attempt=attempt, passes=passes, gate=gate.id, is_held=key in gate.inside,
        format=GATES,
    )  # fmt: skip
    out.messages.append(given)


def _plan(gate: Gate, due: int, out: Effects) -> None:
    """Set the timer, unless it fires earlier: it looks again then."""
    if gate.due is None or due < gate.due:
        gate.due = due
        gate.is_touched = True
        out.timers["gate", gate.id, _TIMER] = due


def _only(kind: type[Gate | Breaker], handler: Handler) -> Handler:
    """Return a handler refusing messages to the other kind."""

    def checked(gate: Gate | Breaker, message: GateMessage, now: int, out: Effects) -> Outcome:
        if type(gate) is not kind:
            word = "breaker" if kind is Gate else "gate"
            raise RejectedError("wrong_gate", f"{gate.id[:128]!r} is a {word}, and takes no such message")
        return handler(gate, message, now, out)

    return checked


HANDLERS: Handlers = {
    GateTimerFired: fire,
    **{message: _only(Breaker, handler) for message, handler in breaker.HANDLERS.items()},
    PlaceAsked: _only(Gate, ask),
    PlaceLeft: _only(Gate, leave),
    SetGate: _only(Gate, change),
    ResetGate: _only(Gate, reset),
    SetGateKeys: _only(Gate, change_keys),
}
