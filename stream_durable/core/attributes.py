"""Typed attributes of runs: values for filters, orders and columns of lists."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, assert_never

from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import Attribute, AttributeKind

#: How many attributes a run has, and how long names and texts are, at most.
ATTRIBUTES_MAX: Final = 32
NAME_BYTES_MAX: Final = 64
TEXT_BYTES_MAX: Final = 1_000

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
#: Integers beyond this are no exact numbers in the index.
_EXACT_MAX: Final = 1 << 53
_MOMENT_OFFSET: Final = 1 << 60
#: The first letter of a key, by kind: values of one kind stand together.
_LETTERS: Final[dict[AttributeKind, str]] = {"truth": "b", "moment": "m", "number": "n", "text": "t"}
#: For people: what a value of a kind is.
DESCRIBED: Final[dict[AttributeKind, str]] = {
    "text": "a text", "number": "a number", "truth": "true or false", "moment": "a moment",
}  # fmt: skip


def attribute_of(name: object, value: object) -> Attribute:
    """Return an attribute, or raise `RejectedError` with code `bad_attribute`."""
    named = checked_name(name)
    if isinstance(value, bool):
        return Attribute(named, "truth", value)
    if isinstance(value, str):
        return Attribute(named, "text", _text(named, value))
    if isinstance(value, int | float | Decimal):
        return Attribute(named, "number", _number(named, value))
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise _bad(named, f"{value.isoformat()} has no time zone: write datetime.now(UTC)")
        return Attribute(named, "moment", int(value.timestamp() * 1_000))
    raise _bad(named, f"takes a text, a number, true or false, or a moment, not {type(value).__name__}")


def attributes_of(given: Mapping[str, Any]) -> tuple[Attribute, ...]:
    """Return several attributes, or raise `RejectedError`."""
    if len(given) > ATTRIBUTES_MAX:
        raise too_many(len(given))
    return tuple(attribute_of(name, value) for name, value in given.items())


def check(attributes: tuple[Attribute, ...]) -> None:
    """Raise `RejectedError` for an attribute with a value of another kind, or too large."""
    if len({one.name for one in attributes}) < len(attributes):
        raise RejectedError("bad_attribute", "one attribute is given twice")
    for one in attributes:
        made = attribute_of(one.name, value_of(one))
        if made.kind != one.kind:
            raise _bad(one.name, f"is {DESCRIBED[one.kind]} by its kind, and holds {DESCRIBED[made.kind]}")


def value_of(attribute: Attribute) -> str | float | bool | datetime:
    """Return the value of an attribute as authors give it."""
    value = attribute.value
    if attribute.kind != "moment":
        return value
    try:
        return datetime.fromtimestamp(float(value) / 1_000, UTC)
    except (ValueError, OverflowError, OSError):
        raise _bad(attribute.name, f"{str(value)[:100]} milliseconds are no moment") from None


def key_of(attribute: Attribute) -> str:
    """Return a text for sorting, byte by byte, like the values of the kind."""
    kind, value = attribute.kind, attribute.value
    if kind == "text":
        rest = str(value)
    elif kind == "truth":
        rest = "1" if value else "0"
    elif kind == "moment":
        rest = f"{int(value) + _MOMENT_OFFSET:016x}"
    elif kind == "number":
        [bits] = struct.unpack(">Q", struct.pack(">d", float(value) + 0.0))
        rest = f"{bits ^ (0xFFFFFFFFFFFFFFFF if bits >> 63 else 1 << 63):016x}"
    else:
        assert_never(kind)
    return _LETTERS[kind] + rest


def keys_of_kind(kind: AttributeKind) -> tuple[str, str]:
    """Return the range of all keys of a kind: from the first to before the second."""
    letter = _LETTERS[kind]
    return letter, chr(ord(letter) + 1)


def checked_name(name: object) -> str:
    """Return a name of an attribute, or raise `RejectedError`."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > NAME_BYTES_MAX:
        raise RejectedError(
            "bad_attribute",
            f"{str(name)[:100]!r} is no name of an attribute: it has letters, digits, _ and -, begins with "
            f"a letter, and has at most {NAME_BYTES_MAX} of them",
        )
    return name


def too_many(count: int) -> RejectedError:
    """Return the refusal of more attributes than a run may have."""
    text = f"a run would have {count} attributes, and {ATTRIBUTES_MAX} are the most"
    return RejectedError("too_many_attributes", text)


def _text(name: str, value: str) -> str:
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise _bad(name, "is a text that UTF-8 does not know") from None
    if size > TEXT_BYTES_MAX or "\0" in value:
        raise _bad(name, f"takes at most {TEXT_BYTES_MAX} bytes without zero, not {size}")
    return str.__str__(value)


def _number(name: str, value: float | Decimal) -> float:
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, int):
        if abs(value) > _EXACT_MAX:
            raise _bad(name, "is a whole number beyond 2^53, which is not kept exactly: give a text")
        return int(value)
    if not math.isfinite(value):
        raise _bad(name, f"{value} is no number that can be compared")
    return float(value)


def _bad(name: str, reason: str) -> RejectedError:
    return RejectedError("bad_attribute", f"attribute {name!r}: {reason}")
