"""The answers of a breaker or a gate to what wants to pass it."""

from __future__ import annotations

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.format import GATES
from stream_durable.core.messages import GateLeft, GatePassed, PlaceGiven, PlaceLeft
from stream_durable.core.run import sections
from stream_durable.core.run.advance import work_off
from stream_durable.core.run.asking import ask_gate, ask_queue, dispatch
from stream_durable.core.run.beginning import let_in
from stream_durable.core.run.gating import turn_of
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import READY, RUNNING, Outcome


def passed_gate(run: Run, message: GatePassed, now: int, out: Effects) -> Outcome:
    """Start an attempt let through by a breaker, or ask the gate behind it."""
    i = run.graph.index.get(message.step)
    step = None if i is None else run.steps.get(i)
    if i is None or step is None or step.attempt != message.attempt or step.status != READY:
        _decline(run, step, message, out)
        return Outcome.LATE
    detail = step.detail
    if detail is None or detail.held != "gate" or detail.place or detail.queue_place:
        return Outcome.DUPLICATE
    if _is_paused(run, i):
        return Outcome.LATE
    detail.held = ""
    run.touched[i] = None
    node = run.graph.work[i]
    assert node is not None
    ask_gate(run, i, step, node, out)
    return Outcome.APPLIED


def given(run: Run, message: PlaceGiven, now: int, out: Effects) -> Outcome:
    """Start an attempt, a section or the run, let in by a gate; give back a needless place."""
    if not message.step:
        outcome = let_in(run, message, now, out)
        if outcome is None and message.is_held:
            out.messages.append(declined(message))
        return Outcome.LATE if outcome is None else outcome
    i = run.graph.index.get(message.step)
    step = None if i is None else run.steps.get(i)
    if i is None or step is None or not _asks(step, message):
        if message.is_held:
            out.messages.append(declined(message))
        return Outcome.LATE
    detail = step.detail
    assert detail is not None
    is_of_queue = message.gate == detail.queue_place
    is_known = detail.held != "gate" or (detail.queue_place and not is_of_queue)
    if is_known or _is_paused(run, i):
        return Outcome.DUPLICATE if is_known else Outcome.LATE
    detail.held = ""
    if not message.is_held:
        if is_of_queue:
            detail.queue_place = ""
        else:
            detail.place = ""
    run.touched[i] = None
    node = run.graph.work[i]
    if node is None:
        work_off(run, [], sections.held_by(run, i), now, out)
    elif is_of_queue:
        dispatch(run, i, step.attempt, out)
    else:
        ask_queue(run, i, step, node, out)
    return Outcome.APPLIED


def _is_paused(run: Run, i: int) -> bool:
    """Return whether a step that may pass keeps what it has, and asks once more when the run is resumed."""
    return run.begins_nothing and run.graph.work[i] is not None and not run.graph.is_helper(i)


def declined(message: PlaceGiven) -> PlaceLeft:
    """Return the message giving back an unneeded place."""
    return PlaceLeft(
        key=message.gate, run=message.key, step=message.step, attempt=message.attempt,
        passes=message.passes, format=GATES,
    )  # fmt: skip


def _asks(step: Step, message: PlaceGiven) -> bool:
    """Return whether a step has asked for the place, and still needs it."""
    if step.detail is None or message.gate not in (step.detail.place, step.detail.queue_place):
        return False
    return (step.attempt, turn_of(step)) == (message.attempt, message.passes)


def _decline(run: Run, step: Step | None, message: GatePassed, out: Effects) -> None:
    """Return a pass granted to an already ended attempt: its request was repeated after the release."""
    if step is not None and step.attempt == message.attempt and step.status == RUNNING:
        return
    if message.gate:
        left = GateLeft(key=message.gate, run=run.id, step=message.step, attempt=message.attempt)
        out.messages.append(left)


HANDLERS: Handlers = {GatePassed: passed_gate, PlaceGiven: given}
