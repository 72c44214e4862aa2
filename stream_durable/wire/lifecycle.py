"""Lifecycle events as the bytes of the public topics: Avro, framed by the fingerprint of its schema.

A value is in Avro's single-object encoding: `C3 01`, the CRC-64-AVRO fingerprint of the writer's
schema in little-endian order, then the record. Every event of the system passes `encode`, so that is
made by hand for exactly the schemas in `schemas/`; the tests hold it to the bytes of a general
library, which costs several times as much. Reading is for tools, and is done by that library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple, TypeVar

import msgspec
from fastavro import schemaless_reader

from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import EventHead, RunEvent, StepEvent
from stream_durable.wire.single_object import FRAME_LENGTH, MARKER, Schema, folder, frame_of, load, parsed

Event = StepEvent | RunEvent
EventType = type[StepEvent | RunEvent]
_FILES: dict[EventType, str] = {StepEvent: "step_event.avsc", RunEvent: "run_event.avsc"}


#: Most of what an event says was said by one shortly before: names, workers, milliseconds, small numbers.
_CACHE_MAX = 4_096
#: Workers use their own clocks. A time is left out if missing or after the year 9999, where readers'
#: calendars fail, and the rest of the record with them.
_TIME_MAX = 253_402_300_799_999

_NONE = b"\x00"
_SOME = b"\x02"

_Key = TypeVar("_Key")


class _Cache(dict[_Key, bytes]):
    """Remembers encodings of values, and forgets all of them when full."""

    __slots__ = ("_write",)

    def __init__(self, write: Callable[[_Key], bytes]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, key: _Key) -> bytes:
        if len(self) >= _CACHE_MAX:
            self.clear()
        written = self[key] = self._write(key)
        return written


def encode(event: Event) -> bytes:
    """Return an event as the value of a record. A failure's stack trace stays inside."""
    if type(event) is StepEvent:
        return _encode_step(event)
    assert type(event) is RunEvent
    return _encode_run(event)


def _encode_step(event: StepEvent) -> bytes:
    """Return an event about a step, under the first schema unless the step asks people."""
    run = event.run.encode()
    output = event.output
    failure = event.failure
    asked = event.asked
    names = (event.type, event.workflow, event.fingerprint, event.step)
    return b"".join((
        _step_head[names] if asked is None else frame(StepEvent) + b"".join(map(_text, names)),
        _long[len(run)],
        run,
        _long[event.sequence],
        _long[event.attempt],
        _long[event.time],
        _NONE if output is None else _some_json(output),
        _NONE if failure is None else _some_failure(failure),
        _worker_time[event.started],
        _worker_time[event.finished],
        _optional_text[event.worker],
        _optional_text[event.trace],
        b"" if asked is None else _some_json(asked),
    ))  # fmt: skip


def _encode_run(event: RunEvent) -> bytes:
    """Return an event about a run, under the first sufficient schema.

    So nearly every event has the same size as before, and is readable with the first schema alone.
    """
    if event.trigger is None and event.parent is None and event.steps is None and event.into is None:
        return b"".join((_run_head[event.type, event.workflow, event.fingerprint], *_run_parts(event)))
    return b"".join((
        frame(RunEvent),
        *map(_text, (event.type, event.workflow, event.fingerprint)),
        *_run_parts(event),
        _optional_text[event.trigger],
        _optional_text[event.parent],
        _NONE if event.steps is None else _some_texts(event.steps),
        _optional_text[event.into],
    ))  # fmt: skip


def _run_parts(event: RunEvent) -> tuple[bytes, ...]:
    run = event.run.encode()
    cause = event.cause.encode()
    output = event.output
    failure = event.failure
    return (
        _long[len(run)],
        run,
        _long[event.sequence],
        _long[event.step_sequence],
        _long[event.time],
        _long[len(cause)],
        cause,
        _NONE if output is None else _some_json(output),
        _NONE if failure is None else _some_failure(failure),
        _optional_text[event.trace],
    )


def _some_texts(texts: Sequence[str]) -> bytes:
    """Encode a block with all texts, and the block ending an array."""
    block = b"".join((_long[len(texts)], *map(_text, texts))) if texts else b""
    return _SOME + block + b"\x00"


def _write_long(number: int) -> bytes:
    """Zigzag, then seven bits to a byte, the lowest first."""
    rest = number << 1 ^ number >> 63
    written = bytearray()
    while rest > 127:
        written.append(rest & 127 | 128)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def _write_worker_time(time: int | None) -> bytes:
    return _SOME + _write_long(time) if time and 0 < time <= _TIME_MAX else _NONE


def _text(text: str) -> bytes:
    data = text.encode()
    return _long[len(data)] + data


def _write_optional_text(text: str | None) -> bytes:
    return _NONE if text is None else _SOME + _text(text)


