"""Messages of the events topic in Avro, by the schemas in `schemas/events_topic`.

A value is in Avro's single-object encoding, so its first bytes name the schema, with no registry. The fields
are those of the JSON forms; what is any JSON there (`data`, `input`, `answer`) is JSON as text here.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import Any, Final, NamedTuple

import msgspec
from fastavro import schemaless_reader
from msgspec import Raw

from stream_durable.core.errors import RejectedError
from stream_durable.wire.form import UNREADABLE, Form
from stream_durable.wire.forms import FORMS, EventForm
from stream_durable.wire.single_object import FRAME_LENGTH, MARKER, Schema, files, frame_of, load, parsed
from stream_durable.wire.starts import StartWithSignalForm

FOLDER: Final = "events_topic"

#: Beginnings of values in other framings, and how they are called.
_FOREIGN: Final = {b"Obj\x01": "an Avro container file", b"\x00": "framed for a schema registry"}
#: A zero and four bytes of a number stand before the value there.
_REGISTRY_BYTES: Final = 5


class _Known(NamedTuple):
    name: str
    writer: Schema
    #: Fields with JSON as text.
    texts: tuple[str, ...]


def is_framed(value: bytes) -> bool:
    """Return whether a value is Avro of any framing, and so no JSON."""
    return value.startswith((MARKER, *_FOREIGN)) and len(value) >= _REGISTRY_BYTES


def to_json(value: bytes) -> bytes:
    """Return a message in Avro as JSON of its form, or raise if it is of no published schema, or damaged."""
    known = _known().get(value[:FRAME_LENGTH])
    if known is None:
        raise _unknown(value)
    body = BytesIO(value)
    body.seek(FRAME_LENGTH)
    try:
        fields: dict[str, Any] = schemaless_reader(body, known.writer, None)  # type: ignore[assignment]  # a record
    except (EOFError, IndexError, OverflowError, MemoryError, *UNREADABLE) as error:
        cause = str(error) or "it ends too early"
        text = f"not Avro of the schema {known.name}: {cause}. It may be cut short"
        raise RejectedError("unreadable", f"{text}, or written under another schema") from error
    if body.tell() != len(value):
        text = f"{len(value) - body.tell()} bytes follow the end of {known.name}: one record is one message"
        raise RejectedError("unreadable", text)
    present = {name: held for name, held in fields.items() if held is not None}
    for name in known.texts:
        if name in present:
            present[name] = _json(known.name, name, present[name])
    return msgspec.json.encode(present)


def _json(schema: str, field: str, text: str) -> Raw:
    try:
        msgspec.json.decode(text)
    except UNREADABLE as error:
        said = f"the field {field!r} of {schema} is not JSON: {error}. Write JSON as text there"
        raise RejectedError("unreadable", said) from error
    return Raw(text.encode())


def _unknown(value: bytes) -> RejectedError:
    if not value.startswith(MARKER):
        kind = next(said for start, said in _FOREIGN.items() if value.startswith(start))
        text = f"it is {kind}; Avro is read here in single-object encoding only: C3 01, the fingerprint of a"
        return RejectedError("unknown_schema", f"{text} schema in schemas/{FOLDER}, the record")
    names = ", ".join(sorted({known.name for known in _known().values()}))
    found = value[len(MARKER) : FRAME_LENGTH].hex()
    text = f"no schema of a message has the fingerprint {found!r}; there are: {names}"
    return RejectedError("unknown_schema", f"{text}. Write it under a schema of schemas/{FOLDER}")


@cache
def _known() -> dict[bytes, _Known]:
    """Return the schemas of messages, today's and released ones, by the first bytes of their values."""
    known = {}
    for file in files(FOLDER):
        schema = load(file)
        form = _form(file.name)
        raws = {field.name for field in msgspec.structs.fields(form) if field.type is Raw}
        texts = tuple(field["name"] for field in schema["fields"] if field["name"] in raws)
        name = f"{schema['namespace']}.{schema['name']}"
        known[frame_of(schema)] = _Known(name, parsed(schema), texts)
    return known


def _form(file: str) -> type[Form]:
    """Return the form with all fields of a schema, by the name of its file."""
    forms: dict[str, type[Form]] = {**FORMS, "event": EventForm, "start": StartWithSignalForm}
    return forms[file.removesuffix(".avsc")]
