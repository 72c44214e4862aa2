"""Counts of runs."""

from __future__ import annotations

from typing import NamedTuple


class WorkflowFigures(NamedTuple):
    """What the runs of a workflow come to. Times are milliseconds of log time."""

    workflow: str
    #: Number of open runs, and of the waiting ones among them.
    open: int
    waiting: int
    #: Dead letters: runs that failed for good, undone or not, unless somebody cancelled them.
    failed: int
    #: Runs created since a moment, and how many of them completed.
    started: int
    completed: int
    #: Of the newest run; None: there is none.
    last_created: int | None
    last_status: str | None


class RunFlow(NamedTuple):
    """The runs created within a stretch of time. Times are milliseconds of log time."""

    at: int
    created: int
    #: How many of these failed.
    failed: int


class FailureCause(NamedTuple):
    """Failed runs with the same cause."""

    workflow: str
    #: `failed` or `compensation_failed`.
    status: str
    #: The failed step; empty: the run as a whole.
    step: str
    code: str
    runs: int
    #: The latest end, in milliseconds of log time, and the run.
    last: int
    last_run: str


class StrandedStep(NamedTuple):
    """Runs at a step given back for want of the function."""

    workflow: str
    step: str
    runs: int
    #: When the first of them had done all before it, in milliseconds of log time.
    since: int
    #: One of the runs, with the worker that gave the step back, and why.
    run: str
    worker: str
    message: str


class LiveVersion(NamedTuple):
    """How many runs of a version of a workflow have not ended."""

    workflow: str
    fingerprint: str
    runs: int
