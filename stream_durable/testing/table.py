"""A run as a table for people: the status of each step, causes of waiting, and failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from stream_durable.client.waiting import words
from stream_durable.core.failure import Failure
from stream_durable.core.names import MEMBERS_MAX, group_of
from stream_durable.core.run.cause import Cause
from stream_durable.core.run.explain import causes, status_of
from stream_durable.core.run.rows import phase
from stream_durable.core.run.state import Run
from stream_durable.core.status import COMPLETED, PENDING, READY, STEP_ENDED

HEAD: Final = ("step", "status", "attempt", "waits for", "failure")
#: A table is there to be looked at; what is wrong with a group is seen at its first members too.
STEPS_MAX: Final = 200
_TEXT_MAX: Final = 100

#: The effect of a due time, if other than the end of the wait.
_OTHERWISE: Final = frozenset({"event", "signal", "input", "worker", "answer"})


def run_table(run: Run, now: int) -> str:
    """Return a run as a title and a table of its steps."""
    all_rows = _folded([_row(run, i, now) for i in range(run.graph.size)])
    rows = [HEAD, *all_rows[:STEPS_MAX]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    if len(all_rows) > STEPS_MAX:
        lines.append(f"  and {len(all_rows) - STEPS_MAX} more")
    return "\n".join([_title(run, now), *lines])


def _folded(rows: list[Sequence[str]]) -> list[Sequence[str]]:
    """Return the rows with the completed members of large groups counted on one line for each group."""
    sizes = Counter(group_of(row[0]) for row in rows)
    done = Counter(group_of(row[0]) for row in rows if row[1] == COMPLETED)
    left: list[Sequence[str]] = []
    counted: set[str] = set()
    for row in rows:
        group = group_of(row[0])
        if group is None or sizes[group] <= MEMBERS_MAX or row[1] != COMPLETED:
            left.append(row)
        elif group not in counted:
            counted.add(group)
            left.append((f"{group}[...]", f"{done[group]} {COMPLETED}", "", "", ""))
    return left


def said(cause: Cause, now: int) -> str:
    """Return a cause of waiting in words."""
    text = words(cause)
    if cause.due is None:
        return text
    when = span(cause.due - now)
    return f"{text}, {when} left" if cause.kind in _OTHERWISE else f"{text}, in {when}"


def said_all(found: Iterable[Cause], now: int) -> str:
    """Return all causes of waiting in one line."""
    return "; ".join(said(cause, now) for cause in found)


def span(millis: int) -> str:
    """Return a length of time as durations are written, its two largest units.

    >>> span(7_200_000), span(90_500), span(1_500), span(0)
    ('2h', '1m30s', '1s500ms', '0ms')
    """
    if millis < 0:
        return f"-{span(-millis)}"
    parts = []
    for name, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, millis = divmod(millis, size)
        if count:
            parts.append(f"{count}{name}")
        elif parts:
            break
    return "".join(parts[:2]) or "0ms"


def _title(run: Run, now: int) -> str:
    title = f"run {run.id} of workflow {run.graph.name} is {phase(run)}"
    if run.ended is not None:
        title += f", {span(run.ended - run.created)} after its start"
    else:
        title += f", {span(now - run.created)} after its start"
    if run.failure is not None:
        title += f": {_failed(run.failure)}"
    return title


def _row(run: Run, i: int, now: int) -> Sequence[str]:
    step = run.steps.get(i)
    status = status_of(run, i)
    attempt = int(status == READY) if step is None else step.attempt if status != PENDING else 0
    if step is not None and step.detail is not None and step.detail.is_idle:
        attempt = 0
    failure = "" if step is None or step.failure is None else _failed(step.failure)
    if step is not None and status == COMPLETED:
        failure = ""
    waits = "" if status in STEP_ENDED else said_all(causes(run, i), now)
    return run.graph.names[i], status, str(attempt or ""), _short(waits), _short(failure)


def _failed(failure: Failure) -> str:
    text = f"{failure.code}: {failure.message}" if failure.message else failure.code
    return text.splitlines()[0]


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 3]}..."