def _some_json(data: bytes) -> bytes:
    """Encode JSON, refusing bytes other than text: payloads are passed on unchanged until here."""
    if not data.isascii():
        data = data.decode("utf-8", "replace").encode()
    return _SOME + _long[len(data)] + data


def _some_failure(failure: Failure) -> bytes:
    details = failure.details
    return b"".join((
        _SOME,
        _text(failure.code),
        _text(failure.message),
        b"\x01" if failure.retryable else b"\x00",
        _NONE if details is None else _some_json(msgspec.json.encode(details)),
        _optional_text[failure.step],
    ))  # fmt: skip


def _write_step_head(names: tuple[str, str, str, str]) -> bytes:
    return _first_frame(StepEvent) + b"".join(map(_text, names))


def _write_run_head(names: tuple[str, str, str]) -> bytes:
    return _first_frame(RunEvent) + b"".join(map(_text, names))


_long = _Cache(_write_long)
_worker_time = _Cache(_write_worker_time)
_optional_text = _Cache(_write_optional_text)
_step_head = _Cache(_write_step_head)
_run_head = _Cache(_write_run_head)


def decode(value: bytes) -> Event:
    """Read an event written under the current schemas or any that was ever released."""
    known = _known().get(value[:FRAME_LENGTH])
    if known is None:
        if value[: len(MARKER)] != MARKER:
            raise RejectedError("unreadable", "not in Avro's single-object encoding")
        raise RejectedError(
            "unknown_schema",
            f"no schema known here has the fingerprint {value[len(MARKER) : FRAME_LENGTH].hex()}",
        )
    try:
        return _read(known, value)
    except (EOFError, IndexError, RecursionError, ValueError) as error:
        raise RejectedError("unreadable", f"not a {known.event.__name__}: {error}") from error


def head(value: bytes) -> EventHead:
    """Read the beginning of an event alone, at a fraction of the cost of the whole."""
    known = _known().get(value[:FRAME_LENGTH])
    if known is None:
        raise RejectedError("unknown_schema", "no schema known here begins so")
    body = BytesIO(value)
    body.seek(FRAME_LENGTH)
    try:
        fields: dict[str, Any] = schemaless_reader(body, known.head, None)  # type: ignore[assignment]  # a record
    except (EOFError, IndexError, ValueError) as error:
        raise RejectedError("unreadable", f"not a {known.event.__name__}: {error}") from error
    fields.pop("step_sequence", None)
    return EventHead(**fields)


class _Known(NamedTuple):
    """The decoding of values beginning with one frame."""

    event: EventType
    writer: Schema
    #: The writer's fields up to the time.
    head: Schema
    #: The current schema where the writer's is another one.
    reader: Schema | None


def _read(known: _Known, value: bytes) -> Event:
    body = BytesIO(value)
    body.seek(FRAME_LENGTH)
    fields: dict[str, Any] = schemaless_reader(body, known.writer, known.reader)  # type: ignore[assignment]  # both are records
    if body.tell() != len(value):
        raise ValueError(f"{len(value) - body.tell()} bytes follow its end")
    if (output := fields["output"]) is not None:
        fields["output"] = output.encode()
    if (failure := fields["failure"]) is not None:
        if (details := failure["details"]) is not None:
            failure["details"] = msgspec.json.decode(details)
        fields["failure"] = Failure(**failure)
    if (asked := fields.get("asked")) is not None:
        fields["asked"] = asked.encode()
    if (steps := fields.get("steps")) is not None:
        fields["steps"] = tuple(steps)
    return known.event(**fields)


@cache
def schema(event: EventType) -> Schema:
    """Return the current Avro schema of a kind of event, from the file."""
    return load(folder() / _FILES[event])


@cache
def frame(event: EventType) -> bytes:
    """Return the first bytes of values of a kind of event under the current schema."""
    return frame_of(schema(event))


def frames(event: EventType) -> tuple[bytes, ...]:
    """Return what values of a kind of event may begin with, under any schema there has been."""
    return tuple(frame for frame, known in _known().items() if known.event is event)


@cache
def _first_frame(event: EventType) -> bytes:
    """Return the first bytes of values limited to the first release's fields."""
    return frame_of(load(folder() / "released" / "1" / _FILES[event]))


@cache
def _known() -> dict[bytes, _Known]:
    """Return all schemas ever used, by the first bytes of their values."""
    known = {}
    for event, name in _FILES.items():
        current = parsed(schema(event))
        for release in (folder() / "released").iterdir():
            released = load(release / name)
            known[frame_of(released)] = _Known(event, parsed(released), _head_of(released), current)
        known[frame(event)] = _Known(event, current, _head_of(schema(event)), None)
    return known


def _head_of(whole: Schema) -> Schema:
    """Return a schema of the fields up to the time: all of them are numbers and texts."""
    last = [field["name"] for field in whole["fields"]].index("time")
    return parsed(whole | {"fields": whole["fields"][: last + 1]})
