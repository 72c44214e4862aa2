"""The line of steps waiting for a place under their workflow's `concurrency`.

A step with an attempt at a worker holds a place from beginning to end: between attempts, too, and until a
stopped attempt has answered. Waits, children and groups hold none, so the holder of a place never waits for
another. Steps in line have a row; without `concurrency` there is no line.
"""

from __future__ import annotations

from heapq import heappop, heappush

from stream_durable.core.run.state import Detail, Run, Step
from stream_durable.core.status import PENDING

#: Why a step in line is held.
IN_LINE = "run"


def has_place(run: Run, i: int) -> bool:
    """Say whether a step may begin as far as its workflow bounds how many do."""
    limit = run.graph.limit
    return limit is None or run.active < limit or run.graph.work[i] is None


def get_in(run: Run, i: int) -> None:
    """Put a step in line."""
    if run.line is None:
        run.line = []
    heappush(run.line, i)


def next_in_line(run: Run) -> list[int]:
    """Take out of the line what may begin now, in the order of the definition."""
    limit, ready = run.graph.limit, list[int]()
    while limit is not None and run.line and run.active + len(ready) < limit:
        i = heappop(run.line)
        detail = _in_line(run.steps.get(i))
        if detail is not None:
            # It may have to wait for something else yet.
            detail.held = ""
            run.touched[i] = None
            ready.append(i)
    return ready


def count(run: Run) -> None:
    """Find the line again in what is stored."""
    run.line = None
    if run.graph.limit is not None:
        run.line = sorted(i for i, step in run.steps.items() if _in_line(step) is not None)


def _in_line(step: Step | None) -> Detail | None:
    if step is None or step.status != PENDING or step.detail is None:
        return None
    return step.detail if step.detail.held == IN_LINE else None
