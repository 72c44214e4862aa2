"""Large values by reference: the place of the bytes instead of the bytes.

A reference is itself JSON, so it travels like any value without special treatment: into rows, commands,
outputs of runs. Parts read by the reconciler travel along.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Raw

#: The beginning of every reference, and the mark of a composed value with references.
PREFIX = b'{"$blob":['
MARK = b'"$blob"'


class Reference(msgspec.Struct, frozen=True, omit_defaults=True):
    """The place of a value: a record of the topic of large values, with a check of identity."""

    place: tuple[int, int, int, str] = msgspec.field(name="$blob")
    #: Values at the paths read by the reconciler, by the rest of the path.
    picked: dict[str, Any] = {}

    @property
    def partition(self) -> int:
        """The partition of the record."""
        return self.place[0]

    @property
    def offset(self) -> int:
        """The offset of the record."""
        return self.place[1]

    @property
    def size(self) -> int:
        """How many bytes the value has."""
        return self.place[2]

    @property
    def digest(self) -> str:
        """The sha256 of the value."""
        return self.place[3]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Reference).decode


def reference(partition: int, offset: int, data: bytes, picked: dict[str, Raw]) -> bytes:
    """Return the reference to `data`, stored as a record at this position."""
    return _encode(Reference((partition, offset, len(data), sha256(data).hexdigest()), dict(picked)))


def is_reference(data: bytes) -> bool:
    """Say whether a value is a reference."""
    return data.startswith(PREFIX)


def holds_reference(data: bytes) -> bool:
    """Return whether a value is, or contains, an apparent reference.

    Values made by others must not: their readers would receive a value of another run.
    """
    # A letter of the key may be written as its number; read and written again it is the key.
    is_suspect = MARK in data or b"\\u00" in data
    return is_suspect and (is_reference(data) or _holds(msgspec.json.decode(data)))


def _holds(value: Any) -> bool:
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if _is_place(value.get("$blob")):
                return True
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return False


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and list(map(type, value)) == [int, int, int, str]


def parse(data: bytes) -> Reference:
    """Decode a reference; raise `msgspec.DecodeError` for an imitation."""
    return _decode(data)
