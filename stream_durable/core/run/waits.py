"""Messages to a waiting run: a signal, an event from a channel, a due time."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from stream_durable.core.definition.nodes import (
    BesideNode,
    ChildNode,
    EventNode,
    SignalNode,
    SleepNode,
    WaitNode,
)
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import TAKE
from stream_durable.core.messages import (
    ChildEnded,
    EventDelivered,
    EventOffered,
    EventTaken,
    RunTimerFired,
    SignalRun,
    SleepUntil,
    StartWithSignal,
    WaitChecked,
    WaitClosed,
)
from stream_durable.core.names import is_due, is_inner, is_made
from stream_durable.core.run import attempts, beside, children, due
from stream_durable.core.run.advance import complete, fail, work_off
from stream_durable.core.run.beginning import enter
from stream_durable.core.run.ending import may_restart
from stream_durable.core.run.following import forward
from stream_durable.core.run.from_outside import Beside, Sent
from stream_durable.core.run.mail import KeptSignal, Mail
from stream_durable.core.run.say import set_due
from stream_durable.core.run.start import run_out_of_time, start
from stream_durable.core.run.state import Run, Step
from stream_durable.core.run.waiting import (
    all_signals_output,
    note_sent,
    note_signals,
    signal_output,
    take_all,
    wait_over,
)
from stream_durable.core.status import COMPLETED, MERGED, PENDING, READY, RETRYING, RUNNING, WAITING, Outcome

#: Signals kept for waits that have not begun; one more is refused, and kept as evidence.
KEPT_MAX = 1_000
KEPT_BYTES_MAX = 4_000_000
#: Signals kept besides in a run that reacts to some: they wait for their turn.
LINE_MAX = 10_000


def signal(run: Run, message: SignalRun, now: int, out: Effects) -> Outcome:
    """Deliver a signal to the first matching wait, or keep the signal for a later wait."""
    if run.status == MERGED:
        forward(run, message, out)
        return Outcome.APPLIED
    if run.has_ended:
        return Outcome.LATE
    mail = run.mail or Mail(has_reactions=bool(run.graph.reactions))
    if message.id in mail.seen:
        return Outcome.DUPLICATE
    data = bytes(message.data)
    reaction = run.graph.reactions.get(message.signal)
    if reaction is not None:
        return _react(run, mail, reaction, message, data, now, out)
    came = _kept_of(message, data, now)
    ended = _ended_by(run, mail, came)
    if ended is None:
        _check_room(run, mail, data, now)
    run.mail = mail
    run.payload -= mail.expire(now)
    mail.add(message.id, came if ended is None else None)
    if ended is None:
        run.payload += len(data)
        return Outcome.APPLIED
    i, output = ended
    complete(run, i, output, now, out)
    return Outcome.APPLIED


def _kept_of(message: SignalRun, data: bytes, now: int) -> KeptSignal:
    expires = None if message.ttl_ms is None else now + message.ttl_ms
    return KeptSignal(message.id, message.signal, data, now, message.by, expires)


def start_with_signal(run: Run, message: StartWithSignal, now: int, out: Effects) -> Outcome:
    """Begin the run unless it exists, and deliver the signal."""
    if run.graph.name != message.workflow:
        text = f"run {run.id!r} is one of workflow {run.graph.name!r}, not of {message.workflow[:128]!r}"
        raise RejectedError("different_workflow", text)
    is_new = not run.created
    if is_new:
        start(run, message, now, out)
    sent = SignalRun(
        key=message.key, id=message.id, signal=message.signal, data=message.data, by=message.by,
        ttl_ms=message.ttl_ms,
    )  # fmt: skip
    outcome = signal(run, sent, now, out)
    return Outcome.APPLIED if is_new else outcome


def event(run: Run, message: EventDelivered, now: int, out: Effects) -> Outcome:
    """Complete a wait with an event."""
    i = run.graph.index.get(message.wait)
    if i is None:
        if is_inner(message.wait):
            return Outcome.LATE
        raise RejectedError("unknown_wait", f"run {run.id!r} has no wait {message.wait[:128]!r}")
    node = run.graph.nodes[i]
    if type(node) is not EventNode:
        raise RejectedError("unknown_wait", f"step {message.wait!r} of run {run.id!r} waits for no event")
    step = run.steps.get(i)
    if step is None or not _waits_still(step, message.attempt):
        return Outcome.LATE
    note_sent(step, (Sent(node.event, message.id, message.at, message.by),))
    complete(run, i, bytes(message.data), now, out)
    return Outcome.APPLIED


def offered(run: Run, message: EventOffered, now: int, out: Effects) -> Outcome:
    """Complete a wait with an event that nobody else takes, and tell the channel whether it did.

    An offer that comes again gets the same answer: the first one may be lost with the channel's log.
    """
    outcome = event(run, message, now, out)
    channel, wait, attempt = message.channel, message.wait, message.attempt
    step = run.steps.get(run.graph.index.get(wait, -1))
    if outcome is Outcome.APPLIED and step is not None:
        step.detailed().taken = message.id
    taken = _taken_by(step, attempt)
    out.messages.append(
        EventTaken(key=channel, id=message.id, run=run.id, wait=wait, attempt=attempt, format=TAKE)
        if taken == message.id
        else WaitClosed(key=channel, run=run.id, wait=wait, attempt=attempt)
    )
    return outcome


def _taken_by(step: Step | None, attempt: int) -> str:
    """Return the event that an attempt of a wait has taken, or nothing."""
    if step is None or step.detail is None:
        return ""
    detail = step.detail
    return detail.taken if step.attempt == attempt else dict(detail.taken_before).get(attempt, "")


def sleep(run: Run, message: SleepUntil, now: int, out: Effects) -> Outcome:
    """Let a sleep end at the moment that was computed, or fail where there is none."""
    i = run.graph.index.get(message.step)
    if i is None and is_inner(message.step):
        return Outcome.LATE
    if i is None or type(run.graph.nodes[i]) is not SleepNode:
        raise RejectedError("unknown_step", f"no step {message.step[:128]!r} of run {run.id!r} sleeps")
    step = run.steps.get(i)
    if step is None or not _waits_still(step, message.attempt):
        return Outcome.LATE
    if step.due is not None:
        return Outcome.DUPLICATE
    run.touched[i] = None
    if message.at is None:
        fail(run, i, message.failure or Failure("bad_moment"), now, out)
    elif message.at <= now:
        complete(run, i, b"null", now, out)
    else:
        set_due(run, i, step, message.at, out)
    return Outcome.APPLIED


def check(run: Run, message: WaitChecked, now: int, out: Effects) -> Outcome:
    """Have a channel close a finished wait."""
    i = run.graph.index.get(message.wait)
    step = None if i is None else run.steps.get(i)
    if _waits_still(step, message.attempt):
        return Outcome.DUPLICATE
    closed = WaitClosed(key=message.channel, run=run.id, wait=message.wait, attempt=message.attempt)
    out.messages.append(closed)
    return Outcome.LATE


def _waits_still(step: Step | None, attempt: int) -> bool:
    return step is not None and step.status == WAITING and attempt in (0, step.attempt)


def child(run: Run, message: ChildEnded, now: int, out: Effects) -> Outcome:
    """Take over a child's result, or start the next child."""
    i = run.graph.index.get(message.step)
    if i is None and is_inner(message.step):
        return Outcome.LATE
    if i is None or type(run.graph.nodes[i]) is not ChildNode:
        raise RejectedError("unknown_step", f"no step {message.step[:128]!r} of run {run.id!r} has children")
    step = run.steps.get(i)
    if step is None or step.status != WAITING or step.detail is None or step.detail.child != message.child:
        return Outcome.LATE
    node = run.graph.nodes[i]
    assert isinstance(node, ChildNode)
    if message.status != COMPLETED:
        _child_failed(run, i, step, node, message, now, out)
        return Outcome.APPLIED
    output = bytes(message.output)
    try:
        following = children.next_input(run, node, i, output)
    except RejectedError as error:
        fail(run, i, Failure(error.code, str(error), retryable=False), now, out)
        return Outcome.APPLIED
    if following is None:
        complete(run, i, output, now, out)
    elif step.detail.round >= node.at_most:
        text = f"the child has run {node.at_most} times, and {node.until!r} is still not so"
        fail(run, i, Failure("too_many_rounds", text, retryable=False), now, out)
    else:
        step.detail.round += 1
        step.detail.input = Raw(following)
        _ask_for_child(run, i, step, node, node.every_ms, now, out)
    return Outcome.APPLIED


