"""Paths such as `input.id` or `charge.number`: the only expressions the reconciler evaluates."""

from __future__ import annotations

from typing import Any

from stream_durable.core.errors import RejectedError


def root_of(path: str) -> str:
    """Return the first part of a path: `input`, or the step whose output it reads."""
    return path.split(".", 1)[0]


def read_path(path: str, value: Any) -> Any:
    """Follow the parts after the root into a decoded JSON value; say which part is missing."""
    for part in path.split(".")[1:]:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            raise RejectedError("path_missing", f"nothing is at {path!r}: {part!r} is not there")
    return value
