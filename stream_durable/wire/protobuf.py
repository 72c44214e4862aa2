"""Values in Protobuf, by descriptors in the declaration, read as Protobuf's own JSON."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from stream_durable.core.bindings import Described
from stream_durable.core.errors import RejectedError

#: The kinds of values on the wire, by number; groups are not looked into.
_VARINT, _EIGHT, _SIZED, _FOUR = 0, 1, 2, 5
_WIRE: Final = {
    _VARINT: "a varint",
    _EIGHT: "eight bytes",
    _SIZED: "bytes with a length",
    _FOUR: "four bytes",
}
#: Types of fields that are texts, messages and bytes, and those of numbers with a fixed size, by number.
_STRING, _MESSAGE, _GROUP = 9, 11, 10
_KINDS: Final = {_STRING: _SIZED, _MESSAGE: _SIZED, 12: _SIZED, 1: _EIGHT, 6: _EIGHT, 16: _EIGHT,
                 2: _FOUR, 7: _FOUR, 15: _FOUR}  # fmt: skip
#: Deeper messages are not looked into for what is wrong.
_DEPTH_MAX: Final = 50


def reader_of(text: str) -> Callable[[bytes], Any]:
    """Return a reader for values of a described type, with and without the frame of a registry."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, json_format  # noqa: PLC0415 - an extra
        from google.protobuf.message import DecodeError  # noqa: PLC0415
        from google.protobuf.message_factory import GetMessageClass  # noqa: PLC0415
        from google.protobuf.unknown_fields import UnknownFieldSet  # noqa: PLC0415
    except ImportError as error:
        text = f"a binding reads Protobuf, and the library is not installed ({error})"
        raise RejectedError("no_protobuf", f"{text}: install stream-durable[protobuf]") from error
    described = msgspec.json.decode(text, type=Described)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(b64decode(described.files)).file:
        pool.Add(file)
    descriptor = pool.FindMessageTypeByName(described.message)
    kind, fields = GetMessageClass(descriptor), descriptor.fields_by_number

    def wrong(body: bytes, error: Exception | str) -> RejectedError:
        why = misread(descriptor, body) or str(error)
        return RejectedError("unreadable", f"the value is not Protobuf of type {described.message}: {why}")

    def read(value: bytes) -> Any:
        body = value
        try:
            body = _body(value)
            found = kind.FromString(body)
            made = json_format.MessageToDict(
                found, preserving_proto_field_name=True, always_print_fields_with_no_presence=True,
                descriptor_pool=pool,
            )  # fmt: skip
        except (DecodeError, json_format.Error, UnicodeDecodeError, ValueError) as error:
            raise wrong(body, error) from error
        # A known field of another kind counts as unknown to the library: it is a topic of another type.
        if any(each.field_number in fields for each in UnknownFieldSet(found)) and misread(descriptor, body):
            raise wrong(body, "")
        if not found.IsInitialized():
            raise wrong(body, f"{', '.join(found.FindInitializationErrors())}: Field required")
        return made

    return read


def misread(descriptor: Any, body: bytes, prefix: str = "", depth: int = 0) -> str:
    """Return the field at which a message cannot be read, with the reason; empty: there is none."""
    counts: Counter[int] = Counter()
    at = 0
    while at < len(body):
        try:
            tag, at = _varint(body, at)
        except ValueError:
            return f"{prefix or 'it'}: ends too early"
        number, wire = tag >> 3, tag & 7
        field = descriptor.fields_by_number.get(number)
        name = f"{prefix}{f'field {number}' if field is None else field.name}"
        if field is not None and _is_list(field):
            name, counts[number] = f"{name}.{counts[number]}", counts[number] + 1
        if wire not in _WIRE:
            # Groups are rare, and what follows one is not looked for.
            return "" if wire in (3, 4) else f"{name}: of no kind that there is ({wire})"
        try:
            end, part = _value(body, at, wire)
        except ValueError:
            return f"{name}: ends too early"
        at = end
        if field is not None and (found := _misfit(field, wire, part, name, depth)):
            return found
    return ""


def _misfit(field: Any, wire: int, part: bytes, name: str, depth: int) -> str:
    wanted = _KINDS.get(field.type, _VARINT)
    if field.type == _GROUP:
        return ""
    if wire != wanted and not (wire == _SIZED and _is_list(field)):
        return f"{name}: {_WIRE[wire]}, where {_WIRE[wanted]} should be"
    if field.type == _MESSAGE and depth < _DEPTH_MAX:
        return misread(field.message_type, part, f"{name}.", depth + 1)
    if field.type == _STRING:
        try:
            part.decode()
        except UnicodeDecodeError as error:
            return f"{name}: no UTF-8 ({error.reason})"
    return ""


def _is_list(field: Any) -> bool:
    """Return whether a field has several values; releases of the library differ."""
    found = getattr(field, "is_repeated", None)
    return bool(field.label == field.LABEL_REPEATED if found is None else found)


def _value(body: bytes, at: int, wire: int) -> tuple[int, bytes]:
    """Return the end of a value, and the bytes; raise for too few."""
    if wire == _VARINT:
        begin = at
        _, at = _varint(body, at)
        return at, body[begin:at]
    size = 8 if wire == _EIGHT else 4
    if wire == _SIZED:
        size, at = _varint(body, at)
    if at + size > len(body):
        raise ValueError("too few bytes")
    return at + size, body[at : at + size]


def _body(value: bytes) -> bytes:
    """Return a value without the frame of a registry; no field of Protobuf begins with a zero."""
    if not value.startswith(b"\x00"):
        return value
    try:
        count, at = _zigzag(value, 5)
        for _ in range(count):
            _, at = _zigzag(value, at)
    except ValueError as error:
        raise ValueError("the frame of the registry ends too early") from error
    return value[at:]


def _zigzag(value: bytes, at: int) -> tuple[int, int]:
    number, at = _varint(value, at)
    return number >> 1 ^ -(number & 1), at


def _varint(value: bytes, at: int) -> tuple[int, int]:
    """Return a number, and the offset after the number."""
    number = shift = 0
    while at < len(value):
        byte = value[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
    raise ValueError("it ends too early")
