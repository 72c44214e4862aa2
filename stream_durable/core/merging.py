"""Merging of JSON objects as bytes: fields changed by neither side keep their bytes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


def merged(there: Mapping[str, Raw], given: Mapping[str, Raw], *, deep: bool) -> dict[str, Raw]:
    """Return the fields of both objects; for shared fields `given` wins, objects are merged.

    Lists are not merged. Raises `RecursionError` for deeply nested objects.
    """
    result = dict(there)
    for key, value in given.items():
        held = result.get(key)
        if deep and held is not None and _is_object(held) and _is_object(value):
            value = Raw(_encode(merged(_fields(held), _fields(value), deep=True)))  # noqa: PLW2901
        result[key] = value
    return result


def _is_object(value: Raw) -> bool:
    return bytes(value).lstrip()[:1] == b"{"
