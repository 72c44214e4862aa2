"""Records of bound topics as starts, events, signals and answers.

Ids follow from binding, topic, partition and offset, or are at a path: a second reading changes nothing.
"""

from __future__ import annotations

from typing import Any, Protocol, assert_never

from stream_durable.core.bindings import Binding, BoundAnswer, BoundEvent, BoundSignal, BoundStart
from stream_durable.core.definition.fitting import misfits
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import clipped
from stream_durable.core.triggers import id_at, mapped, matches, text_at
from stream_durable.wire.events import Answer, FromOutside, Start, published, signalled, unkeyed
from stream_durable.wire.foreign import Values

_PROBLEMS_SHOWN = 5


class BoundRecord(Protocol):
    """A record of a topic; times are milliseconds."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def time(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> list[tuple[str, bytes]] | None: ...


def read_bound(
    binding: Binding, reader: Values, record: BoundRecord, own_id: str, ttl_ms: int
) -> FromOutside | None:
    """Return the message for a record; None without a value or a match. Raises for an unusable record.

    `own_id` says where the record stands, `ttl_ms` how long events are kept.
    """
    if record.value is None:
        return None
    value = reader.read(record.value)
    values = _around(binding, record) | {"value": value}
    if not matches(binding.match, values):
        return None
    if binding.value is not None:
        _check(binding.value, value)
    place, by = f"{binding.name}/{own_id}", f"binding {binding.name}"
    match becomes := binding.becomes:
        case BoundStart():
            return Start(
                id=place, run=id_at(becomes.id, values) if becomes.id else place, workflow=becomes.workflow,
                input=mapped(becomes.input, values), trace=_trace(values["headers"]),
                trigger=clipped(f"topic {binding.topic}, {by}"),
            )  # fmt: skip
        case BoundEvent():
            identity, data = _identity(becomes.id, values, place), mapped(becomes.data, values)
            if not becomes.key:
                return unkeyed(becomes.event, data, id=identity, by=by)
            key = text_at(becomes.key, values)
            return published(becomes.event, key, data, id=identity, ttl_ms=ttl_ms, by=by)
        case BoundSignal():
            identity, data = _identity(becomes.id, values, place), mapped(becomes.data, values)
            return signalled(text_at(becomes.run, values), becomes.signal, data, id=identity, by=by)
        case BoundAnswer():
            identity, data = _identity(becomes.id, values, place), mapped(becomes.data, values)
            run = text_at(becomes.run, values)
            return Answer(id=identity, run=run, wait=becomes.wait, answer=data, by=by)
        case _:
            assert_never(becomes)


def _around(binding: Binding, record: BoundRecord) -> dict[str, Any]:
    """Return the values around the value, for paths; only texts count as keys and headers."""
    return {
        "key": _text(record.key), "topic": binding.topic,
        "partition": record.partition, "offset": record.offset, "timestamp": record.time,
        "headers": {name: text for name, held in record.headers or () if (text := _text(held)) is not None},
    }  # fmt: skip


def _text(held: bytes | str | None) -> str | None:
    if not isinstance(held, bytes):
        return held
    try:
        return held.decode()
    except UnicodeDecodeError:
        return None


def _identity(path: str, values: dict[str, Any], place: str) -> str:
    return text_at(path, values) if path else place


def _trace(headers: dict[str, str]) -> str | None:
    found = headers.get("traceparent")
    return found if found is not None and found.isascii() else None


def _check(schema: Any, value: Any) -> None:
    if found := misfits(schema, value):
        said = [f"{each.field}: {each.text}" if each.field else each.text for each in found]
        text = "; ".join(said[:_PROBLEMS_SHOWN])
        raise RejectedError("invalid_value", f"the value does not fit the declared type: {text}")
