"""Starts of runs: by clients, signals, schedules and triggers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from stream_durable.core.failure import Failure
from stream_durable.core.format import Format
from stream_durable.core.messages.fields import NULL, Millis, OptionalRaw, OptionalText, Text
from stream_durable.core.messages.run import RunMessage
from stream_durable.core.schedule.rule import Moment

AttributeKind = Literal["text", "number", "truth", "moment"]


class Attribute(msgspec.Struct, array_like=True, frozen=True):
    """A typed value of a run, by name: lists filter by it, sort by it and show it."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: AttributeKind
    #: A moment in milliseconds.
    value: str | bool | int | float


class StartRun(RunMessage, kw_only=True, tag="run.start"):
    """Begin a run of the definition with this fingerprint. A second start of one id changes nothing."""

    id: Text
    #: Its name.
    workflow: str
    fingerprint: str
    input: Raw = NULL
    #: For filters; the children of the run have them too.
    tags: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()
    #: The W3C `traceparent` that goes along with the run.
    trace: OptionalText | None = None
    #: Log time before which nothing begins.
    at: Millis | None = None
    #: The queue of steps without a queue.
    queue: OptionalText = ""
    #: Higher is sooner, among the commands that a worker holds.
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    #: A JSON object of the caller's.
    metadata: OptionalRaw = None
    #: The parent run and its step, and the number of generations above.
    parent: OptionalText = ""
    parent_step: OptionalText = ""
    depth: Annotated[int, Meta(ge=0, le=1_000)] = 0
    #: Paths into the run's output that the parent reads, if that travels by reference.
    picks: tuple[OptionalText, ...] = ()
    #: The trigger, if neither a client nor a parent: `event`, a message on the events topic; `schedule`; or
    #: the names of an event and of the trigger that it fired.
    trigger: OptionalText = ""
    #: How long the run may take from its beginning, in place of the workflow's time-out.
    timeout_ms: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    #: Whether the parent waits for the end; otherwise no end is reported to it.
    is_awaited: bool = True
    #: Typed values of the run: name, kind, value.
    attributes: Annotated[tuple[Attribute, ...], Meta(max_length=32)] = ()
    #: How long after its beginning the end of the run is expected, or by when, in place of the workflow's
    #: due time.
    due_ms: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    due_at: Millis | None = None


class StartWithSignal(StartRun, kw_only=True, tag="run.start_signal"):
    """A signal to a run, which is begun first if there is none of its id.

    An existing run is given the signal alone; one of another workflow is refused it.
    """

    #: A release that does not know this format leaves the message to one that does.
    format: Format
    #: Of the signal; its id is that of the message.
    signal: Text
    #: JSON that the signal carries.
    data: Raw = NULL
    #: Who sends it, under any name.
    by: OptionalText = ""
    #: How long the signal is kept for a wait that has not begun; None: until the end of the run.
    ttl_ms: Millis | None = None


class Scheduled(msgspec.Struct, array_like=True, frozen=True):
    """The schedule behind a run, and the moment, in milliseconds."""

    schedule: str
    moment: int


class StartScheduled(StartRun, kw_only=True, tag="run.start_scheduled"):
    """A schedule starts a run under an id derived from schedule and moment, and learns of the end."""

    #: A release that does not know this format leaves the message to one that does.
    format: Format
    schedule: Text
    #: For which moment.
    moment: Moment


class StartTriggered(StartRun, kw_only=True, tag="run.start_triggered"):
    """An event starts a run by a trigger: under an id of the event's, or derived from trigger and event."""

    #: A release that does not know this format leaves the message to one that does.
    format: Format
    #: The names of the trigger and of the event, and the event's id.
    on: Text
    event: Text
    event_id: Text
    #: Why no run can be started; the message becomes a dead letter.
    failure: Failure | None = None
