"""Figures for overviews: runs of workflows, runs over time, and children of many runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.client.listing import LIMIT_MAX
from stream_durable.core.errors import RejectedError
from stream_durable.core.moments import moment
from stream_durable.ports import WorkflowFigures
from stream_durable.sdk.durations import Duration, milliseconds

#: How far the runs of a stretch are counted, and how many stretches there may be.
STRETCH_MAX: Final = 10_000
STRETCHES_MAX: Final = 200


class WorkflowEntry(NamedTuple):
    """A workflow with figures about the runs."""

    name: str
    #: Number of open runs, and of the waiting ones among them.
    open: int
    waiting: int
    #: Dead letters: runs that failed for good, undone or not, unless somebody cancelled them.
    failed: int
    #: Runs created within the time asked for, and how many of them completed.
    started: int
    completed: int
    #: When the newest run was created, and its status; None: there was no run yet.
    last_created: datetime | None
    last_status: str | None


class Stretch(NamedTuple):
    """A stretch of time."""

    #: When it began.
    at: datetime
    #: Runs created within it, and how many of them failed.
    created: int
    failed: int


class Flow(NamedTuple):
    """Runs over time, in stretches of one length, the oldest first."""

    stretches: list[Stretch]
    #: The length of a stretch in milliseconds.
    width: int
    #: False: stretches with `STRETCH_MAX` runs may have more.
    is_exact: bool


async def flow(edge: Edge, since: Duration, count: int) -> Flow:
    """Return the runs created within a time, in so many stretches, up to now."""
    if not 1 <= count <= STRETCHES_MAX:
        raise RejectedError("bad_limit", f"flow takes 1 to {STRETCHES_MAX} stretches, not {count}")
    now, views = since_epoch("now", edge.now()), edge.ports.views
    width = max(1, milliseconds(since) // count)
    found = await edge.ask(
        lambda: views.run_flow(now - width * count + 1, width=width, count=count, at_most=STRETCH_MAX),
        "count runs over time",
    )
    stretches = [Stretch(moment(one.at), one.created, one.failed) for one in found]
    return Flow(stretches, width, all(one.created < STRETCH_MAX for one in found))


async def workflow_entries(edge: Edge, since: Duration) -> list[WorkflowEntry]:
    """Return every registered workflow with its figures, by name."""
    catalogue, views = edge.ports.catalogue, edge.ports.views
    from_then_on = since_epoch("now", edge.now()) - milliseconds(since)
    await edge.ask(catalogue.catch_up, "read the definitions")
    names = catalogue.workflows()
    found = await edge.ask(lambda: views.workflow_figures(names, since=from_then_on), "count runs")
    return list(map(_entry, found))


async def child_counts(edge: Edge, runs: Sequence[str]) -> dict[str, int]:
    """Count the children of each of these runs in one query."""
    if isinstance(runs, str) or len(runs) > LIMIT_MAX:
        raise RejectedError("bad_limit", f"child_counts takes a list of at most {LIMIT_MAX} ids of runs")
    views = edge.ports.views
    found = await edge.ask(lambda: views.child_counts(runs), "count children")
    return {run: found.get(run, 0) for run in runs}


def _entry(row: WorkflowFigures) -> WorkflowEntry:
    last = moment(row.last_created)
    return WorkflowEntry(
        row.workflow, row.open, row.waiting, row.failed, row.started, row.completed, last, row.last_status
    )
