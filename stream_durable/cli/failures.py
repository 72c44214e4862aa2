"""Failures in the output of commands: one line in tables, and stack traces below."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import PurePath
from textwrap import indent
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from stream_durable.core.failure import Failure

#: Different stack traces that are printed below a table; members of a group mostly fail for the same reason.
_TRACES_MAX: Final = 5
_FRAME: Final = re.compile(r'^ *File "(.+)", line (\d+), in (.+)$', re.MULTILINE)


class Failed(dict[str, Any]):
    """A failure: an object for programs, one line for people by `str`."""

    @classmethod
    def read(cls, failure: bytes | None) -> Failed | None:
        """Decode a stored failure."""
        return None if failure is None else cls(json.loads(failure))

    @classmethod
    def of(cls, failure: Failure | None) -> Failed | None:
        """Convert a failure from the client."""
        import msgspec

        return None if failure is None else cls(msgspec.to_builtins(failure))

    def __str__(self) -> str:
        """Return code, message and source line."""
        text = f"{self['code']}: {self['message']}" if self.get("message") else self["code"]
        return f"{text} ({place})" if (place := self.place) else text

    @property
    def trace(self) -> str:
        """The stack trace; empty where no exception was raised."""
        return self.get("trace") or ""

    @property
    def place(self) -> str:
        """The last line of code in the stack trace."""
        frames = _FRAME.findall(self.trace)
        if not frames:
            return ""
        file, line, function = frames[-1]
        return f"{PurePath(file).name}:{line} in {function}"


def print_traces(found: Iterable[tuple[str, Failed | None]]) -> None:
    """Print the stack traces of failures by step, equal traces once."""
    whose: dict[str, list[str]] = {}
    for name, failure in found:
        if failure is not None and failure.trace:
            whose.setdefault(failure.trace, []).append(name)
    for trace, names in list(whose.items())[:_TRACES_MAX]:
        others = f" and {len(names) - 1} more" if len(names) > 1 else ""
        typer.echo(f"\n{names[0]}{others}:\n{indent(trace.rstrip(), '  ')}")
    if len(whose) > _TRACES_MAX:
        left = len(whose) - _TRACES_MAX
        typer.echo(f"\nThere are {left} more stack traces: --output json has all of them.", err=True)
