"""Figures for overviews: runs of workflows, runs over time, deployments, and children of many runs."""

from __future__ import annotations

from abc import abstractmethod
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
#: Deployments returned; older ones are left out.
DEPLOYMENTS_MAX: Final = 100


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


class Deployment(NamedTuple):
    """A version of a workflow, registered at a moment."""

    workflow: str
    fingerprint: str
    #: When it was registered last.
    at: datetime


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


class Figures:
    """Workflows and runs in figures."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def workflows(self, since: Duration = "1d") -> list[WorkflowEntry]:
        """Return every registered workflow with numbers of open, waiting, failed and recent runs.

        Counted exactly, in one query: the time grows with the number of such runs, and beyond
        `postgres.statement_timeout_ms` the query is refused as `too_broad`.
        """
        return await workflow_entries(self._edge, since)

    async def deployments(self, since: Duration = "7d") -> list[Deployment]:
        """Return the versions of workflows registered within a time, the latest first; at most 100.

        Read from the topic of definitions, without a query.
        """
        return await deployments(self._edge, since)

    async def flow(self, since: Duration = "1h", count: int = 60) -> Flow:
        """Return how many runs were created in each stretch of time, and failed; in one query, by index."""
        return await flow(self._edge, since, count)

    async def child_counts(self, runs: Sequence[str]) -> dict[str, int]:
        """Count the children of each of these runs, in one query."""
        return await child_counts(self._edge, runs)


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


async def deployments(edge: Edge, since: Duration) -> list[Deployment]:
    """Return the registrations within a time, the latest first, up to a limit."""
    catalogue = edge.ports.catalogue
    from_then_on = since_epoch("now", edge.now()) - milliseconds(since)
    await edge.ask(catalogue.catch_up, "read the definitions")
    found = [
        Deployment(graph.name, graph.fingerprint, moment(at))
        for graph in catalogue.known()
        if (at := catalogue.registered(graph.fingerprint)) is not None and at >= from_then_on
    ]
    return sorted(found, key=lambda one: one.at, reverse=True)[:DEPLOYMENTS_MAX]


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
