"""Requests of people and other systems to a run."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from stream_durable.core.moments import moment
from stream_durable.core.run import state as core


class Request(NamedTuple):
    """A request to a run, with any result."""

    #: The id returned by the request.
    id: str
    at: datetime
    reason: str
    compensate: bool
    #: Whether the run had ended, or was ending, so that the request changed nothing.
    is_late: bool = False
    #: Who asked for it, if that was said.
    by: str = ""


class Requests(NamedTuple):
    """The latest requests to a run, without results."""

    cancel: Request | None
    #: Until the run is resumed.
    pause: Request | None
    resume: Request | None
    retry: Request | None


def requests_of(requests: core.Requests | None) -> Requests:
    """Return the latest requests to a run."""
    asked = requests or core.Requests()
    cancel, *others = map(request_of, (asked.cancel, asked.pause, asked.resume, asked.retry))
    if cancel is None and (late := request_of(asked.late_cancel)) is not None:
        cancel = late._replace(is_late=True)
    return Requests(cancel, *others)


def request_of(request: core.Request | None) -> Request | None:
    """Return a stored request."""
    if request is None:
        return None
    return Request(request.id, moment(request.at), request.reason, request.compensate, by=request.by)
