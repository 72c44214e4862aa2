"""Encodes values without a declared type to JSON, by their runtime type.

Plain JSON values are written as such. Models, and all other values pydantic can encode, are written as in a
step's output, also within lists and dicts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from stream_durable.sdk.errors import Problem
from stream_durable.sdk.handover import Codecs, NoCodecError, Write
from stream_durable.sdk.plain_json import NotJsonError, write_plain


def write_untyped(value: Any) -> bytes:
    """Return a value as JSON bytes, or raise an error of `handover.DOES_NOT_FIT`."""
    try:
        return write_plain(value)
    except NotJsonError:
        return write_plain(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return msgspec.json.decode(_writer(type(value))(value))  # type: ignore[arg-type]  # a class can be hashed


@lru_cache(256)
def _writer(kind: Any) -> Write:
    try:
        return Codecs().of(kind).write
    except NoCodecError:
        name = getattr(kind, "__name__", kind)
        raise NotJsonError(Problem("", f"an object of type {name} is not JSON")) from None
