"""The answer of a gate to an attempt that wants to pass it."""

from __future__ import annotations

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.messages import GateLeft, GatePassed
from stream_durable.core.run.asking import dispatch
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import READY, RUNNING, Outcome


def passed_gate(run: Run, message: GatePassed, now: int, out: Effects) -> Outcome:
    """Start an attempt let through by a gate."""
    i = run.graph.index.get(message.step)
    step = None if i is None else run.steps.get(i)
    if i is None or step is None or step.attempt != message.attempt or step.status != READY:
        _decline(run, step, message, out)
        return Outcome.LATE
    if step.detail is None or step.detail.held != "gate":
        return Outcome.DUPLICATE
    step.detail.held = ""
    run.touched[i] = None
    dispatch(run, i, step.attempt, out)
    return Outcome.APPLIED


def _decline(run: Run, step: Step | None, message: GatePassed, out: Effects) -> None:
    """Return a pass granted to an already ended attempt: its request was repeated after the release."""
    if step is not None and step.attempt == message.attempt and step.status == RUNNING:
        return
    if message.gate:
        left = GateLeft(key=message.gate, run=run.id, step=message.step, attempt=message.attempt)
        out.messages.append(left)


HANDLERS: Handlers = {GatePassed: passed_gate}
