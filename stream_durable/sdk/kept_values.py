"""Values that a function keeps, to JSON and back, by the type that a called function says it returns."""

from __future__ import annotations

import functools
import inspect
from typing import Any, get_type_hints

import msgspec

from stream_durable.core.reference import holds_reference
from stream_durable.sdk.answers import Fail
from stream_durable.sdk.handover import DOES_NOT_FIT, Codec, Codecs, NoCodecError, problems
from stream_durable.sdk.untyped import write_untyped


@functools.lru_cache(256)
def _codec(hint: Any) -> Codec | None:
    try:
        return Codecs().of(hint)
    except NoCodecError:
        return None


def codec_of(hint: Any) -> Codec | None:
    """Return the codec of a type; None: JSON types are read, and any value that is JSON is written."""
    try:
        return None if hint in (Any, None, inspect.Parameter.empty) else _codec(hint)
    except TypeError:  # what cannot be hashed
        return None


@functools.lru_cache(256)
def _hinted(function: Any) -> Any:
    try:
        return get_type_hints(function).get("return", Any)
    except (NameError, TypeError, AttributeError):
        return Any


def returned_by(function: Any) -> Any:
    """Return the type that a function says it returns; `Any`: it does not say."""
    while isinstance(function, functools.partial):
        function = function.func
    try:
        return _hinted(function)
    except TypeError:  # what cannot be hashed
        return Any


def read(codec: Codec | None, data: bytes) -> Any:
    """Return the value of JSON."""
    return msgspec.json.decode(data) if codec is None else codec.read(data)


def written(name: str, codec: Codec | None, value: Any) -> bytes:
    """Return a value to be kept under a name as JSON, or raise `Fail`."""
    try:
        data = write_untyped(value) if codec is None else codec.write(value)
    except DOES_NOT_FIT as error:
        raise _unfit(name, "; ".join(map(str, problems(error)))) from None
    return _own(name, data)


def _own(name: str, data: bytes) -> bytes:
    if holds_reference(data):
        raise _unfit(name, "the key '$blob' stands for a value that is kept elsewhere: take another")
    return data


def _unfit(name: str, why: str) -> Fail:
    return Fail("invalid_note", f"what is kept as {name!r} is no JSON: {why}", retryable=False)
