"""The places of definitions in the author's files, for faults to point at."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

#: Modules between us and the author; `Workflow[In, Out](...)` is called by `typing`.
_OURS = (__package__ + ".", "typing")


class Origin(NamedTuple):
    """A line of the author's code, written as editors and terminals understand it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def author_frame() -> FrameType:
    """Return the innermost frame outside this package: the author's call."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame = frame.f_back
    return frame


def origin_of_call(frame: FrameType) -> Origin:
    """Return the current line of a frame."""
    return Origin(frame.f_code.co_filename, frame.f_lineno)


def origin_of_function(function: Callable[..., Any], frame: FrameType) -> Origin:
    """Return the first line of a function, or the line of the call for a callable without code."""
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        return Origin(code.co_filename, code.co_firstlineno)
    return origin_of_call(frame)


def local_names(frame: FrameType) -> dict[str, Any]:
    """Return names for annotations beyond globals: a class local to the calling function."""
    return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)
