"""Lists printed again and again, until Ctrl-C."""

from __future__ import annotations

import inspect
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from functools import wraps
from io import StringIO
from typing import Annotated, Any, NamedTuple

import typer

from stream_durable.cli.gathering import gathers
from stream_durable.cli.output import console

#: How soon an interrupt ends the pause between two looks.
_LOOK_SECONDS = 0.05


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


def _repeat(show: Callable[[], None], seconds: float) -> None:
    """Print on a cleared terminal every time, into a pipe only after a change."""
    before = None
    with suppress(KeyboardInterrupt), _interrupts() as asked:
        while not asked:
            if sys.stdout.isatty():
                console().clear()
                show()
            elif (text := _printed(show)) != before:
                sys.stdout.write(text)
                sys.stdout.flush()
                before = text
            again = time.monotonic() + seconds
            while not asked and time.monotonic() < again:
                time.sleep(_LOOK_SECONDS)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collect interrupts, since one may get lost inside a look; the second one ends the look."""
    asked: list[int] = []

    def note(number: int, _: object) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _printed(show: Callable[[], None]) -> str:
    with redirect_stdout(StringIO()) as out:
        show()
    return out.getvalue()
