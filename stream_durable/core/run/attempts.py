"""What workers say: an attempt started, still runs, ended with a value or without one."""

from __future__ import annotations

from stream_durable.core.definition.nodes import StepNode
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import STEP_RETRYING
from stream_durable.core.messages import (
    AttemptCompleted,
    AttemptFailed,
    AttemptHeartbeat,
    AttemptMessage,
    AttemptReturned,
    AttemptStarted,
)
from stream_durable.core.run.advance import clear_due, complete, dispatch, fail, say_step, set_due
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import COMPLETED, FAILED, READY, RETRYING, RUNNING, Outcome

#: How often the worker of one attempt may be lost before that counts as a failure of the attempt.
LOSSES_MAX = 3

#: Where a step stands when what this type of message says of its attempt has been said before.
_SAID: dict[type[AttemptMessage], tuple[str, ...]] = {
    AttemptCompleted: (COMPLETED,),
    AttemptFailed: (RETRYING, FAILED),
}


def completed(run: Run, message: AttemptCompleted, now: int, out: Effects) -> Outcome:
    """Take over the value of an attempt, if the attempt is still wanted."""
    i = _index(run, message)
    step = _open_step(run, i, message)
    if not isinstance(step, Step):
        return step
    run.steps[i] = step
    step.started, step.finished, step.worker = message.started, message.finished, message.worker
    complete(run, i, bytes(message.output), now, out)
    return Outcome.APPLIED


def failed(run: Run, message: AttemptFailed, now: int, out: Effects) -> Outcome:
    """Plan the next attempt as the policy says, or fail the step."""
    i = _index(run, message)
    step = _open_step(run, i, message)
    if not isinstance(step, Step):
        return step
    run.steps[i] = step
    step.started, step.finished, step.worker = message.started, message.finished, message.worker
    fail_attempt(run, i, step, message.failure, now, out)
    return Outcome.APPLIED


def started(run: Run, message: AttemptStarted, now: int, out: Effects) -> Outcome:
    """Note who makes a long attempt, and hold a lease for it."""
    i = _index(run, message)
    step = _open_step(run, i, message)
    if not isinstance(step, Step):
        return step
    if step.status == RUNNING and step.worker == message.worker:
        return Outcome.DUPLICATE
    run.steps[i] = step
    step.status = RUNNING
    step.worker = message.worker
    step.started = now
    step.deadline = None if message.timeout_ms is None else now + message.timeout_ms
    _lease(run, i, step, now, message.lease_ms, out)
    return Outcome.APPLIED


def heartbeat(run: Run, message: AttemptHeartbeat, now: int, out: Effects) -> Outcome:
    """Extend the lease of a running attempt."""
    i = _index(run, message)
    step = _open_step(run, i, message)
    if not isinstance(step, Step):
        return step
    if step.status != RUNNING or step.worker != message.worker:
        return Outcome.LATE
    _lease(run, i, step, now, message.lease_ms, out)
    return Outcome.APPLIED


def returned(run: Run, message: AttemptReturned, now: int, out: Effects) -> Outcome:
    """Ask for the same attempt again, at once or after the time the worker named."""
    i = _index(run, message)
    step = _open_step(run, i, message)
    if not isinstance(step, Step):
        return step
    if step.status == RUNNING and step.worker != message.worker:
        return Outcome.LATE
    run.steps[i] = step
    if message.delay_ms:
        step.status = READY
        step.deadline = None
        step.worker = message.worker
        step.failure = Failure("returned", message.reason)
        run.touched[i] = None
        set_due(run, i, step, now + message.delay_ms, out)
    else:
        clear_due(run, i, step, out)
        ask_again(run, i, step, out)
    return Outcome.APPLIED


def ask_again(run: Run, i: int, step: Step, out: Effects) -> None:
    """Ask for the step's current attempt once more."""
    step.status = READY
    step.deadline = None
    run.touched[i] = None
    dispatch(run, i, step.attempt, out)


def retry(run: Run, i: int, step: Step, out: Effects) -> None:
    """Make the attempt that was planned."""
    step.due = None
    step.attempt += 1
    step.started = step.finished = step.worker = None
    ask_again(run, i, step, out)


def lease_over(run: Run, i: int, step: Step, now: int, out: Effects) -> None:
    """Deal with an attempt that ran out of time, or whose worker has fallen silent."""
    # The reconciler's clock may be ahead of the log's: what was due has come.
    moment = max(now, step.due or 0)
    step.due = None
    if step.deadline is not None and moment >= step.deadline:
        failure = Failure("timeout", "the attempt ran out of time")
        fail_attempt(run, i, step, failure, now, out)
        return
    step.losses += 1
    if step.losses <= LOSSES_MAX:
        ask_again(run, i, step, out)
        return
    lost = Failure("worker_lost", f"the worker {step.worker!r} fell silent; so did {LOSSES_MAX} before it")
    fail_attempt(run, i, step, lost, now, out)


def fail_attempt(run: Run, i: int, step: Step, failure: Failure, now: int, out: Effects) -> None:
    """Plan the next attempt as the policy says, or fail the step."""
    node = run.graph.nodes[i]
    assert type(node) is StepNode
    policy = node.retry
    if not policy.allows(failure.code, step.attempt, retryable=failure.retryable):
        fail(run, i, step, failure, now, out)
        return
    step.status = RETRYING
    step.failure = failure
    step.deadline = None
    step.losses = 0
    run.touched[i] = None
    say_step(run, STEP_RETRYING, i, step, now, out)
    set_due(run, i, step, now + policy.delay_ms(step.attempt, run.id, node.name), out)


def _lease(run: Run, i: int, step: Step, now: int, lease_ms: int, out: Effects) -> None:
    due = now + lease_ms
    if step.deadline is not None:
        due = min(due, step.deadline)
    set_due(run, i, step, due, out)
    run.touched[i] = None


def _index(run: Run, message: AttemptMessage) -> int:
    i = run.graph.index.get(message.step)
    if i is None:
        raise RejectedError("unknown_step", f"run {run.id!r} has no step {message.step[:128]!r}")
    return i


def _open_step(run: Run, i: int, message: AttemptMessage) -> Step | Outcome:
    """Return the step if this attempt is the one that is wanted, else what the message is instead.

    A step of which only the graph knew is not written down yet: the message may change nothing.
    """
    step = run.steps.get(i)
    if step is None:
        if run.ended is not None:
            return Outcome.LATE
        if run.need[i] or type(run.graph.nodes[i]) is not StepNode:
            raise RejectedError("not_begun", f"step {message.step!r} of run {run.id!r} has not begun")
        step = Step()
    if step.status in (READY, RUNNING):
        if step.attempt == message.attempt:
            return step
        if message.attempt > step.attempt:
            raise RejectedError(
                "unknown_attempt",
                f"attempt {message.attempt} of step {message.step!r} was never asked for",
            )
        return Outcome.LATE
    is_repeat = step.attempt == message.attempt and step.status in _SAID.get(type(message), ())
    return Outcome.DUPLICATE if is_repeat else Outcome.LATE
