"""Handlers for each message about a message for later."""

from __future__ import annotations

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.later.state import CANCELLED, SENT, Later
from stream_durable.core.messages import CancelLater, LaterTimerFired, SendLater
from stream_durable.core.status import Outcome

_TIMER = ""
#: How long the id is remembered after the message was sent or cancelled: repeats change nothing until then.
REMEMBERED_MS = 86_400_000


def plan(later: Later, message: SendLater, now: int, out: Effects) -> Outcome:
    """Keep a message until its moment, or send it at once if that is over."""
    if later.due is not None:
        return Outcome.DUPLICATE
    if (message.at is None) == (message.after_ms is None):
        raise RejectedError(
            "contradiction", "a message for later names a moment or a time to wait, one of the two"
        )
    later.due = now + (message.after_ms or 0) if message.at is None else message.at
    later.message = message.message
    if later.due <= now:
        _send(later, now, out)
    else:
        _wake_at(later, later.due, out)
    return Outcome.APPLIED


def cancel(later: Later, message: CancelLater, now: int, out: Effects) -> Outcome:
    """Drop a message that was not sent yet."""
    if later.due is None:
        raise RejectedError(
            "unknown_later", f"no message {later.id[:128]!r} is kept for later: see `later list`"
        )
    if later.outcome:
        return Outcome.DUPLICATE if later.outcome == CANCELLED else Outcome.LATE
    _settle(later, CANCELLED, now, out)
    return Outcome.APPLIED


def wake(later: Later, message: LaterTimerFired, now: int, out: Effects) -> Outcome:
    """Send the message, or forget the id of one that was."""
    if message.due != later.timer or out.plan_again(("later", later.id, _TIMER), message.due, now):
        return Outcome.LATE
    if later.is_open:
        _send(later, now, out)
    else:
        later.due = None
        later.outcome = ""
        _wake_at(later, None, out)
    return Outcome.APPLIED


def _send(later: Later, now: int, out: Effects) -> None:
    assert later.message is not None
    out.messages.append(later.message)
    _settle(later, SENT, now, out)


def _settle(later: Later, outcome: str, now: int, out: Effects) -> None:
    later.outcome = outcome
    later.message = None
    _wake_at(later, now + REMEMBERED_MS, out)


def _wake_at(later: Later, moment: int | None, out: Effects) -> None:
    later.timer = moment
    later.is_touched = True
    out.timers["later", later.id, _TIMER] = moment


HANDLERS: Handlers = {
    SendLater: plan,
    CancelLater: cancel,
    LaterTimerFired: wake,
}
