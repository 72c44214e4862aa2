"""Captures a step function's log records and prints, and stores them with the attempt.

A context variable, set per attempt, tells the attempt of a line. It works in the function, in tasks created
there, in `asyncio.to_thread`, and in the worker's own threads. A thread started by the function has no such
context: there only `ctx.log` is captured, or everything once the thread runs under
`contextvars.copy_context().run`. Passing the context to every new thread would be worse: a pool's threads are
started by one attempt and work for many.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any, Protocol, TextIO

import msgspec

from stream_durable.core.effects import Command
from stream_durable.core.failure import Failure
from stream_durable.core.messages import LogLine
from stream_durable.sdk.step_log import level_of, text_of
from stream_durable.settings import WorkerSettings
from stream_durable.telemetry import ATTEMPT_FAILED, FUNCTION_MISSED, logger

#: What prints instead of logging has no level; it is shown by this word.
PRINTED = "print"
_LEVELS = ("debug", "info", "warning", "error")


class Keeping(msgspec.Struct, frozen=True):
    """The limits for log lines of an attempt. Lines over the limit are counted in a last line."""

    #: The levels below this one are left out; `none`: no line is kept.
    level: str = "debug"
    #: Whether what is printed is kept.
    prints: bool = True
    lines_max: int = 200
    line_length_max: int = 2_000
    bytes_max: int = 64 * 1024

    def leaves_out(self, level: str) -> bool:
        """Return whether lines of this level are dropped."""
        if level == PRINTED:
            return not self.prints or self.level == "none"
        return self.level == "none" or level in _LEVELS[: _LEVELS.index(self.level)]


ALL = Keeping()


def keeping_of(settings: WorkerSettings) -> Keeping:
    """Return a worker's limits for kept log lines."""
    return Keeping(
        level=settings.step_log_level,
        prints=settings.step_log_print,
        lines_max=settings.step_log_lines_max,
        line_length_max=settings.step_log_line_length_max,
        bytes_max=settings.step_log_bytes_max,
    )


#: What a line needs beside its text.
_AROUND_BYTES = 40
_OURS = "stream_durable."
#: Of one worker; names come with commands, so there is no other bound.
_MISSED_MAX = 1_000
_log = logger(__name__)
_encode = msgspec.json.Encoder().encode


class Writer(Protocol):
    """An attempt receiving the function's log lines."""

    def wrote(self, level: str, text: str, /) -> None:
        """Keep a line."""

    def printed(self, text: str, /) -> None:
        """Keep printed text, possibly without whole lines."""

    @property
    def whose(self) -> Mapping[str, object]:
        """The fields identifying the attempt's lines: workflow, run, step and attempt."""


#: The attempt that the running code belongs to.
WRITER: ContextVar[Writer | None] = ContextVar("stream_durable_attempt", default=None)


def _now() -> int:
    return time.time_ns() // 1_000_000


