"""Messages from outside to steps with a token: complete, fail, heartbeat."""

from __future__ import annotations

from stream_durable.core.definition.nodes import TokenNode
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.messages import CompleteStep, FailStep, HeartbeatStep, OutsideMessage
from stream_durable.core.run.advance import work_off
from stream_durable.core.run.naming import no_such_wait
from stream_durable.core.run.outside import has_not_begun, keep, outside_of, set_next_due
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import COMPLETED, FAILED, HELD, PENDING, STEP_ENDED, WAITING, Outcome


def complete(run: Run, message: CompleteStep, now: int, out: Effects) -> Outcome:
    """Complete a waiting step, or keep the value for a later wait."""
    return _end(run, message, bytes(message.output), None, now, out)


def fail(run: Run, message: FailStep, now: int, out: Effects) -> Outcome:
    """Fail a waiting step, or keep the failure for a later wait."""
    return _end(run, message, None, message.failure, now, out)


def heartbeat(run: Run, message: HeartbeatStep, now: int, out: Effects) -> Outcome:
    """Let the time for a heartbeat of a waiting step begin again."""
    i, node, outcome = _meant(run, message)
    if outcome is not None:
        return outcome
    step = run.steps.get(i)
    if step is not None and step.status == WAITING:
        outside_of(step).beat = now
        set_next_due(run, i, step, node, now, out)
        run.touched[i] = None
    return Outcome.APPLIED


def _end(
    run: Run, message: OutsideMessage, output: bytes | None, failure: Failure | None, now: int, out: Effects
) -> Outcome:
    i, _, outcome = _meant(run, message)
    if outcome is not None:
        return outcome
    step = run.steps.get(i)
    if step is None:
        step = run.steps[i] = Step(PENDING)
    outside = outside_of(step)
    outside.id, outside.at, outside.by = message.id, now, message.by
    run.touched[i] = None
    if step.status != WAITING:
        keep(step, output, failure)
    else:
        work_off(run, [(i, COMPLETED if failure is None else FAILED, output, failure)], [], now, out)
    return Outcome.APPLIED


def _meant(run: Run, message: OutsideMessage) -> tuple[int, TokenNode, Outcome | None]:
    """Return the step awaiting this message, now or later; otherwise the message's outcome."""
    i = run.graph.index.get(message.step)
    node = None if i is None else run.graph.nodes[i]
    if i is None or type(node) is not TokenNode:
        text = f"no step {message.step[:128]!r} of run {run.id!r} is ended by a token"
        raise no_such_wait(run, message.step, TokenNode, text)
    if has_not_begun(run):
        raise RejectedError("not_begun", f"run {run.id!r} has not begun, and no token of it is given out")
    step = run.steps.get(i)
    attempt = 1 if step is None else step.attempt
    if message.attempt > attempt:
        text = f"attempt {message.attempt} of step {message.step!r} was never begun"
        raise RejectedError("unknown_attempt", text)
    return i, node, _passed(run, step, message, attempt)


def _passed(run: Run, step: Step | None, message: OutsideMessage, attempt: int) -> Outcome | None:
    """Return the outcome of a message without any effect now."""
    outside = None if step is None or step.detail is None else step.detail.outside
    ended_by = "" if outside is None else outside.id
    if ended_by == message.id and message.attempt in (0, attempt):
        return Outcome.DUPLICATE
    is_over = step is not None and (step.status in STEP_ENDED or step.status == HELD)
    has_ended = run.ended is not None or is_over
    is_late = has_ended or bool(ended_by) or message.attempt not in (0, attempt)
    return Outcome.LATE if is_late else None


HANDLERS: Handlers = {
    CompleteStep: complete,
    FailStep: fail,
    HeartbeatStep: heartbeat,
}
