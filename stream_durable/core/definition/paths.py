"""Paths such as `input.id` or `charge.number`: the only expressions the reconciler evaluates."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from stream_durable.core.errors import RejectedError
from stream_durable.core.reference import is_reference, parse

_REFERENCE = "$blob"


def root_of(path: str) -> str:
    """Return the first part of a path: `input`, or the name of a step."""
    return path.split(".", 1)[0]


def rest_of(path: str) -> str:
    """Return a path without the first part."""
    return path.partition(".")[2]


def read_path(path: str, value: Any) -> Any:
    """Follow the parts after the root into a decoded JSON value; say which part is missing."""
    parts = path.split(".")
    for at, part in enumerate(parts[1:], 1):
        if isinstance(value, dict) and _REFERENCE in value:
            # Of a value that is elsewhere, put together with others, there is what was picked.
            picked, rest = value.get("picked", {}), ".".join(parts[at:])
            if rest in picked:
                return picked[rest]
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise RejectedError("path_missing", f"nothing is at {path!r}: {part!r} is not there")
    return value


def value_at(path: str, data: bytes) -> Any:
    """Read a path in the JSON of the root, which may be a reference with picked values."""
    if is_reference(data):
        rest = rest_of(path)
        try:
            picked = parse(data).picked
        except msgspec.DecodeError as error:
            raise RejectedError("bad_json", f"nothing can be read at {path!r}: {error}") from error
        if rest not in picked:
            raise RejectedError("path_missing", f"nothing is at {path!r}")
        return picked[rest]
    try:
        decoded = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RejectedError("bad_json", f"nothing can be read at {path!r}: {error}") from error
    return read_path(path, decoded)


def raw_at(path: str, data: bytes) -> bytes:
    """Return the JSON text at a path."""
    if not rest_of(path):
        return data
    try:
        return msgspec.json.encode(value_at(path, data))
    except UnicodeEncodeError as error:
        raise RejectedError("bad_json", f"the value at {path!r} is not valid Unicode") from error


def items_at(path: str, data: bytes) -> list[Raw]:
    """Return the items of the list at a path, each as it is written there."""
    text = msgspec.json.encode(value_at(path, data)) if rest_of(path) or is_reference(data) else data
    try:
        return msgspec.json.decode(text, type=list[Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise RejectedError("not_a_list", f"the value at {path!r} is not a list") from error
