"""Signals and events that are sent later: planned, listed, and cancelled until then."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.client.listing import LIMIT_MAX
from stream_durable.core.errors import RejectedError
from stream_durable.core.later.rows import read_body
from stream_durable.core.messages import Deferrable, EventUnkeyed, Message, SignalRun
from stream_durable.core.moments import moment
from stream_durable.ports import StoredLater
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.wire.events import LATER_START, cancelled_later, deferred


class Planned(NamedTuple):
    """A message for later, or a run that has not begun."""

    #: What `cancel_later` takes.
    id: str
    #: `signal`, `event` or `start`.
    kind: str
    due: datetime
    #: Name of the signal or of the event.
    name: str | None
    #: Id of the run.
    run: str | None
    #: Of an event.
    key: str | None
    data: Any
    #: Who sends it; of a start, and without a sender, empty.
    by: str = ""


class PlannedList(NamedTuple):
    """A page of messages for later, the next one first."""

    messages: list[Planned]
    #: What `after=` takes to go on; None: there are no more.
    following: str | None


def planned(message: Deferrable, at: datetime | None, after: Duration | None) -> Message:
    """Return a message to be sent at once, at a moment or after a time."""
    if at is not None and after is not None:
        raise RejectedError("contradiction", "a message is sent at= a moment or after= a time, not both")
    if at is not None:
        return deferred(message, at=max(0, since_epoch("at", at)))
    return message if after is None else deferred(message, after_ms=milliseconds(after))


async def planned_messages(edge: Edge, limit: int, after: str | None) -> PlannedList:
    """Return a page of what is sent later."""
    if not 1 <= limit <= LIMIT_MAX:
        raise RejectedError("bad_limit", f"limit= takes 1 to {LIMIT_MAX}, not {limit}")
    place, views = _place(after), edge.ports.views
    page = await edge.ask(lambda: views.later_list(after=place, limit=limit + 1), "list what is sent later")
    following = msgspec.json.encode(page[limit - 1][:2]).decode() if len(page) > limit else None
    return PlannedList([_planned(stored) for stored in page[:limit]], following)


async def cancel_planned(edge: Edge, planned_id: str, request: str) -> None:
    """Ask for a message not to be sent; too late is evidence, and changes nothing."""
    await edge.send(cancelled_later(planned_id, id=request), f"cancel message {planned_id!r}")


def _planned(stored: StoredLater) -> Planned:
    due = moment(stored.due)
    if stored.body is None:
        run = stored.id.removeprefix(LATER_START)
        return Planned(stored.id, "start", due, None, run, None, None)
    message = read_body(stored.body)
    data = msgspec.json.decode(message.data)
    if isinstance(message, SignalRun):
        return Planned(stored.id, "signal", due, message.signal, message.key, None, data, message.by)
    name, _, key = message.key.partition("/")
    if isinstance(message, EventUnkeyed):
        return Planned(stored.id, "event", due, name, None, None, data, message.by)
    return Planned(stored.id, "event", due, name, None, key, data, message.by)


def _place(after: str | None) -> tuple[int, str]:
    if after is None:
        return -1, ""
    try:
        return msgspec.json.decode(after, type=tuple[int, str])
    except msgspec.DecodeError:
        text = f"{after[:128]!r} is no position in a list: pass the value of `following`"
        raise RejectedError("bad_cursor", text) from None
