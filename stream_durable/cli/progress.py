"""Shows how far a replay is: a bar for people, lines for logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from stream_durable.cli.output import console

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream_durable.replay.rebuild import Progress

#: Seconds between lines.
_PERIOD_SECONDS: Final = 2.0


@contextmanager
def replay_progress(what: str) -> Iterator[Callable[[Progress], None]]:
    """Return a callback for progress."""
    if sys.stderr.isatty():
        with _bar(what) as tell:
            yield tell
    else:
        yield _Lines(what).tell


@contextmanager
def _bar(what: str) -> Iterator[Callable[[Progress], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("records  {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
        console=console(stderr=True),
    )
    with bar:
        task = bar.add_task(what, total=None, rate=0.0)

        def tell(progress: Progress) -> None:
            total = progress.records + progress.left
            bar.update(task, total=total, completed=progress.records, rate=progress.records_per_s)

        yield tell


class _Lines:
    """A line now and then."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = 0.0

    def tell(self, progress: Progress) -> None:
        """Print the progress, at most once in a while."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PERIOD_SECONDS
        total = progress.records + progress.left
        share = progress.records / total if total else 1.0
        rate = progress.records_per_s
        left = f", {progress.left / rate:.0f} s left" if rate and progress.left else ""
        typer.echo(
            f"{self._what}: {progress.records:,} of {total:,} records ({share:.0%}), {rate:,.0f}/s{left}",
            err=True,
        )
