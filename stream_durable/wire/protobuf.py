"""Values in Protobuf, by descriptors in the declaration, read as Protobuf's own JSON."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import Any

import msgspec

from stream_durable.core.bindings import Described
from stream_durable.core.errors import RejectedError


def reader_of(text: str) -> Callable[[bytes], Any]:
    """Return a reader for values of a described type, with and without the frame of a registry."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, json_format  # noqa: PLC0415 - an extra
        from google.protobuf.message import DecodeError  # noqa: PLC0415
        from google.protobuf.message_factory import GetMessageClass  # noqa: PLC0415
    except ImportError as error:
        text = f"a binding reads Protobuf, and the library is not installed ({error})"
        raise RejectedError("no_protobuf", f"{text}: install stream-durable[protobuf]") from error
    described = msgspec.json.decode(text, type=Described)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(b64decode(described.files)).file:
        pool.Add(file)
    kind = GetMessageClass(pool.FindMessageTypeByName(described.message))

    def read(value: bytes) -> Any:
        try:
            found = kind.FromString(_body(value))
            return json_format.MessageToDict(
                found, preserving_proto_field_name=True, always_print_fields_with_no_presence=True,
                descriptor_pool=pool,
            )  # fmt: skip
        except (DecodeError, json_format.Error, UnicodeDecodeError, ValueError) as error:
            text = f"the value is not Protobuf of type {described.message}: {error}"
            raise RejectedError("unreadable", text) from error

    return read


def _body(value: bytes) -> bytes:
    """Return a value without the frame of a registry; no field of Protobuf begins with a zero."""
    if not value.startswith(b"\x00"):
        return value
    count, at = _varint(value, 5)
    for _ in range(count):
        _, at = _varint(value, at)
    return value[at:]


def _varint(value: bytes, at: int) -> tuple[int, int]:
    """Return a number in zigzag, and where it ends."""
    number = shift = 0
    while at < len(value):
        byte = value[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number >> 1 ^ -(number & 1), at
    raise ValueError("the frame of the registry ends too early")
