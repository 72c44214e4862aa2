"""Messages from outside the instance: what the inbox takes of clients, of the events topic and of streams.

A program that publishes on the events topic names a workflow and not its definition, and a question and not
its schema; so a `Start` and an `Answer` become messages of the inbox once the ingress has looked those up.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from stream_durable.core.declared import Declared
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import ASKS, LATER, START_WITH_SIGNAL, TRIGGERS
from stream_durable.core.ids import (
    ID_BYTES_MAX,
    NAME,
    PAYLOAD_BYTES_MAX,
    RESERVED_RULE,
    byte_length,
    channel_id,
    clipped,
    fits,
    is_derived,
    later_id,
)
from stream_durable.core.messages import (
    NULL,
    AnswerInput,
    AssignInput,
    Attribute,
    CancelLater,
    CancelRun,
    ChangeHeld,
    ClaimInput,
    CommentInput,
    CompleteHeld,
    CompleteStep,
    Deferrable,
    EventPublished,
    EventUnkeyed,
    FailHeld,
    Message,
    RetryRun,
    SendLater,
    SignalRun,
    SkipStep,
    StartRun,
    StartWithSignal,
)
from stream_durable.core.reference import holds_reference
from stream_durable.wire.changes import RunChange
from stream_durable.wire.ends import OutsideEnd
from stream_durable.wire.inbox import VALUE_BYTES_MAX, decode_message, encode
from stream_durable.wire.reviews import Completion

#: Ids of starts for later are those of runs, behind this.
LATER_START = "start:"


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A start by name: the definition is still to be decided, and then put on the log."""

    id: str
    run: str
    workflow: str
    input: Raw = NULL
    tags: tuple[str, ...] = ()
    trace: str | None = None
    #: When it begins, by log time.
    at: int | None = None
    timeout_ms: int | None = None
    #: A name that a queue can have; whether there is such a queue is still to be judged.
    queue: str = ""
    priority: int = 0
    metadata: Raw | None = None
    attributes: tuple[Attribute, ...] = ()
    #: A signal that goes with it, also to a run that exists.
    signal: str | None = None
    data: Raw = NULL
    #: Who sends the signal, and how long it is kept.
    by: str = ""
    ttl_ms: int | None = None
    trigger: str = "event"

    def of(self, fingerprint: str) -> StartRun:
        """Return the start of a run of this definition."""
        start = StartRun(
            id=self.id,
            key=self.run,
            workflow=self.workflow,
            fingerprint=fingerprint,
            input=self.input,
            tags=self.tags,
            trace=self.trace,
            at=self.at,
            queue=self.queue,
            priority=self.priority,
            metadata=self.metadata,
            trigger=self.trigger,
            timeout_ms=self.timeout_ms,
            attributes=self.attributes,
        )
        if self.signal is None:
            return start
        return with_signal(start, self.signal, self.data, by=self.by, ttl_ms=self.ttl_ms)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a question of a run: whether it fits is still to be judged."""

    id: str
    run: str
    wait: str
    answer: Raw
    by: str = ""
    comment: str = ""

    def message(self) -> AnswerInput:
        """Return it for the inbox."""
        return AnswerInput(
            key=self.run, id=self.id, wait=self.wait, format=ASKS, answer=self.answer, by=self.by,
            comment=self.comment,
        )  # fmt: skip


FromOutside = (
    EventPublished
    | EventUnkeyed
    | SignalRun
    | SendLater
    | CancelRun
    | CancelLater
    | ClaimInput
    | AssignInput
    | CommentInput
    | Start
    | Answer
    | Completion
    | RunChange
    | RetryRun
    | SkipStep
    | FailHeld
    | OutsideEnd
)


def admit(message: Message) -> bytes:
    """Return a message from outside as the bytes of a record, or refuse what the inbox would not take."""
    size = len(bytes(_payload(message)))
    if size > PAYLOAD_BYTES_MAX:
        text = (
            f"it carries {size} bytes of JSON, {PAYLOAD_BYTES_MAX} are the most: pass large data by reference"
        )
        raise RejectedError("too_large", text)
    try:
        data = encode(message)
    except UnicodeEncodeError as error:
        raise RejectedError("invalid", "a text in it is not valid Unicode") from error
    if len(data) > VALUE_BYTES_MAX:
        text = f"the whole message has {len(data)} bytes, {VALUE_BYTES_MAX} are the most"
        raise RejectedError("too_large", f"{text}: keep metadata, reasons and tags short")
    if isinstance(message, StartRun) and is_derived(message.key):
        raise RejectedError("reserved_id", f"{message.key[:128]!r} cannot be a run's id: {RESERVED_RULE}")
    if holds_reference(data):
        text = (
            'it holds an object with the key "$blob", which stands for a value kept elsewhere: take another'
        )
        raise RejectedError("reserved_key", text)
    try:
        decode_message(data)
    except RejectedError as error:
        raise RejectedError("invalid", str(error).removeprefix("not a message of the inbox: ")) from error
    return data


def published(
    event: str,
    key: str,
    data: Raw,
    *,
    id: str,  # noqa: A002
    ttl_ms: int,
    by: str = "",
) -> EventPublished:
    """Return the message of an event for a channel, or raise for a bad name or key."""
    _check_name("an event", event)
    channel = channel_id(event, key)
    if not key or not fits(channel):
        text = f"name and key of an event have at most {ID_BYTES_MAX - 1} bytes of UTF-8, and the key has one"
        remedy = "take a shorter one" if key else "give what its waits have in common"
        raise RejectedError("bad_key", f"{text}; this key has {byte_length(key)}: {remedy}")
    return EventPublished(key=channel, id=id, data=data, ttl_ms=ttl_ms, by=by)


def unkeyed(event: str, data: Raw, *, id: str, by: str = "") -> EventUnkeyed:  # noqa: A002
    """Return the message of an event without a key, or raise for a bad name."""
    _check_name("an event", event)
    return EventUnkeyed(key=clipped(channel_id(event, id)), id=id, format=TRIGGERS, data=data, by=by)


def check_taken(message: Message, declared: Declared) -> None:
    """Raise for an event without a key that no trigger takes."""
    message = message.message if isinstance(message, SendLater) else message
    if not isinstance(message, EventUnkeyed):
        return
    event = message.key.partition("/")[0]
    if not declared.takes(event):
        text = f"event {event!r} has no key, and no trigger takes it"
        raise RejectedError("no_key", f"{text}: set the key of its waits, or declare a trigger with `app.on`")


def signalled(
    run: str,
    signal: str,
    data: Raw,
    *,
    id: str,  # noqa: A002
    by: str = "",
    ttl_ms: int | None = None,
) -> SignalRun:
    """Return the message of a signal for a run, or raise for a bad name."""
    check_signal(signal)
    return SignalRun(key=run, id=id, signal=signal, data=data, by=by, ttl_ms=ttl_ms)


def with_signal(
    start: StartRun, signal: str, data: Raw, *, by: str = "", ttl_ms: int | None = None
) -> StartWithSignal:
    """Return a start that brings a signal, or raise for a bad name."""
    check_signal(signal)
    fields = {name: getattr(start, name) for name in start.__struct_fields__}
    return StartWithSignal(**fields, format=START_WITH_SIGNAL, signal=signal, data=data, by=by, ttl_ms=ttl_ms)


def deferred(message: Deferrable, *, at: int | None = None, after_ms: int | None = None) -> SendLater:
    """Return what has a message sent at a moment, or so many milliseconds after it is on the log."""
    if isinstance(message, SignalRun):
        key = later_id("signal", f"{message.key}/{message.signal}", message.id)
    else:
        key = later_id("event", message.key, message.id)
    return SendLater(key=key, format=LATER, message=message, at=at, after_ms=after_ms)


def cancelled_later(planned: str, *, id: str) -> CancelLater | CancelRun:  # noqa: A002
    """Return the request to drop a message for later; a start for later is a run."""
    if planned.startswith(LATER_START):
        run = planned.removeprefix(LATER_START)
        return CancelRun(key=run, id=id, reason="its start was cancelled")
    return CancelLater(key=planned, id=id, format=LATER)


def _payload(message: Message) -> Raw:
    if isinstance(message, SendLater):
        return message.message.data
    if isinstance(message, StartWithSignal):
        return max(message.input, message.data, key=lambda data: len(bytes(data)))
    if isinstance(message, StartRun):
        return message.input
    if isinstance(message, AnswerInput):
        return message.answer
    if isinstance(message, ChangeHeld):
        return NULL if message.input is None else message.input
    if isinstance(message, CompleteStep | CompleteHeld):
        return message.output
    return message.data if isinstance(message, EventPublished | EventUnkeyed | SignalRun) else NULL


def check_signal(name: str) -> None:
    """Raise if a signal cannot have this name."""
    _check_name("a signal", name)


def _check_name(what: str, name: str) -> None:
    if not NAME.match(name):
        text = "letters, digits and _ . : - only, beginning with a letter or _, at most 128"
        raise RejectedError("bad_name", f"{name[:128]!r} is not a name of {what}: write {text}")
