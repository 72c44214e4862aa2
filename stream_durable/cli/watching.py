"""Lists printed again and again, until Ctrl-C."""

from __future__ import annotations

import inspect
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from functools import wraps
from io import StringIO
from typing import Annotated, Any, NamedTuple, NoReturn

import typer

from stream_durable.cli.gathering import gathers
from stream_durable.cli.output import console
from stream_durable.core.errors import SystemicError, TransientError


class Watch(NamedTuple):
    """Whether and how often a list is printed again. Each field is an option of every list."""

    watch: Annotated[bool, typer.Option("--watch", help="Print it again when it changes, until Ctrl-C.")] = (
        False
    )
    every: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between looks of --watch.")] = 2.0


def watches(command: Callable[..., None]) -> Callable[..., None]:
    """Give a list the options of `Watch`."""
    own = inspect.signature(command, eval_str=True)

    @wraps(command)
    def watched(*, watch: Watch, **given: Any) -> None:
        if watch.watch:
            _repeat(lambda: command(**given), watch.every)
        else:
            command(**given)

    added = inspect.Parameter("watch", inspect.Parameter.KEYWORD_ONLY, annotation=Watch)
    watched.__signature__ = own.replace(  # type: ignore[attr-defined]  # what `gathers` reads
        parameters=[*own.parameters.values(), added]
    )
    return gathers(watched, Watch, "watch")


@contextmanager
def ends_at_interrupt(before: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let Ctrl-C end the process within the block at once, after `before`.

    As an exception it may get lost in a library, and it waits for threads that wait for a silent broker.
    """

    def end(_: int, __: object) -> None:
        before()
        leave()

    other = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, other)


def leave() -> NoReturn:
    """End the process as it is; nothing that is watched leaves anything to be done."""
    # What is printed just now may be interrupted.
    with suppress(RuntimeError, OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)


def passes(error: TransientError) -> bool:
    """Return whether one who watches waits for the end of a problem.

    A server that does not answer comes back. One that refuses everybody, as for a wrong password, takes a
    person.
    """
    return not isinstance(error, SystemicError)


@contextmanager
def told_of_retries(say: Callable[[str], None]) -> Iterator[None]:
    """Pass on why calls are repeated in the block, in place of lines in the log over what is shown."""
    from stream_durable.telemetry import ROOT

    handler, ours = _Retries(say), logging.getLogger(ROOT)
    ours.addHandler(handler)
    try:
        yield
    finally:
        ours.removeHandler(handler)


class _Retries(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        from stream_durable.telemetry import DEPENDENCY_FAILED

        line: Any = record.msg
        if isinstance(line, dict) and line.get("event") == DEPENDENCY_FAILED:
            self._say(line["reason"])
        elif logging.lastResort is not None:
            logging.lastResort.handle(record)


class _Shown:
    """What was printed last, and why nothing newer is."""

    def __init__(self) -> None:
        self._is_screen = sys.stdout.isatty()
        self._out, self._err = sys.stdout, sys.stderr
        self._text: str | None = None
        self._reason = ""
        self._at = ""

    @property
    def is_empty(self) -> bool:
        return self._text is None

    def look(self, show: Callable[[], None]) -> None:
        """Print on a cleared terminal every time, into a pipe only after a change."""
        text, before = self._printed(show), self._text
        self._text, self._reason, self._at = text, "", time.strftime("%H:%M:%S")
        if self._is_screen:
            self._draw()
        elif text != before:
            self._out.write(text)
            self._out.flush()

    def note(self, reason: str) -> None:
        """Say why there is nothing newer, once for each reason."""
        if self._reason and self._reason in reason:
            return
        self._reason = reason
        if self._is_screen:
            self._draw()
        else:
            self._err.write(f"Waiting: {reason}\n")
            self._err.flush()

    def _draw(self) -> None:
        with redirect_stdout(self._out):
            console().clear()
        self._out.write(self._text or "")
        if self._reason:
            since = f" This is as of {self._at}." if self._text is not None else ""
            self._out.write(f"\nWaiting: {self._reason}.{since}\n")
        self._out.flush()

    def _printed(self, show: Callable[[], None]) -> str:
        if not self._is_screen:
            with redirect_stdout(StringIO()) as out:
                show()
            return out.getvalue()
        # First all of it: until it is there, the picture before stays.
        with redirect_stdout(_Screen()) as out, redirect_stderr(out):
            show()
        return out.getvalue()


class _Screen(StringIO):
    """Text that is to be printed on a terminal, with its colours and widths."""

    def isatty(self) -> bool:
        return True


def _repeat(show: Callable[[], None], seconds: float) -> NoReturn:
    """Print again and again; what is away for a moment is waited for once there is something to show."""
    shown = _Shown()
    with ends_at_interrupt(), told_of_retries(shown.note):
        while True:
            try:
                shown.look(show)
            except TransientError as error:
                if shown.is_empty or not passes(error):
                    raise
                shown.note(str(error))
            time.sleep(seconds)