def _child_failed(
    run: Run, i: int, step: Step, node: ChildNode, message: ChildEnded, now: int, out: Effects
) -> None:
    given = message.failure or Failure(message.status)
    failure = Failure(
        given.code, f"run {message.child!r}: {given.message}", retryable=given.retryable,
        details={"child": message.child, "status": message.status, "step": given.step,
                 "details": given.details},
    )  # fmt: skip
    detail = step.detailed()
    number = step.attempt - detail.first + 1
    if not node.retry.allows(failure.code, number, retryable=True):
        fail(run, i, failure, now, out)
        return
    step.attempt += 1
    step.failure = failure
    delay = node.retry.delay_ms(number, run.id, node.name)
    _ask_for_child(run, i, step, node, delay, now, out)


def _ask_for_child(
    run: Run, i: int, step: Step, node: ChildNode, delay_ms: int, now: int, out: Effects
) -> None:
    """Start the next child after a time; reports about the previous child no longer count."""
    run.touched[i] = None
    detail = step.detailed()
    if delay_ms:
        detail.child = ""
        set_due(run, i, step, now + delay_ms, out)
    else:
        children.ask_for_child(run, i, step, node, out)


def timer(run: Run, message: RunTimerFired, now: int, out: Effects) -> Outcome:
    """Carry out the plan for this moment, unless changed since."""
    if not message.timer:
        if run.due != message.due or out.plan_again(("run", run.id, ""), message.due, now):
            return Outcome.LATE
        if run.status == PENDING:
            enter(run, now, out)
        else:
            run_out_of_time(run, now, out)
        return Outcome.APPLIED
    if is_due(message.timer):
        return due.fired(run, message, now, out)
    i = run.graph.index.get(message.timer)
    if i is None:
        if is_made(message.timer):
            return Outcome.LATE
        raise RejectedError("unknown_step", f"run {run.id!r} has no step {message.timer[:128]!r}")
    step = run.steps.get(i)
    if step is None or step.due != message.due:
        return Outcome.LATE
    if out.plan_again(("run", run.id, message.timer), message.due, now):
        return Outcome.LATE
    out.timers["run", run.id, message.timer] = None
    if not attempts.out_of_time(run, i, step, now, out):
        _time_has_come(run, i, step, now, out)
    return Outcome.APPLIED


