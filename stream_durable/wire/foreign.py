"""Values of topics of others, read as JSON values: JSON, Avro or Protobuf.

Avro is read by the schema named in the frame of a registry, and else by the declared one: in single-object
encoding, known by the fingerprint, and without a frame. Moments, decimals, UUIDs and bytes are texts, as in
the JSON of a step's output.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Final, NamedTuple, assert_never

import msgspec

from stream_durable.core.bindings import Binding
from stream_durable.core.errors import RejectedError
from stream_durable.wire.form import UNREADABLE
from stream_durable.wire.single_object import FRAME_LENGTH, frame_of

#: Before a value written with a registry: a zero, and four bytes of the schema's number.
MAGIC: Final = b"\x00"
REGISTRY_FRAME: Final = 5

Read = Callable[[bytes], Any]


class RegisteredSchema(NamedTuple):
    """A schema of a registry."""

    #: `AVRO`, `JSON` or `PROTOBUF`.
    kind: str
    text: str
    #: The texts of schemas that it refers to, each behind what it refers to itself.
    references: tuple[str, ...] = ()


class Values:
    """The values of a binding's topic."""

    def __init__(self, binding: Binding, *, has_registry: bool = False) -> None:
        """Read by the declared schema, or, with a registry, by registered schemas."""
        #: Whether values may lack a schema.
        self.asks = has_registry and binding.encoding == "avro"
        self._has_registry = has_registry
        self._declared = _declared(binding)
        #: By number in the registry.
        self._registered: dict[int, Read] = {}
        self._unknown: dict[int, RejectedError] = {}

    def lacking(self, value: bytes | None) -> int | None:
        """Return the number of the missing schema of a value, if any."""
        if not self.asks or value is None or not is_registered(value):
            return None
        number = number_of(value)
        return None if number in self._registered else number

    def learn(self, number: int, found: RegisteredSchema | RejectedError) -> None:
        """Keep a schema, or why there is none for the next values."""
        try:
            if isinstance(found, RejectedError):
                raise found
            self._registered[number] = _registered(number, found)
        except RejectedError as error:
            self._unknown[number] = error

    def forget(self) -> None:
        """Forget failed lookups."""
        self._unknown.clear()

    def read(self, value: bytes) -> Any:
        """Return a value, or raise for an unreadable one."""
        if self.asks and is_registered(value):
            number = number_of(value)
            if (read := self._registered.get(number)) is None:
                raise self._unknown[number]
            return read(value[REGISTRY_FRAME:])
        try:
            return self._declared(value)
        except RejectedError as error:
            if self._has_registry or not is_registered(value):
                raise
            text = f"{error}. It begins like a value of a schema registry: registry.url names none"
            raise RejectedError(error.code, text) from error


def is_registered(value: bytes) -> bool:
    """Return whether a value may have the frame of a registry."""
    return value.startswith(MAGIC) and len(value) >= REGISTRY_FRAME


def number_of(value: bytes) -> int:
    """Return the number of the schema of a value with the frame of a registry."""
    return int.from_bytes(value[1:REGISTRY_FRAME], "big")


def framed(number: int, body: bytes) -> bytes:
    """Return a value with the frame of a registry."""
    return MAGIC + number.to_bytes(4, "big") + body


def _declared(binding: Binding) -> Read:
    match binding.encoding:
        case "json":
            return _read_json
        case "avro":
            return _avro_declared(binding.schema)
        case "protobuf":
            from stream_durable.wire.protobuf import reader_of  # noqa: PLC0415 - an extra

            return reader_of(binding.schema)
        case _:
            assert_never(binding.encoding)


def _read_json(value: bytes) -> Any:
    try:
        return msgspec.json.decode(value[REGISTRY_FRAME:] if is_registered(value) else value)
    except UNREADABLE as error:
        raise RejectedError("unreadable", f"the value is not JSON: {error}") from error


def _avro_declared(text: str) -> Read:
    schema = msgspec.json.decode(text)
    frame, read = frame_of(schema), _avro(schema)
    return lambda value: read(value[FRAME_LENGTH:] if value.startswith(frame) else value)


def _registered(number: int, found: RegisteredSchema) -> Read:
    if found.kind != "AVRO":
        text = f"schema {number} of the registry is of kind {found.kind}, and the topic is declared as Avro"
        raise RejectedError("unknown_schema", f"{text}: correct format=")
    try:
        references = [msgspec.json.decode(each) for each in found.references]
        return _avro(msgspec.json.decode(found.text), *references)
    except Exception as error:
        text = f"schema {number} of the registry is no schema of Avro: {error}"
        raise RejectedError("unknown_schema", text) from error


def _avro(schema: Any, *references: Any) -> Read:
    from fastavro import parse_schema, schemaless_reader  # noqa: PLC0415 - only where there is Avro

    named: dict[str, Any] = {}
    for reference in references:
        parse_schema(reference, named_schemas=named)
    parsed = parse_schema(schema, named_schemas=named)
    name = str(schema.get("name", schema.get("type"))) if isinstance(schema, dict) else str(schema)

    def read(body: bytes) -> Any:
        source = BytesIO(body)
        try:
            value = msgspec.to_builtins(schemaless_reader(source, parsed, None))
        except (EOFError, IndexError, OverflowError, MemoryError, KeyError, TypeError, *UNREADABLE) as error:
            text = f"the value is not Avro of the schema {name}: {str(error) or 'it ends too early'}"
            raise RejectedError("unreadable", text) from error
        if (left := len(body) - source.tell()) > 0:
            text = f"the value is not Avro of the schema {name}: {left} bytes follow its end"
            raise RejectedError("unreadable", text)
        return value

    return read
