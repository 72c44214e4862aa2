"""Handlers for each message to a gate.

Closed, all attempts pass and failures are counted. Open, all attempts are held until the reset time is over.
Half-open, one trial attempt passes: success closes the gate, failure opens it again.
"""

from __future__ import annotations

from itertools import islice

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.gate.breaker_state import CLOSED, HALF_OPEN, OPEN, Breaker, Limits, State
from stream_durable.core.messages import GateAsked, GateLeft, GatePassed, GateTimerFired, ProbeBreaker
from stream_durable.core.orders import noted
from stream_durable.core.status import Outcome

_TIMER = ""
#: The highest threshold of failures: a gate keeps each failure.
FAILURES_MAX = 1_000
#: The time of a trial before another may begin. The first may still answer, or be lost.
TRY_MS = 60_000
#: So many that try are kept in mind; of more, the oldest is taken for lost.
INSIDE_MAX = 10
#: Waiting attempts pass in portions, so that a recovered dependency is not overrun, and a new failure stops
#: the rest.
PORTION = 500
PORTION_MS = 100


def ask(gate: Breaker, message: GateAsked, now: int, out: Effects) -> Outcome:
    """Let an attempt pass, or make the attempt wait."""
    key = (message.run, message.step)
    place = gate.inside.get(key) or gate.waiting.get(key)
    if place is not None:
        if message.attempt < place.attempt:
            return Outcome.LATE
        if message.attempt == place.attempt and key in gate.waiting:
            return Outcome.DUPLICATE
        if message.attempt == place.attempt:
            _pass(gate, key, message.attempt, out)
            return Outcome.APPLIED
        _forget(gate, key, out)
    limits = Limits(message.failures, message.window_ms, message.reset_ms)
    if limits != gate.limits:
        gate.limits = limits
        gate.is_touched = True
        gate.since = gate.since or now
    if gate.state == CLOSED and not gate.waiting:
        _pass(gate, key, message.attempt, out)
    else:
        gate.wait(key, message.attempt)
        _try_next(gate, now, out)
    return Outcome.APPLIED


def leave(gate: Breaker, message: GateLeft, now: int, out: Effects) -> Outcome:
    """Free a place, and judge the dependency by how the attempt ended."""
    key = (message.run, message.step)
    place = gate.inside.get(key) or gate.waiting.get(key)
    if place is not None and place.attempt != message.attempt:
        return Outcome.LATE
    if place is None:
        if gate.state != CLOSED or gate.limits is None:
            return Outcome.LATE
        return _count(gate, message, gate.limits, now, out) if message.is_ok is False else Outcome.APPLIED
    has_tried = key in gate.inside
    _forget(gate, key, out)
    if has_tried and message.is_ok is True:
        _close(gate, now, out)
    elif has_tried and message.is_ok is False:
        _open(gate, now, out)
    else:
        _try_next(gate, now, out)
    return Outcome.APPLIED


def fire(gate: Breaker, message: GateTimerFired, now: int, out: Effects) -> Outcome:
    """Handle due times: release a portion, allow a trial, or replace a silent trial."""
    if message.due != gate.due or out.plan_again(("gate", gate.id, _TIMER), message.due, now):
        return Outcome.LATE
    # Within the clocks' difference, the due time has come.
    moment = max(now, message.due)
    _plan(gate, None, out)
    if gate.state == CLOSED:
        _let_portion_pass(gate, moment, out)
        return Outcome.APPLIED
    if gate.state == OPEN:
        _become(gate, HALF_OPEN, moment)
    _try_next(gate, moment, out)
    return Outcome.APPLIED


def probe(gate: Breaker, message: ProbeBreaker, now: int, out: Effects) -> Outcome:
    """Let the longest-waiting attempt try before its time."""
    if gate.state != OPEN:
        return Outcome.LATE
    gate.orders = noted(gate.orders, "probe", message, now)
    _plan(gate, None, out)
    _become(gate, HALF_OPEN, now)
    _try_next(gate, now, out)
    return Outcome.APPLIED


def _count(gate: Breaker, message: GateLeft, limits: Limits, now: int, out: Effects) -> Outcome:
    """Count a failure, and open the gate at the threshold.

    Failures from before the gate closed, or before the window, are ignored: repeats or late reports.
    """
    failed = (message.run, message.step, message.attempt)
    if failed in gate.recent:
        return Outcome.DUPLICATE
    at = min(message.since or now, now)
    if at <= now - limits.window_ms or (message.since and at < gate.since):
        return Outcome.LATE
    gate.recent = {each: at for each, at in gate.recent.items() if at > now - limits.window_ms}
    gate.recent[failed] = at
    gate.is_touched = True
    if len(gate.recent) >= min(limits.failures, FAILURES_MAX):
        _open(gate, now, out)
    return Outcome.APPLIED


def _open(gate: Breaker, now: int, out: Effects) -> None:
    """Open the breaker until `reset_ms` has passed. Results of earlier trials no longer count."""
    assert gate.limits is not None
    _become(gate, OPEN, now)
    _plan(gate, now + gate.limits.reset_ms, out)


def _close(gate: Breaker, now: int, out: Effects) -> None:
    """Let everybody pass again."""
    _become(gate, CLOSED, now)
    gate.recent.clear()
    _let_portion_pass(gate, now, out)


def _try_next(gate: Breaker, now: int, out: Effects) -> None:
    """Let the longest-waiting attempt pass as a trial, unless a trial is under way."""
    if gate.state != HALF_OPEN or gate.due is not None or not gate.waiting:
        return
    if len(gate.inside) >= INSIDE_MAX:
        gate.leave(next(iter(gate.inside)))
    key = next(iter(gate.waiting))
    place = gate.inside[key] = gate.waiting.pop(key)
    gate.touched_places[key] = None
    _pass(gate, key, place.attempt, out)
    _plan(gate, now + TRY_MS, out)


def _let_portion_pass(gate: Breaker, now: int, out: Effects) -> None:
    """Let the longest-waiting attempts pass, and leave the others to a timer."""
    for key in list(islice(gate.waiting, PORTION)):
        _pass(gate, key, gate.waiting[key].attempt, out)
        gate.leave(key)
    _plan(gate, now + PORTION_MS if gate.waiting else None, out)


def _forget(gate: Breaker, key: tuple[str, str], out: Effects) -> None:
    """Release a place; after the trial attempt's release another attempt may try."""
    if gate.inside and key == next(reversed(gate.inside)):
        _plan(gate, None, out)
    gate.leave(key)


def _become(gate: Breaker, state: State, now: int) -> None:
    gate.state = state
    gate.since = now
    gate.is_touched = True
    for key in list(gate.inside):
        gate.leave(key)


def _pass(gate: Breaker, key: tuple[str, str], attempt: int, out: Effects) -> None:
    run, step = key
    out.messages.append(GatePassed(key=run, step=step, attempt=attempt, gate=gate.id))


def _plan(gate: Breaker, due: int | None, out: Effects) -> None:
    """Set the gate's timer, or clear it."""
    if due != gate.due:
        gate.due = due
        gate.is_touched = True
        out.timers["gate", gate.id, _TIMER] = due


HANDLERS: Handlers = {
    GateAsked: ask,
    GateLeft: leave,
    ProbeBreaker: probe,
}
