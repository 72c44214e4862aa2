"""Everything that can reach an entity: the vocabulary of the inbox.

Each message names its entity by `key`, which is also its Kafka key; `kind` says which kind of
entity that is. A field may be added with a default, never renamed or removed: the log is read by
every later release.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta, Raw, field

from stream_durable.core.failure import Failure
from stream_durable.core.ids import ID_LENGTH_MAX

Kind = Literal["run", "channel"]
NULL = Raw(b"null")

#: Bounds are part of the types, so that what cannot be stored is refused where it is read.
Text = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX)]
OptionalText = Annotated[str, Meta(max_length=ID_LENGTH_MAX)]
Millis = Annotated[int, Meta(ge=0, le=1 << 53)]
Ordinal = Annotated[int, Meta(ge=1, le=(1 << 31) - 1)]


class Message(msgspec.Struct, omit_defaults=True, kw_only=True, tag_field="type"):
    """What can reach an entity. `key` is spelt on the wire as the entity's kind."""

    kind: ClassVar[Kind]
    key: Text


class RunMessage(Message, kw_only=True):
    """What can reach a run."""

    kind: ClassVar[Kind] = "run"
    key: Text = field(name="run")


class StartRun(RunMessage, kw_only=True, tag="run.start"):
    """Begin a run of the definition with this fingerprint."""

    id: Text
    workflow: str
    fingerprint: str
    input: Raw = NULL
    tags: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()
    trace: OptionalText | None = None


class CancelRun(RunMessage, kw_only=True, tag="run.cancel"):
    """End a run before its end."""

    id: Text
    reason: str = ""


class SignalRun(RunMessage, kw_only=True, tag="run.signal"):
    """A message for one run, by name."""

    id: Text
    signal: Text
    data: Raw = NULL


class AttemptMessage(RunMessage, kw_only=True):
    """What a worker says about one attempt."""

    step: Text
    attempt: Ordinal
    worker: OptionalText = ""


class AttemptStarted(AttemptMessage, kw_only=True, tag="attempt.started"):
    """A long attempt is under way; from now on the reconciler's lease owns the re-attempt."""

    #: How long after this, or after the latest heartbeat, the worker is given up.
    lease_ms: Millis = 30_000
    #: When the attempt itself runs out of time, counted from its start; None: never.
    timeout_ms: Millis | None = None


class AttemptHeartbeat(AttemptMessage, kw_only=True, tag="attempt.heartbeat"):
    """A long attempt still runs."""

    lease_ms: Millis = 30_000
    percent: float | None = None
    label: str | None = None


class AttemptCompleted(AttemptMessage, kw_only=True, tag="attempt.completed"):
    """An attempt ended with a value."""

    output: Raw = NULL
    #: Worker's own clock, milliseconds; for people, never for decisions.
    started: Millis = 0
    finished: Millis = 0


class AttemptFailed(AttemptMessage, kw_only=True, tag="attempt.failed"):
    """An attempt ended without a value."""

    failure: Failure
    started: Millis = 0
    finished: Millis = 0


class AttemptReturned(AttemptMessage, kw_only=True, tag="attempt.returned"):
    """A worker gives an attempt back without having used it up; it is to be asked for again."""

    delay_ms: Millis = 0
    reason: Annotated[str, Meta(max_length=4_000)] = ""


class EventDelivered(RunMessage, kw_only=True, tag="event.delivered"):
    """A channel passes an event on to a wait of this run."""

    wait: Text
    id: Text
    data: Raw = NULL


class RunTimerFired(RunMessage, kw_only=True, tag="run.timer"):
    """A moment that a run asked for has come. `timer` is a step's name, or empty for the run itself."""

    timer: str
    due: Millis


class ChannelMessage(Message, kw_only=True):
    """What can reach a channel."""

    kind: ClassVar[Kind] = "channel"
    key: Text = field(name="channel")


class EventPublished(ChannelMessage, kw_only=True, tag="channel.event"):
    """An event of the channel's name and key happened."""

    id: Text
    data: Raw = NULL
    #: How long the event is kept for waits that have not begun yet.
    ttl_ms: Millis


class WaitOpened(ChannelMessage, kw_only=True, tag="channel.wait"):
    """A run waits for an event of this channel."""

    run: Text
    wait: Text


class WaitClosed(ChannelMessage, kw_only=True, tag="channel.unwait"):
    """A run no longer waits."""

    run: Text
    wait: Text


class ChannelTimerFired(ChannelMessage, kw_only=True, tag="channel.timer"):
    """Events of the channel have come to the end of their time."""

    timer: str
    due: Millis


AnyMessage = (
    StartRun
    | CancelRun
    | SignalRun
    | AttemptStarted
    | AttemptHeartbeat
    | AttemptCompleted
    | AttemptFailed
    | EventDelivered
    | RunTimerFired
    | EventPublished
    | WaitOpened
    | WaitClosed
    | ChannelTimerFired
    | AttemptReturned
)

#: Message types in a fixed order: evidence keeps the position. Append only.
MESSAGE_TYPES: tuple[type[Message], ...] = (
    StartRun,
    CancelRun,
    SignalRun,
    AttemptStarted,
    AttemptHeartbeat,
    AttemptCompleted,
    AttemptFailed,
    EventDelivered,
    RunTimerFired,
    EventPublished,
    WaitOpened,
    WaitClosed,
    ChannelTimerFired,
    AttemptReturned,
)


def timer_fired(kind: Kind, key: str, timer: str, due: Millis) -> RunTimerFired | ChannelTimerFired:
    """Return the message that tells an entity that its moment has come."""
    if kind == "run":
        return RunTimerFired(key=key, timer=timer, due=due)
    return ChannelTimerFired(key=key, timer=timer, due=due)
