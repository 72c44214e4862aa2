"""Workers' messages: an attempt started, still runs, ended with or without a value."""

from __future__ import annotations

from typing import Final

import msgspec

from stream_durable.core.definition.nodes import BranchNode, ChildNode, StepNode
from stream_durable.core.definition.paths import value_at
from stream_durable.core.effects import AttemptNote, Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import STEP_RETRYING
from stream_durable.core.messages import (
    AttemptCancels,
    AttemptCompleted,
    AttemptEnd,
    AttemptExpanded,
    AttemptFailed,
    AttemptFinished,
    AttemptJumped,
    AttemptMessage,
    AttemptReturned,
    AttemptSkipped,
    Call,
)
from stream_durable.core.names import is_made
from stream_durable.core.run import context, groups, hooks, inside
from stream_durable.core.run.advance import complete, work_off
from stream_durable.core.run.asking import ask_first, dispatch
from stream_durable.core.run.begin import hold
from stream_durable.core.run.ending import end_call, stop_step
from stream_durable.core.run.gating import leave_gate, leave_place, leave_turn, note_spent, queue_gate
from stream_durable.core.run.say import clear_due, say_step, set_due
from stream_durable.core.run.state import End, Run, Step
from stream_durable.core.status import (
    CANCELLED,
    COMPENSATED,
    COMPLETED,
    FAILED,
    HELD,
    PENDING,
    READY,
    RETRYING,
    RUNNING,
    SKIPPED,
    Outcome,
)

#: How often the worker of one attempt may be lost before that counts as a failure of the attempt.
LOSSES_MAX = 3

#: The failure of an attempt given back by a worker whose code lacks the function.
NOT_CARRIED: Final = "not_carried"

#: The status of a step when this type of message is a repeat.
_SAID: dict[type[AttemptMessage], tuple[str, ...]] = {
    AttemptCompleted: (COMPLETED, COMPENSATED),
    AttemptFailed: (RETRYING, FAILED, HELD, SKIPPED),
    AttemptSkipped: (SKIPPED,),
    AttemptJumped: (COMPLETED, COMPENSATED),
    AttemptExpanded: (COMPLETED, FAILED, HELD, COMPENSATED),
    AttemptFinished: (COMPLETED,),
    AttemptCancels: (COMPLETED,),
}


def completed(run: Run, message: AttemptCompleted, now: int, out: Effects) -> Outcome:
    """Take over the value of an attempt, if the attempt is still wanted."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    output = bytes(message.output)
    failure = take(run, i, step, message, out, output=output)
    if failure is not None:
        work_off(run, [(i, FAILED, None, failure)], [], now, out)
    elif type(run.graph.nodes[i]) is BranchNode:
        _selected(run, i, step, output, now, out)
    else:
        complete(run, i, output, now, out)
    return Outcome.APPLIED


def failed(run: Run, message: AttemptFailed, now: int, out: Effects) -> Outcome:
    """Plan the next attempt as the policy says, or fail the step."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    _note(run, i, step, message, FAILED, message.failure, out)
    if has_stopped(step):
        work_off(run, [stopped(i, step, message.failure)], [], now, out)
    else:
        fail_attempt(run, i, step, message.failure, now, out, delay_ms=message.delay_ms)
    return Outcome.APPLIED


