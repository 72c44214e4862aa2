"""Where a run stands, for people: the rows, and for steps that have none what the graph says of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from stream_durable.core.definition.graph import Graph
from stream_durable.core.failure import Failure
from stream_durable.core.rows import thaw_run
from stream_durable.core.run.state import Run
from stream_durable.core.status import PENDING, READY
from stream_durable.ports import StoredRun


class StepState(NamedTuple):
    """Where a step of a run stands."""

    name: str
    #: `pending` until its dependencies have ended, and for ever if the run ended before; then `ready`.
    status: str
    #: Counts from 1; 0: it has not begun.
    attempt: int
    output: Any
    failure: Failure | None
    started: datetime | None
    finished: datetime | None
    worker: str | None


class RunState(NamedTuple):
    """Where a run stands, as of the reconciler's latest commit."""

    id: str
    workflow: str
    fingerprint: str
    status: str
    created: datetime
    updated: datetime
    ended: datetime | None
    #: Steps that have ended, and all of them.
    done: int
    total: int
    tags: tuple[str, ...]
    input: Any
    output: Any
    failure: Failure | None
    #: In the order of the definition.
    steps: Mapping[str, StepState]


def run_state(stored: StoredRun, graph: Graph) -> RunState:
    """Return the rows of a run as its state."""
    run = thaw_run(stored.run, stored.steps, graph)
    row = stored.run
    return RunState(
        run.id,
        row.workflow,
        row.fingerprint,
        row.status,
        moment(run.created),
        moment(run.updated),
        None if run.ended is None else moment(run.ended),
        row.done,
        row.total,
        run.tags,
        msgspec.json.decode(run.input),
        None if run.output is None else msgspec.json.decode(run.output),
        run.failure,
        {name: _step_state(run, i, name) for i, name in enumerate(graph.names)},
    )


def moment(millis: int) -> datetime:
    """Return log time as a date and time."""
    return datetime.fromtimestamp(millis / 1_000, UTC)


def _step_state(run: Run, i: int, name: str) -> StepState:
    step = run.steps.get(i)
    if step is None:
        is_asked_for = not run.need[i] and run.ended is None
        status, attempt = (READY, 1) if is_asked_for else (PENDING, 0)
        return StepState(name, status, attempt, None, None, None, None, None)
    return StepState(
        name,
        step.status,
        step.attempt,
        None if step.output is None else msgspec.json.decode(step.output),
        step.failure,
        moment(step.started) if step.started else None,
        moment(step.finished) if step.finished else None,
        step.worker,
    )
