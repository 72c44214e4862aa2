"""Waits: how each kind begins, times out, is stopped and is asked for again.

Everything specific to a kind of wait is here, so a new kind is added here. Messages ending waits are in
`waits`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import assert_never

from stream_durable.core.definition.nodes import (
    BesideNode,
    ChildNode,
    EventNode,
    InputNode,
    SignalNode,
    SleepNode,
    TokenNode,
    WaitNode,
)
from stream_durable.core.definition.paths import root_of, value_at
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import TAKE
from stream_durable.core.ids import ID_BYTES_MAX, byte_length, channel_id, fits
from stream_durable.core.lifecycle import STEP_WAITING
from stream_durable.core.messages import TakeOpened, WaitClosed, WaitOpened
from stream_durable.core.names import beside_name
from stream_durable.core.run.cause import Cause
from stream_durable.core.run.children import ask_for_child, begin_child, cancel_child
from stream_durable.core.run.from_outside import Sent
from stream_durable.core.run.mail import KeptSignal, Mail
from stream_durable.core.run.outside import begin_token, time_is_over
from stream_durable.core.run.questions import ask, cause_of_question
from stream_durable.core.run.say import say_step, set_due
from stream_durable.core.run.sleeping import begin_sleep, say_moment
from stream_durable.core.run.state import End, Requests, Run, Step
from stream_durable.core.run.values import root_value
from stream_durable.core.status import COMPLETED, FAILED, WAITING


def begin_wait(run: Run, i: int, step: Step, node: WaitNode, now: int, out: Effects, ends: list[End]) -> None:
    """Begin to wait, or end at once where what is waited for is there."""
    step.status = WAITING
    run.waiting.add(i)
    match node:
        case SleepNode():
            begin_sleep(run, i, step, node, now, out, ends)
        case SignalNode():
            _begin_signal(run, i, step, node, now, out, ends)
        case EventNode():
            _begin_event(run, i, step, node, now, out, ends)
        case InputNode():
            ask(run, i, step, node, now, out, ends)
        case TokenNode():
            begin_token(run, i, step, node, now, out, ends)
        case ChildNode():
            begin_child(run, i, step, node, now, out, ends)
        case _:
            assert_never(node)


def wait_over(run: Run, i: int, step: Step, node: WaitNode, out: Effects) -> End | None:
    """Return the end of a wait at a due time, or None to go on."""
    due, step.due = step.due, None
    match node:
        case SleepNode():
            return (i, COMPLETED, b"null", None)
        case SignalNode() | InputNode():
            return _nothing_came(i, node)
        case EventNode():
            _close(run, node, step, out)
            return _nothing_came(i, node)
        case TokenNode():
            return time_is_over(i, step, node, due)
        case ChildNode():
            # The pause between two rounds, or before the next try, is over.
            if step.detail is not None and step.detail.until is not None:
                set_due(run, i, step, step.detail.until, out)
            ask_for_child(run, i, step, node, out)
            return None
        case _:
            assert_never(node)


def stop_wait(run: Run, step: Step, node: WaitNode, out: Effects, *, undoes: bool = False) -> None:
    """Withdraw a wait from the entity about to end the wait; with `undoes`, a child is undone."""
    match node:
        case SleepNode() | SignalNode() | InputNode() | TokenNode():
            return
        case EventNode():
            _close(run, node, step, out)
        case ChildNode():
            reason = f"run {run.id!r}, which started it, needs it no more"
            cancel_child(step, reason, out, compensate=undoes or _is_undone(run))
        case _:
            assert_never(node)


def ask_once_more(run: Run, i: int, step: Step, node: WaitNode, out: Effects) -> None:
    """Repeat the request behind an open wait."""
    match node:
        case SleepNode():
            if step.due is None:
                say_moment(run, step, node, out)
        case SignalNode() | InputNode() | TokenNode():
            return
        case EventNode():
            out.messages.append(_opened(run, node, step, event_key(run, node)))
        case ChildNode():
            if step.detail is not None and step.detail.child:
                ask_for_child(run, i, step, node, out)
        case _:
            assert_never(node)


def cause_of_wait(run: Run, step: Step, node: WaitNode) -> Cause:
    """Return the cause of a wait."""
    match node:
        case SleepNode():
            return Cause("time", due=step.due)
        case SignalNode():
            return Cause("signal", node.named, due=step.due)
        case EventNode():
            return Cause("event", node.event, _shown_key(run, node), step.due)
        case InputNode():
            return cause_of_question(step)
        case TokenNode():
            return Cause("token", node.name, due=step.due)
        case ChildNode():
            child = "" if step.detail is None else step.detail.child
            return Cause("child", child) if child else Cause("next child", node.workflow, due=step.due)
        case _:
            assert_never(node)


def signal_output(node: SignalNode, name: str, data: bytes) -> bytes:
    """Return what a wait for one signal answers: the data, with the name where several could come."""
    if len(node.signals) == 1:
        return data
    return b'{"signal":"%b","data":%b}' % (name.encode(), data)


def all_signals_output(node: SignalNode, found: Mapping[str, KeptSignal]) -> bytes:
    """Return what a wait for all of several signals answers: the data of each, by name."""
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), found[name].data) for name in node.signals)


def event_key(run: Run, node: EventNode | BesideNode) -> str:
    """Read the correlation key of a wait or reaction from the run's input or an output.

    After a change of the input a begun wait keeps its key.
    """
    if run.requests is not None and (kept := run.requests.keys.get(_key_name(node))) is not None:
        return kept
    try:
        if node.key.startswith("="):
            # Of a wait inside a step, whose function has the key itself.
            value = value_at("key", node.key[1:].encode())
        else:
            value = value_at(node.key, root_value(run, root_of(node.key)))
    except RejectedError as error:
        if error.code == "bad_json":
            raise RejectedError("bad_key", f"no key can be read at {node.key!r}: {error}") from error
        raise
    if isinstance(value, bool) or not isinstance(value, str | int):
        kind = type(value).__name__
        raise RejectedError("bad_key", f"{node.key!r} holds a {kind}; a key is a text or a whole number")
    key = str(value)
    if not key or not fits(channel_id(node.event, key)):
        text = f"with the event's name a key has 1 to {ID_BYTES_MAX - 1} bytes of UTF-8"
        raise RejectedError("bad_key", f"the key at {node.key!r} has {byte_length(key)} bytes: {text}")
    if "\x00" in key:
        raise RejectedError("bad_key", f"the key at {node.key!r} holds a NUL character")
    return key


def open_keys(run: Run) -> dict[str, tuple[EventNode | BesideNode, str]]:
    """Return the begun event waits and reactions, with their keys, by name."""
    found: dict[str, tuple[EventNode | BesideNode, str]] = {}
    for i in sorted(run.waiting):
        if type(node := run.graph.nodes[i]) is EventNode:
            found[_key_name(node)] = (node, _shown_key(run, node))
    for beside in run.graph.beside.values() if run.requests is not None and run.requests.reads else ():
        if beside.on == "event":
            found[_key_name(beside)] = (beside, _shown_key(run, beside))
    return found


def keep_keys(run: Run, before: Mapping[str, tuple[EventNode | BesideNode, str]]) -> None:
    """Keep the keys of begun waits and reactions after a change of the input."""
    for name, (node, key) in before.items():
        if _shown_key(run, node) != key:
            run.requests = run.requests or Requests()
            run.requests.keys[name] = key


def forget_key(run: Run, node: EventNode | BesideNode) -> None:
    """Read the key of a wait or reaction again at the next beginning."""
    if run.requests is not None:
        run.requests.keys.pop(_key_name(node), None)


def _key_name(node: EventNode | BesideNode) -> str:
    return beside_name(node.name) if isinstance(node, BesideNode) else node.name


def _begin_signal(
    run: Run, i: int, step: Step, node: SignalNode, now: int, out: Effects, ends: list[End]
) -> None:
    if run.mail is not None and (output := _kept_signals(run, run.mail, step, node, now)) is not None:
        ends.append((i, COMPLETED, output, None))
        return
    if node.timeout_ms is not None:
        set_due(run, i, step, now + node.timeout_ms, out)
    say_step(run, STEP_WAITING, i, step, now, out)


def _kept_signals(run: Run, mail: Mail, step: Step, node: SignalNode, now: int) -> bytes | None:
    """Take from the mail what a wait needs; None: it is not all there."""
    run.payload -= mail.expire(now)
    if node.all_of:
        found = take_all(run, mail, node.signals, now)
        if found is None:
            return None
        note_signals(step, found.values())
        return all_signals_output(node, found)
    taken = mail.take(node.signals, now)
    if taken is None:
        return None
    run.payload -= len(taken.data)
    note_signals(step, (taken,))
    return signal_output(node, taken.name, taken.data)


def take_all(run: Run, mail: Mail, signals: Collection[str], now: int) -> dict[str, KeptSignal] | None:
    """Take the oldest of each of these signals; None: not all are there, and none is taken."""
    found = mail.take_all(signals, now)
    if found is not None:
        run.payload -= sum(len(kept.data) for kept in found.values())
    return found


def note_signals(step: Step, signals: Iterable[KeptSignal]) -> None:
    """Keep the senders and times of the signals at the end of a wait."""
    note_sent(step, tuple(Sent(kept.name, kept.id, kept.at, kept.by) for kept in signals))


def note_sent(step: Step, sent: tuple[Sent, ...]) -> None:
    """Keep sender and time with the end of a wait; nothing for an anonymous message of the same moment."""
    started = step.started or 0
    if any(one.by or 0 < one.at < started for one in sent):
        step.detailed().sent = sent


def _begin_event(
    run: Run, i: int, step: Step, node: EventNode, now: int, out: Effects, ends: list[End]
) -> None:
    forget_key(run, node)
    try:
        key = event_key(run, node)
    except RejectedError as error:
        ends.append((i, FAILED, None, Failure(error.code, str(error), retryable=False)))
        return
    if node.timeout_ms is not None:
        set_due(run, i, step, now + node.timeout_ms, out)
    say_step(run, STEP_WAITING, i, step, now, out)
    out.messages.append(_opened(run, node, step, key, now))


def _opened(run: Run, node: EventNode, step: Step, key: str, since: int = 0) -> WaitOpened:
    """Return the message that opens a wait on its channel."""
    channel, attempt = channel_id(node.event, key), step.attempt
    if node.take:
        return TakeOpened(key=channel, run=run.id, wait=node.name, attempt=attempt, since=since, format=TAKE)
    return WaitOpened(key=channel, run=run.id, wait=node.name, attempt=attempt, since=since)


def _nothing_came(i: int, node: SignalNode | EventNode | InputNode) -> End:
    if node.on_timeout is not None:
        return (i, COMPLETED, node.on_timeout.encode(), None)
    what = "nobody answered" if isinstance(node, InputNode) else "nothing came"
    failure = Failure("timeout", f"{what} within {node.timeout_ms} ms", retryable=False)
    return (i, FAILED, None, failure)


def _close(run: Run, node: EventNode, step: Step, out: Effects) -> None:
    """Close the step's wait on the channel."""
    try:
        key = event_key(run, node)
    except RejectedError:
        # Where no key can be read, no wait was opened.
        return
    closed = WaitClosed(key=channel_id(node.event, key), run=run.id, wait=node.name, attempt=step.attempt)
    out.messages.append(closed)


def _is_undone(run: Run) -> bool:
    """Return whether the run is being undone."""
    request = run.cancel_request
    return run.failure is not None and (request is None or request.compensate)


def _shown_key(run: Run, node: EventNode | BesideNode) -> str:
    try:
        return event_key(run, node)
    except RejectedError:
        return ""  # its path led somewhere when the wait began, and no longer does
