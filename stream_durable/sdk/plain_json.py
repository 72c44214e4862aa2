"""Checks for values that are JSON as such.

msgspec encodes too much: NaN as null, bytes as base64, a set as a list. The next step would get a different
value, so such values are refused before.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

import msgspec

from stream_durable.sdk.errors import Problem

#: Deeper values are refused, which also ends the search in a value containing itself.
DEPTH_MAX = 100

#: Why what an async function gives is no value.
COROUTINE = "a coroutine is not JSON: define the function with `async def`"

_ATOMS = frozenset({str, int, bool, type(None)})
_encode = msgspec.json.Encoder().encode


class UnfitError(ValueError):
    """A value cannot be written; `problem` says where and why, without the value."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class NotJsonError(UnfitError):
    """A value cannot be written as JSON."""


def write_plain(value: Any) -> bytes:
    """Return a value as JSON bytes, or raise naming the part unfit for JSON."""
    if value is None:
        return b"null"
    if type(value) not in _ATOMS and not _is_json(value, 0):
        raise NotJsonError(_find(value))
    try:
        return _encode(value)
    except UnicodeEncodeError:
        raise NotJsonError(Problem("", "a text in it is not valid Unicode")) from None
    except (TypeError, ValueError) as error:
        raise NotJsonError(Problem("", str(error))) from None


def _is_json(value: Any, depth: int) -> bool:
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is float:
        return isfinite(value)
    if depth >= DEPTH_MAX:
        return False
    depth += 1
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or (type(item) not in _ATOMS and not _is_json(item, depth)):
                return False
        return True
    if isinstance(value, list | tuple):
        for item in value:  # noqa: SIM110 - `all` with a generator takes twice as long
            if type(item) not in _ATOMS and not _is_json(item, depth):
                return False
        return True
    # Subclasses, such as an enum of texts.
    return isfinite(value) if isinstance(value, float) else isinstance(value, str | int)


def _find(value: Any) -> Problem:
    """Descend to the part refused by `_is_json`."""
    path: list[str] = []
    while len(path) < DEPTH_MAX:
        if isinstance(value, dict):
            items = list(value.items())
        elif isinstance(value, list | tuple):
            items = list(enumerate(value))
        else:
            return Problem(".".join(path), _reason(value))
        for key, item in items:
            if isinstance(value, dict) and not isinstance(key, str):
                return Problem(
                    ".".join(path), f"a key of type {type(key).__name__} is not JSON: keys are texts"
                )
            if not _is_json(item, len(path) + 1):
                path.append(str(key))
                value = item
                break
        else:
            break
    return Problem("", f"it contains itself, or is nested more than {DEPTH_MAX} deep")


def _reason(value: Any) -> str:
    if isinstance(value, float):
        return f"{value} is not a number in JSON"
    name = type(value).__name__
    if name == "coroutine":
        return COROUTINE
    return f"an object of type {name} is not JSON: annotate what the function returns to have it converted"