def returned(run: Run, message: AttemptReturned, now: int, out: Effects) -> Outcome:
    """Ask for the same attempt again, at once or after the time the worker named."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    if message.returns != (0 if step.detail is None else step.detail.returns):
        return Outcome.DUPLICATE
    if step.status == RUNNING and step.worker != message.worker:
        return Outcome.LATE
    detail = step.detailed()
    detail.returns += 1
    if detail.inside is not None:
        detail.inside.keeper = ""
    failure = take(run, i, step, message, out, is_end=False)
    if failure is not None:
        leave_gate(run, i, step, out)
        work_off(run, [(i, FAILED, None, failure)], [], now, out)
    elif has_stopped(step):
        work_off(run, [stopped(i, step, Failure("cancelled", message.reason))], [], now, out)
    elif give_up(run, i, now, out):
        return Outcome.APPLIED
    elif message.delay_ms:
        if not message.is_not_carried:
            leave_turn(run, i, step, out)
        step.status = READY
        step.deadline = None
        step.worker = message.worker
        step.failure = Failure(NOT_CARRIED if message.is_not_carried else "returned", message.reason)
        run.touched[i] = None
        set_due(run, i, step, now + message.delay_ms, out)
    else:
        clear_due(run, i, step, out)
        ask_again(run, i, step, out)
    return Outcome.APPLIED


def ask_again(run: Run, i: int, step: Step, out: Effects, *, has_place: bool = True) -> None:
    """Ask for the step's current attempt once more; without a place, ask the gates first."""
    step.status = READY
    step.deadline = None
    run.touched[i] = None
    if step.detail is not None:
        if step.detail.inside is not None:
            step.detail.inside.keeper = ""
        if step.detail.until is not None:
            set_due(run, i, step, step.detail.until, out)
    node = run.graph.work[i]
    assert node is not None
    if has_place or not (node.is_gated or queue_gate(run, node) is not None):
        dispatch(run, i, step.attempt, out)
    else:
        ask_first(run, i, step, node, out)


def retry(run: Run, i: int, step: Step, out: Effects) -> None:
    """Start the planned attempt."""
    inside.drop_failed(run, i, step)
    step.due = None
    step.attempt += 1
    if step.detail is not None:
        step.detail.returns = step.detail.snoozes = 0
        step.detail.is_suspect = False
    step.started = step.finished = step.worker = None
    call_again(run, i, step, out)


def call_again(run: Run, i: int, step: Step, out: Effects) -> None:
    """Ask for a call whose time has come, gates first; hold it back while the run is paused."""
    if run.begins_nothing and not run.graph.is_helper(i):
        run.active -= 1
        groups.give_up_place(run, i)
        hold(run, i, "paused")
        if step.detail is not None and step.detail.until is not None:
            set_due(run, i, step, step.detail.until, out)
    else:
        ask_again(run, i, step, out, has_place=False)


def out_of_time(run: Run, i: int, step: Step, now: int, out: Effects) -> bool:
    """End a step after its total time, as failed or as `on_timeout` demands; False: there is time left."""
    until = None if step.detail is None else step.detail.until
    if until is None or max(now, step.due or 0) < until:
        return False
    if has_stopped(step):
        # Nobody waits for its success any more: it ends as it was asked to.
        work_off(run, [stopped(i, step, Failure("cancelled", retryable=False))], [], now, out)
        return True
    node = run.graph.nodes[i]
    limit = getattr(node, "total_ms", None) or getattr(node, "timeout_ms", None)
    given = node.on_timeout if type(node) is ChildNode else None
    # A child out of its time has failed, so what it did is undone, as after a failure of its own.
    stop_step(run, i, step, out, undoes=given is None)
    if given is not None:
        work_off(run, [(i, COMPLETED, given.encode(), None)], [], now, out)
        return True
    failure = Failure("timeout", f"the step did not end within {limit} ms in all", retryable=False)
    work_off(run, [(i, FAILED, None, failure)], [], now, out)
    return True


def lease_over(run: Run, i: int, step: Step, now: int, out: Effects) -> None:
    """Handle an attempt out of time, or with a silent worker."""
    # Within the clocks' difference, the due time has come.
    moment = max(now, step.due or 0)
    step.due = None
    if has_stopped(step):
        _, status, _, why = stopped(i, step, Failure("cancelled", retryable=False))
        why = msgspec.structs.replace(why, message="the attempt did not answer the request to stop")
        work_off(run, [(i, status, None, why)], [], now, out)
        return
    if step.deadline is not None and moment >= step.deadline:
        failure = Failure("timeout", "the attempt ran out of time")
        fail_attempt(run, i, step, failure, now, out)
        return
    if not give_up(run, i, now, out) and not is_lost_for_good(run, i, step, now, out):
        ask_again(run, i, step, out)


