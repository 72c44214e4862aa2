"""Converts records of the events topic to messages of the inbox, or refuses them with a reason.

Forms are recognised by content, never guessed: JSON with exactly one of `type` (an event), `signal`, `answer`
and `start`; and CloudEvents, with the event's name as type and attributes in headers (binary mode) or around
the data (structured mode). Unknown fields are refused, because ignoring a misspelt field loses data. The
record's key replaces a missing key.

A message is applied once per id: the id in the record, prefixed by the source for CloudEvents (ids are unique
per source only), otherwise an id derived from the record's position.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Raw

from stream_durable.core.errors import RejectedError
from stream_durable.core.format import ASKS, START_WITH_SIGNAL
from stream_durable.core.ids import (
    ID_BYTES_MAX,
    NAME,
    PAYLOAD_BYTES_MAX,
    RESERVED_RULE,
    byte_length,
    channel_id,
    fits,
    is_derived,
)
from stream_durable.core.messages import (
    NULL,
    AnswerInput,
    Comment,
    EventPublished,
    Message,
    OptionalText,
    SignalRun,
    StartRun,
    StartWithSignal,
    Text,
)
from stream_durable.core.reference import holds_reference
from stream_durable.wire.cloudevents import read_headers
from stream_durable.wire.inbox import VALUE_BYTES_MAX, decode_message, encode

_FORMS: Final = ("type", "signal", "start", "answer")
_UNREADABLE = (msgspec.DecodeError, ValueError, RecursionError)

RecordHeaders = Iterable[tuple[str, bytes | None]] | None


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A start by name: the definition is still to be decided, and then put on the log."""

    id: str
    run: str
    workflow: str
    input: Raw = NULL
    tags: tuple[str, ...] = ()
    trace: str | None = None
    #: A signal that goes with it, also to a run that exists.
    signal: str | None = None
    data: Raw = NULL

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
            trigger="event",
        )
        return start if self.signal is None else with_signal(start, self.signal, self.data)


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


FromOutside = EventPublished | SignalRun | Start | Answer


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    """The common parts of the JSON forms."""

    message_id: Text | None = None


class _Event(_Form, kw_only=True):
    type: Text
    key: Text | int | None = None
    data: Raw = NULL


class _Signal(_Form, kw_only=True):
    signal: Text
    run: Text | None = None
    data: Raw = NULL


class _Start(_Form, kw_only=True):
    start: Text
    id: Text | None = None
    input: Raw = NULL
    tags: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()


class _StartWithSignal(_Start, kw_only=True):
    signal: Text
    data: Raw = NULL


class _Answer(_Form, kw_only=True):
    answer: Raw
    wait: Text
    run: Text | None = None
    by: OptionalText = ""
    comment: Comment = ""


class _CloudEvent(msgspec.Struct, kw_only=True):
    """Structured mode; foreign extensions are ignored."""

    specversion: str
    type: Text
    id: Text
    source: str = ""
    subject: Text | None = None
    partitionkey: Text | None = None
    data: Raw = NULL


def read(
    key: bytes | None, value: bytes | None, headers: RecordHeaders, *, own_id: str, ttl_ms: int
) -> FromOutside:
    """Read a record of the events topic; `own_id` says where it stands, `ttl_ms` how long events are kept."""
    if value is not None and len(value) > VALUE_BYTES_MAX:
        raise RejectedError("too_large", f"it has {len(value)} bytes, {VALUE_BYTES_MAX} are the most")
    record = _Record(key, value, own_id, ttl_ms)
    about = _attributes(headers)
    if "type" in about:
        return _binary(record, about)
    if value is None:
        raise RejectedError("unreadable", "the record has no value")
    return _json(record, value, about.get("traceparent"))


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


def published(event: str, key: str, data: Raw, *, id: str, ttl_ms: int) -> EventPublished:  # noqa: A002
    """Return the message of an event for a channel, or raise for a bad name or key."""
    _check_name("an event", event)
    channel = channel_id(event, key)
    if not key or not fits(channel):
        text = f"name and key of an event have at most {ID_BYTES_MAX - 1} bytes of UTF-8, and the key has one"
        raise RejectedError("bad_key", f"{text}; this key has {byte_length(key)}")
    return EventPublished(key=channel, id=id, data=data, ttl_ms=ttl_ms)


def signalled(run: str, signal: str, data: Raw, *, id: str) -> SignalRun:  # noqa: A002
    """Return the message of a signal for a run, or raise for a bad name."""
    _check_name("a signal", signal)
    return SignalRun(key=run, id=id, signal=signal, data=data)


def with_signal(start: StartRun, signal: str, data: Raw) -> StartWithSignal:
    """Return a start that brings a signal, or raise for a bad name."""
    _check_name("a signal", signal)
    fields = {name: getattr(start, name) for name in start.__struct_fields__}
    return StartWithSignal(**fields, format=START_WITH_SIGNAL, signal=signal, data=data)


class _Record(msgspec.Struct):
    key: bytes | None
    value: bytes | None
    own_id: str
    ttl_ms: int

    def text_key(self) -> str | None:
        """Return the record's key if a text."""
        if not self.key:
            return None
        try:
            return self.key.decode()
        except UnicodeDecodeError as error:
            raise RejectedError("bad_key", "the record's key is not UTF-8") from error