def _time_has_come(run: Run, i: int, step: Step, now: int, out: Effects) -> None:
    """Carry out a step's plan for this moment."""
    is_stopping = step.detail is not None and step.detail.is_stopping
    if step.status == RETRYING:
        attempts.retry(run, i, step, out)
    elif step.status == RUNNING or (step.status == READY and is_stopping):
        attempts.lease_over(run, i, step, now, out)
    elif step.status == READY:
        step.due = None
        if not attempts.give_up(run, i, now, out):
            attempts.call_again(run, i, step, out)
    else:
        _wait_over(run, i, step, now, out)


def _react(
    run: Run, mail: Mail, node: BesideNode, message: SignalRun, data: bytes, now: int, out: Effects
) -> Outcome:
    """Call a reaction, or keep the signal: for its turn, or for the next try of the graph."""
    if run.is_ending and (run.cancel_request is not None or not may_restart(run)):
        return Outcome.LATE
    is_kept = run.is_ending or beside.is_busy(run, node, now) or run.is_paused or run.status == PENDING
    if is_kept:
        _check_room(run, mail, data, now)
        run.payload += len(data)
    elif (outcome := beside.accept(run, node, _call(message, data, now), now, out)) is not Outcome.APPLIED:
        return outcome
    run.mail = mail
    run.payload -= mail.expire(now)
    mail.add(message.id, _kept_of(message, data, now) if is_kept else None)
    return Outcome.APPLIED


def _call(message: SignalRun, data: bytes, now: int) -> Beside:
    return Beside(message.id, 0, now, Raw(data), by=message.by)


def _check_room(run: Run, mail: Mail, data: bytes, now: int) -> None:
    most = KEPT_MAX + (LINE_MAX if run.graph.reactions else 0)
    count, size = mail.room(now)
    if count >= most or size + len(data) > KEPT_BYTES_MAX:
        raise RejectedError("mail_full", f"run {run.id!r} keeps as many signals for later as it may")


def _ended_by(run: Run, mail: Mail, came: KeptSignal) -> tuple[int, bytes] | None:
    """Return the first wait, in order of definition, that this signal ends, and its output."""
    name = came.name
    takers: Sequence[int] = run.graph.takers.get(name, ())
    if run.graph.beside and len(takers) > 1:
        takers = beside.in_order(run, takers)
    for i in takers:
        if i not in run.waiting:
            continue
        node = run.graph.nodes[i]
        assert type(node) is SignalNode
        if not node.all_of:
            note_signals(run.steps[i], (came,))
            return i, signal_output(node, name, came.data)
        others = take_all(run, mail, [other for other in node.signals if other != name], came.at)
        if others is not None:
            note_signals(run.steps[i], (*others.values(), came))
            return i, all_signals_output(node, {**others, name: came})
    return None


def _wait_over(run: Run, i: int, step: Step, now: int, out: Effects) -> None:
    node = run.graph.nodes[i]
    assert isinstance(node, WaitNode)
    end = wait_over(run, i, step, node, out)
    if end is not None:
        work_off(run, [end], [], now, out)


HANDLERS: Handlers = {
    ChildEnded: child,
    SignalRun: signal,
    StartWithSignal: start_with_signal,
    EventDelivered: event,
    EventOffered: offered,
    SleepUntil: sleep,
    WaitChecked: check,
    RunTimerFired: timer,
}