def give_up(run: Run, i: int, now: int, out: Effects) -> bool:
    """End a call beside the graph without another attempt, if the run is ending; return whether it is."""
    if not run.is_ending or not run.graph.is_beside(i):
        return False
    ends: list[End] = []
    end_call(run, i, out, ends)
    work_off(run, ends, [], now, out)
    return True


def is_lost_for_good(run: Run, i: int, step: Step, now: int, out: Effects) -> bool:
    """Count a worker lost during an attempt; return whether the attempt has failed by this."""
    if step.detail is not None and step.detail.is_stopping:
        return False
    step.losses += 1
    run.touched[i] = None
    if step.losses <= LOSSES_MAX:
        return False
    lost = Failure("worker_lost", f"the worker {step.worker!r} fell silent; so did {LOSSES_MAX} before it")
    fail_attempt(run, i, step, lost, now, out)
    return True


def fail_attempt(
    run: Run, i: int, step: Step, failure: Failure, now: int, out: Effects, *, delay_ms: int | None = None
) -> None:
    """Plan the next attempt as the policy says, or fail the step."""
    node = run.graph.work[i]
    assert node is not None
    leave_gate(run, i, step, out, is_ok=False, since=now)
    leave_place(run, i, step, out)
    policy = node.retry
    first = 1 if step.detail is None else step.detail.first
    number = step.attempt - first + 1
    if run.graph.hooks:
        step.failure = failure
        hooks.call_step_hook(run, "on_attempt_fail", i, step, now, out)
    if not policy.allows(failure.code, number, retryable=failure.retryable):
        work_off(run, [(i, FAILED, None, failure)], [], now, out)
        return
    step.status = RETRYING
    step.failure = failure
    if give_up(run, i, now, out):
        return
    step.deadline = None
    step.losses = 0
    run.touched[i] = None
    say_step(run, STEP_RETRYING, i, step, now, out)
    delay = policy.delay_ms(number, run.id, run.graph.names[i]) if delay_ms is None else delay_ms
    set_due(run, i, step, now + delay, out)


def _selected(run: Run, i: int, step: Step, output: bytes, now: int, out: Effects) -> None:
    """Continue with the clause chosen by a selector."""
    node = run.graph.nodes[i]
    assert type(node) is BranchNode
    try:
        clause = value_at(node.name, output)
    except RejectedError as error:
        clause = str(error)
    ready: list[int] = []
    ends: list[End] = []
    if clause is not None and not (type(clause) is int and 0 <= clause < len(node.cases)):
        text = f"the branch has {len(node.cases)} clauses, and {str(clause)[:100]!r} was chosen"
        ends.append((i, FAILED, None, Failure("bad_clause", text, retryable=False)))
    else:
        run.active -= 1
        clear_due(run, i, step, out)
        run.touched[i] = None
        groups.pick(run, i, step, clause, ready, ends)
    work_off(run, ends, ready, now, out)


def has_stopped(step: Step) -> bool:
    """Clear the pending stop of a step; return whether there was one."""
    if step.detail is None or not step.detail.is_stopping:
        return False
    step.detail.is_stopping = False
    step.detail.has_stopped = True
    return True


def stopped(i: int, step: Step, said: Failure) -> tuple[int, str, None, Failure]:
    """Return the end of a step under a stop request: the requested end, whatever the attempt reported."""
    is_skipped = step.detail is not None and step.detail.is_skipped
    return (i, SKIPPED if is_skipped else CANCELLED, None, step.failure or said)