def _attributes(headers: RecordHeaders) -> dict[str, str]:
    """Return the attributes in the headers; `ce_specversion` may be missing beside `ce_type`."""
    found = list(headers or ())
    if any(name == "ce_type" for name, _ in found):
        found.append(("ce_specversion", b"1.0"))
        return read_headers(found)
    for name, held in found:
        if name == "traceparent" and held is not None and held.isascii():
            return {"traceparent": held.decode()}
    return {}


def _binary(record: _Record, about: dict[str, str]) -> FromOutside:
    data = NULL
    if record.value:
        _plain(record.value)
        data = Raw(record.value)
    identity = _qualified(about.get("source", ""), about["id"]) if about.get("id") else record.own_id
    return _event(record, about["type"], about.get("subject"), data, identity)


def _json(record: _Record, value: bytes, trace: str | None) -> FromOutside:
    plain = _plain(value)
    if not isinstance(plain, dict):
        raise RejectedError("unknown_form", f"it is JSON, but {_kind(plain)}, not an object")
    if "data_base64" in plain and "specversion" in plain:
        raise RejectedError("not_supported", "data_base64 is no JSON: send the data as JSON in 'data'")
    if "specversion" in plain:
        return _structured(record, value)
    form = _form_of(plain)
    if form == "type":
        event = _form(value, _Event)
        key = None if event.key is None else str(event.key)
        return _event(record, event.type, key, event.data, event.message_id or record.own_id)
    if form == "signal":
        signal = _form(value, _Signal)
        run = signal.run or record.text_key()
        if run is None:
            raise RejectedError("no_key", "the signal names no 'run', nor does the record's key")
        return signalled(run, signal.signal, signal.data, id=signal.message_id or record.own_id)
    if form == "answer":
        return _answer(record, _form(value, _Answer))
    if form == "start":
        return _start(record, _form(value, _Start), trace)
    both = _form(value, _StartWithSignal)
    _check_name("a signal", both.signal)
    return _start(record, both, trace, signal=both.signal, data=both.data)


def _form_of(plain: dict[str, Any]) -> str:
    """Return which form a message has; a start and a signal may be one."""
    forms = [form for form in _FORMS if form in plain]
    if forms == ["signal", "start"]:
        return "start with signal"
    if not forms:
        known = "'type' and 'key', 'signal' and 'run', 'answer', 'run' and 'wait', 'start', and CloudEvents"
        raise RejectedError("unknown_form", f"no form of it is known; known are {known}")
    if len(forms) > 1:
        raise RejectedError("ambiguous", f"it holds {' and '.join(map(repr, forms))}; it must be one of them")
    return forms[0]


def _start(
    record: _Record, form: _Start, trace: str | None, signal: str | None = None, data: Raw = NULL
) -> Start:
    identity = form.message_id or record.own_id
    return Start(
        id=identity,
        run=form.id or identity,
        workflow=form.start,
        input=form.input,
        tags=form.tags,
        trace=trace,
        signal=signal,
        data=data,
    )


def _answer(record: _Record, form: _Answer) -> Answer:
    run = form.run or record.text_key()
    if run is None:
        raise RejectedError("no_key", "the answer names no 'run', nor does the record's key")
    return Answer(
        id=form.message_id or record.own_id, run=run, wait=form.wait, answer=form.answer, by=form.by,
        comment=form.comment,
    )  # fmt: skip


def _structured(record: _Record, value: bytes) -> FromOutside:
    event = _form(value, _CloudEvent)
    identity = _qualified(event.source, event.id)
    return _event(record, event.type, event.subject or event.partitionkey, event.data, identity)


def _event(record: _Record, name: str, key: str | None, data: Raw, identity: str) -> EventPublished:
    key = key or record.text_key()
    if key is None:
        raise RejectedError("no_key", f"event {name[:128]!r} has no key, nor has the record")
    return published(name, key, data, id=identity, ttl_ms=record.ttl_ms)


def _qualified(source: str, identity: str) -> str:
    """Return an id unique among all sources."""
    if not source or not fits(identity):
        return identity
    qualified = f"{source}#{identity}"
    if fits(qualified):
        return qualified
    return blake2b(qualified.encode("utf-8", "replace"), digest_size=20).hexdigest()


def _plain(value: bytes) -> Any:
    """Decode everything once: raw values passed on must be readable for every reader."""
    try:
        return msgspec.json.decode(value)
    except _UNREADABLE as error:
        raise RejectedError("unreadable", f"not JSON: {error}") from error


_Shape = TypeVar("_Shape")


def _form(value: bytes, form: type[_Shape]) -> _Shape:
    try:
        return msgspec.json.decode(value, type=form)
    except _UNREADABLE as error:
        raise RejectedError("invalid", str(error)) from error


def _payload(message: Message) -> Raw:
    if isinstance(message, StartWithSignal):
        return max(message.input, message.data, key=lambda data: len(bytes(data)))
    if isinstance(message, StartRun):
        return message.input
    if isinstance(message, AnswerInput):
        return message.answer
    return message.data if isinstance(message, EventPublished | SignalRun) else NULL


def _check_name(what: str, name: str) -> None:
    if not NAME.match(name):
        text = "letters, digits and _ . : - only, beginning with a letter or _, at most 128"
        raise RejectedError("bad_name", f"{name[:128]!r} is not a name of {what}: {text}")


def _kind(value: object) -> str:
    return "null" if value is None else f"a {type(value).__name__}"
