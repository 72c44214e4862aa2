"""The holder of a long attempt: a worker says that it has begun, and that it goes on."""

from __future__ import annotations

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.failure import Failure
from stream_durable.core.messages import AttemptHeartbeat, AttemptStarted, Call
from stream_durable.core.run.advance import work_off
from stream_durable.core.run.attempts import (
    ask_again,
    has_stopped,
    is_lost_for_good,
    lease,
    open_step,
    stopped,
)
from stream_durable.core.run.ending import cancel_moved
from stream_durable.core.run.inside import call_of, within
from stream_durable.core.run.say import clear_due
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import RUNNING, Outcome


def started(run: Run, message: AttemptStarted, now: int, out: Effects) -> Outcome:
    """Record the worker of a long attempt, and hold a lease."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    if message.is_repeat:
        return _call_again(run, i, step, message, now, out)
    if message.call is not None and message.call != call_of(step):
        return Outcome.LATE
    if step.status == RUNNING:
        if step.worker == message.worker:
            return Outcome.DUPLICATE
        if within(run, i, step):
            # It may not know what the holder has kept, whose lease decides.
            return Outcome.LATE
        if is_lost_for_good(run, i, step, now, out):
            return Outcome.APPLIED
    run.steps[i] = step
    step.status = RUNNING
    step.worker = message.worker
    step.started = now
    step.deadline = None if message.timeout_ms is None else now + message.timeout_ms
    lease(run, i, step, now, message.lease_ms, out)
    return Outcome.APPLIED


def _call_again(run: Run, i: int, step: Step, message: AttemptStarted, now: int, out: Effects) -> Outcome:
    """Request an attempt again, with all that it has kept, whose command was delivered twice."""
    if Call(message.passes, message.returns, message.losses) != call_of(step):
        return Outcome.LATE
    run.steps[i] = step
    detail = step.detailed()
    detail.returns += 1
    detail.is_suspect = True
    if has_stopped(step):
        work_off(run, [stopped(i, step, Failure("cancelled", "its worker was lost"))], [], now, out)
    elif step.status != RUNNING or not is_lost_for_good(run, i, step, now, out):
        clear_due(run, i, step, out)
        ask_again(run, i, step, out)
    return Outcome.APPLIED


def heartbeat(run: Run, message: AttemptHeartbeat, now: int, out: Effects) -> Outcome:
    """Extend the lease of a running attempt; repeat a cancellation missed by the worker."""
    i, step = open_step(run, message)
    is_wanted = isinstance(step, Step) and (step.detail is None or not step.detail.is_stopping)
    if i >= 0 and not is_wanted:
        cancel_moved(run, i, message, out, must_answer=isinstance(step, Step))
    if not isinstance(step, Step):
        return step
    if step.status != RUNNING or step.worker != message.worker:
        return Outcome.LATE
    if message.percent is not None or message.label is not None:
        detail = step.detailed()
        detail.percent, detail.label = message.percent, message.label
    lease(run, i, step, now, message.lease_ms, out)
    return Outcome.APPLIED


HANDLERS: Handlers = {AttemptStarted: started, AttemptHeartbeat: heartbeat}