def take(
    run: Run, i: int, step: Step, message: AttemptEnd, out: Effects, *, is_end: bool = True,
    output: bytes | None = None,
) -> Failure | None:  # fmt: skip
    """Store worker, times and logs of an attempt and apply its changes; return a failure if impossible."""
    run.steps[i] = step
    if message.spent is not None:
        note_spent(step, message.spent)
    if is_end:
        step.started, step.finished, step.worker = message.started, message.finished, message.worker
        if step.detail is not None:
            leave_place(run, i, step, out)
        if type(node := run.graph.nodes[i]) is StepNode and node.breaker is not None:
            leave_gate(run, i, step, out, is_ok=True)
    if message.logs:
        out.attempts[run.id, run.graph.names[i], step.attempt] = AttemptNote(
            run.partition, COMPLETED if is_end else READY, message.started or None, message.finished or None,
            message.worker, None, message.logs,
        )  # fmt: skip
    if run.graph.definition.keeps_context:
        return context.change(run, message.changes, None if run.graph.is_helper(i) else output)
    return context.change(run, message.changes) if message.changes else None


def _note(
    run: Run, i: int, step: Step, message: AttemptEnd, status: str, failure: Failure, out: Effects
) -> None:
    run.steps[i] = step
    if message.spent is not None:
        note_spent(step, message.spent)
    step.started, step.finished, step.worker = message.started, message.finished, message.worker
    out.attempts[run.id, run.graph.names[i], step.attempt] = AttemptNote(
        run.partition, status, message.started or None, message.finished or None, message.worker, failure,
        message.logs,
    )  # fmt: skip


def lease(run: Run, i: int, step: Step, now: int, lease_ms: int, out: Effects) -> None:
    """Give the worker of an attempt so long until it is given up."""
    due = now + lease_ms
    step.detailed().heard = now
    if step.deadline is not None:
        due = min(due, step.deadline)
    set_due(run, i, step, due, out)
    run.touched[i] = None


def open_step(run: Run, message: AttemptMessage) -> tuple[int, Step | Outcome]:
    """Return the step for a current attempt, otherwise the message's outcome.

    A step known only to the graph is not recorded yet: the message may change nothing.
    """
    i = run.graph.index.get(message.step)
    if i is None:
        if is_made(message.step):
            return -1, Outcome.LATE
        raise RejectedError("unknown_step", f"run {run.id!r} has no step {message.step[:128]!r}")
    step = run.steps.get(i)
    if step is None:
        if run.ended is not None:
            return i, Outcome.LATE
        has_begun = run.status != PENDING and not run.need[i]
        if not has_begun or type(run.graph.nodes[i]) is not StepNode:
            raise RejectedError("not_begun", f"step {message.step!r} of run {run.id!r} has not begun")
        step = Step()
    if step.status in (READY, RUNNING) and i not in run.open:
        is_gated = step.detail is not None and step.detail.held == "gate"
        if step.attempt == message.attempt and not is_gated:
            return i, Outcome.LATE if _is_astray(run, i, step, message) else step
        # At the gate again, for another pass or after a loss, the attempt was requested before.
        is_new = is_gated and inside.call_of(step) == Call()
        if message.attempt > step.attempt - is_new:
            raise RejectedError(
                "unknown_attempt",
                f"attempt {message.attempt} of step {message.step!r} was never requested",
            )
        return i, Outcome.LATE
    said = _SAID.get(type(message), ())
    is_repeat = step.attempt == message.attempt and (step.status in said or i in run.open)
    return i, Outcome.DUPLICATE if is_repeat else Outcome.LATE


def _is_astray(run: Run, i: int, step: Step, message: AttemptMessage) -> bool:
    """Return whether an end is by a call that was replaced: it may follow from values that were not kept."""
    if not isinstance(message, AttemptEnd):
        return False
    is_held = step.status == RUNNING and step.worker == message.worker
    if message.call is not None:
        return not is_held or message.call != inside.call_of(step)
    return bool(inside.within(run, i, step)) and step.status == RUNNING and not is_held


HANDLERS: Handlers = {
    AttemptCompleted: completed,
    AttemptFailed: failed,
    AttemptReturned: returned,
}