class Lines:
    """The lines of an attempt, bounded. Shared by all threads of the attempt."""

    __slots__ = ("_bytes", "_dropped", "_keeping", "_lines", "_lock", "_now", "_partial")

    def __init__(self, now: Callable[[], int] = _now, keeping: Keeping = ALL) -> None:
        """Nothing written yet; `now` returns milliseconds since the epoch."""
        self._now = now
        self._keeping = keeping
        self._lines: list[LogLine] = []
        self._bytes = 0
        self._dropped = 0
        #: What was printed since the last end of a line.
        self._partial = ""
        self._lock = Lock()

    def add(self, level: str, text: str) -> None:
        """Keep a line, or count the line as left out."""
        if self._keeping.leaves_out(level):
            return
        with self._lock:
            self._add(level, text)

    def print(self, text: str) -> None:
        """Keep the lines that end here, and the beginning of the next."""
        if self._keeping.leaves_out(PRINTED):
            return
        with self._lock:
            *whole, rest = text.split("\n")
            for line in whole:
                self._add(PRINTED, self._partial + line)
                self._partial = ""
            if len(self._partial) <= self._keeping.line_length_max:
                self._partial += rest[: self._keeping.line_length_max + 1]

    def taken(self) -> tuple[LogLine, ...]:
        """Return all lines; if some were left out the last one says how many."""
        with self._lock:
            if self._partial:
                self._add(PRINTED, self._partial)
                self._partial = ""
            if self._dropped:
                lines = "line was" if self._dropped == 1 else "lines were"
                self._lines.append(LogLine(self._now(), "info", f"({self._dropped} more {lines} left out)"))
                self._dropped = 0
            return tuple(self._lines)

    def _add(self, level: str, text: str) -> None:
        keeping = self._keeping
        if self._dropped or len(self._lines) >= keeping.lines_max:
            self._dropped += 1
            return
        if len(text) > keeping.line_length_max:
            text = text[: keeping.line_length_max - 3] + "..."
        # Lone surrogates can be in a file's name; no encoder takes them.
        text = text.encode("utf-8", "replace").decode()
        size = len(_encode(text)) + _AROUND_BYTES
        if self._bytes + size > keeping.bytes_max:
            self._dropped += 1
            return
        self._bytes += size
        self._lines.append(LogLine(self._now(), level, text))


@contextmanager
def captured() -> Iterator[None]:
    """Capture logging and standard output within the block; both continue as before.

    Both belong to the process, so several workers in one process install the capture once. Existing handlers
    get records marked with the attempt.
    """
    global _listening  # noqa: PLW0603 - like the two things that are listened to
    root = logging.getLogger()
    if not _listening:
        for handler in root.handlers:
            handler.addFilter(_mark)
        root.addHandler(_records)
        sys.stdout = _Output(sys.stdout)
    _listening += 1
    try:
        yield
    finally:
        _listening -= 1
        if not _listening:
            root.removeHandler(_records)
            for handler in root.handlers:
                handler.removeFilter(_mark)
            if isinstance(sys.stdout, _Output):
                sys.stdout = sys.stdout.stream


_listening = 0


def listen_on() -> None:
    """Capture the present standard output: a program may have replaced the stream since."""
    if type(sys.stdout) is not _Output and _listening:
        sys.stdout = _Output(sys.stdout)


def _mark(record: logging.LogRecord) -> bool:
    """Add run, step and attempt to a record, as `ctx.log` does; existing fields stay."""
    writer = WRITER.get()
    if writer is not None and not record.name.startswith(_OURS):
        for name, value in writer.whose.items():
            record.__dict__.setdefault(name, value)
    return True


class _Records(logging.Handler):
    """Routes each record to its attempt, except records of this package."""

    def emit(self, record: logging.LogRecord) -> None:
        writer = WRITER.get()
        if writer is not None and not record.name.startswith(_OURS):
            writer.wrote(level_of(record.levelno), text_of(record))


_records = _Records()


class _Output:
    """Standard output, copying each write to the running attempt."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        writer = WRITER.get()
        if writer is not None:
            writer.printed(text)
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def whose(command: Command) -> dict[str, object]:
    """Return the fields identifying an attempt's lines."""
    return {
        "workflow": command.workflow,
        "run": command.run,
        "step": command.step,
        "attempt": command.attempt,
    }


def tell_failure(command: Command, failure: Failure) -> None:
    """Log a failed attempt, with the stack trace."""
    _log.warning(
        ATTEMPT_FAILED,
        **whose(command),
        code=failure.code,
        reason=failure.message,
        trace=failure.trace,
    )


class Missed:
    """Steps without code in a worker: each is logged once."""

    def __init__(self) -> None:
        """None yet."""
        self._named: set[tuple[str, str]] = set()

    def tell(self, command: Command, reason: str) -> None:
        """Log that a command is given back for lack of a function."""
        function = (command.workflow, command.function or command.step)
        if function not in self._named and len(self._named) < _MISSED_MAX:
            self._named.add(function)
            _log.warning(
                FUNCTION_MISSED,
                workflow=command.workflow,
                run=command.run,
                step=command.step,
                reason=reason,
            )
