"""What a waiting run is told: a signal, an event by way of its channel, or that a time has come."""

from __future__ import annotations

from stream_durable.core.definition.nodes import EventNode, SignalNode, SleepNode
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.ids import channel_id
from stream_durable.core.messages import EventDelivered, RunTimerFired, SignalRun, WaitClosed
from stream_durable.core.run import attempts
from stream_durable.core.run.advance import complete, event_key, fail, signal_output
from stream_durable.core.run.start import run_out_of_time
from stream_durable.core.run.state import Mail, Run, Step
from stream_durable.core.status import READY, RETRYING, RUNNING, WAITING, Outcome

#: Signals kept for waits that have not begun; one more is refused, and kept as evidence.
KEPT_MAX = 1_000
KEPT_BYTES_MAX = 4_000_000
#: Ids remembered so that a repeat of a signal does nothing.
SEEN_MAX = 1_000


def signal(run: Run, message: SignalRun, now: int, out: Effects) -> Outcome:
    """Hand a signal to the first wait that takes it, or keep it for one that will."""
    if run.has_ended:
        return Outcome.LATE
    mail = run.mail
    if mail is None:
        mail = run.mail = Mail()
    if message.id in mail.seen:
        return Outcome.DUPLICATE
    data = bytes(message.data)
    i = _waiting_for(run, message.signal)
    if i is None and not _has_room(mail, data):
        raise RejectedError("mail_full", f"run {run.id!r} keeps as many signals for later as it may")
    mail.seen[message.id] = None
    if len(mail.seen) > SEEN_MAX:
        del mail.seen[next(iter(mail.seen))]
    if i is None:
        mail.kept.append((message.id, message.signal, data))
        run.payload += len(data)
        return Outcome.APPLIED
    node = run.graph.nodes[i]
    assert type(node) is SignalNode
    complete(run, i, signal_output(node, message.signal, data), now, out)
    return Outcome.APPLIED


def event(run: Run, message: EventDelivered, now: int, out: Effects) -> Outcome:
    """Complete the wait with what came."""
    i = run.graph.index.get(message.wait)
    if i is None:
        raise RejectedError("unknown_wait", f"run {run.id!r} has no wait {message.wait[:128]!r}")
    if type(run.graph.nodes[i]) is not EventNode:
        raise RejectedError("unknown_wait", f"step {message.wait!r} of run {run.id!r} waits for no event")
    step = run.steps.get(i)
    if step is None or step.status != WAITING:
        return Outcome.LATE
    complete(run, i, bytes(message.data), now, out)
    return Outcome.APPLIED


def timer(run: Run, message: RunTimerFired, now: int, out: Effects) -> Outcome:
    """Do what was planned for this moment, unless the plan has changed since."""
    if not message.timer:
        if run.due != message.due:
            return Outcome.LATE
        run_out_of_time(run, now, out)
        return Outcome.APPLIED
    i = run.graph.index.get(message.timer)
    if i is None:
        raise RejectedError("unknown_step", f"run {run.id!r} has no step {message.timer[:128]!r}")
    step = run.steps.get(i)
    if step is None or step.due != message.due:
        return Outcome.LATE
    out.timers["run", run.id, message.timer] = None
    if step.status == RETRYING:
        attempts.retry(run, i, step, out)
    elif step.status == READY:
        step.due = None
        attempts.ask_again(run, i, step, out)
    elif step.status == RUNNING:
        attempts.lease_over(run, i, step, now, out)
    else:
        _wait_over(run, i, step, now, out)
    return Outcome.APPLIED


def _has_room(mail: Mail, data: bytes) -> bool:
    kept = sum(len(one) for _, _, one in mail.kept)
    return len(mail.kept) < KEPT_MAX and kept + len(data) <= KEPT_BYTES_MAX


def _waiting_for(run: Run, name: str) -> int | None:
    """Return the first step, in the order of the definition, that waits for this signal."""
    for i in run.graph.takers.get(name, ()):
        if i in run.waiting:
            return i
    return None


def _wait_over(run: Run, i: int, step: Step, now: int, out: Effects) -> None:
    step.due = None
    node = run.graph.nodes[i]
    if type(node) is SleepNode:
        complete(run, i, b"null", now, out)
        return
    assert isinstance(node, SignalNode | EventNode)
    if type(node) is EventNode:
        channel = channel_id(node.event, event_key(run, node))
        out.messages.append(WaitClosed(key=channel, run=run.id, wait=node.name))
    if node.on_timeout is not None:
        complete(run, i, node.on_timeout.encode(), now, out)
        return
    failure = Failure("timeout", f"nothing came within {node.timeout_ms} ms", retryable=False)
    fail(run, i, step, failure, now, out)
