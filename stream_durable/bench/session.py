"""One call of the benchmark: services up, samples in turn, figures out, nothing left behind."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from stream_durable.bench.errors import BenchError, UnknownWorkloadError
from stream_durable.bench.measure import measure, warm
from stream_durable.bench.page import missing
from stream_durable.bench.prototype import Prototype
from stream_durable.bench.report import Row, Sample, line, row, tables
from stream_durable.bench.services import Services, services
from stream_durable.bench.workloads import WORKLOADS, Workload

Say = Callable[[str], None]

#: Narrower, the tables cannot be read; a terminal breaks the lines by itself.
_WIDTH_MIN: Final = 104


def measure_all(
    names: Sequence[str], *, json: bool, repeat: int, n: int | None, prototype: Path | None
) -> None:
    """Measure and print; what was measured before an error is printed all the same."""
    workloads = _chosen(names)
    if repeat < 1 or (n is not None and n < 1):
        raise BenchError("repeat and n are at least 1")
    rows: list[Row] = []
    with _ending_on_sigterm(), _progress() as say:
        if WORKLOADS["page"] in workloads and (lack := missing()):
            if "page" in names:
                raise BenchError(lack)
            say(f"without the page: {lack}")
            workloads.remove(WORKLOADS["page"])
        try:
            say("starting Kafka and Postgres")
            with services() as found:
                other = Prototype(prototype, found) if prototype is not None else None
                say("warming them up")
                warm(found, WORKLOADS["chain"], n or WORKLOADS["chain"].n)
                for workload in workloads:
                    found.renew_postgres()
                    rows.append(_measured(found, workload, n or workload.n, repeat, other, say))
                    if json:
                        _print_line(rows[-1])
        finally:
            if rows and not json:
                _print_tables(rows)


def _chosen(names: Sequence[str]) -> list[Workload]:
    if unknown := [name for name in names if name not in (*WORKLOADS, "all")]:
        there = ", ".join(WORKLOADS)
        raise UnknownWorkloadError(f"no such workload: {', '.join(unknown)}; there are {there} and all")
    wanted = WORKLOADS if "all" in names else dict.fromkeys(names)
    return [WORKLOADS[name] for name in wanted]


def _measured(
    found: Services, workload: Workload, n: int, repeat: int, other: Prototype | None, say: Say
) -> Row:
    """Take the samples of one workload, ours and the prototype's in turn.

    Every other time the prototype comes first: the second one finds the broker better compiled.
    """
    ours: list[Sample] = []
    theirs: list[Sample] = []
    turns: list[tuple[str, Callable[[], None]]] = [("", lambda: ours.append(measure(found, workload, n)))]
    if (prototype := other) is not None and workload.prototype is not None:
        turns.append((", the prototype", lambda: theirs.append(prototype.measure(workload, n))))
    for i in range(repeat):
        at = f"{workload.name}, {n:,}: {i + 1} of {repeat}"
        for whose, take in turns if i % 2 == 0 else reversed(turns):
            say(at + whose)
            try:
                take()
            except BenchError as error:
                raise BenchError(f"{at}{whose}: {error}") from error
    return row(workload.name, n, ours, theirs)


def _print_line(shown: Row) -> None:
    sys.stdout.write(line(shown) + "\n")
    sys.stdout.flush()


def _print_tables(rows: Sequence[Row]) -> None:
    console = Console()
    console.width = max(console.width, _WIDTH_MIN)
    for table in tables(rows):
        console.print(table)


@contextmanager
def _progress() -> Iterator[Say]:
    """Print the progress: on a terminal in one changing line, otherwise line by line."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: console.print(text, soft_wrap=True)
        return
    with console.status("") as status:
        yield status.update


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM act like Ctrl-C, so that everything is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
