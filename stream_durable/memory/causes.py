"""Causes of failures, and failures over time, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from stream_durable.core.failure import Failure
from stream_durable.core.run.attempts import NOT_CARRIED
from stream_durable.core.run.rows import RunRow, StepRow
from stream_durable.core.status import COMPENSATION_FAILED, FAILED, READY
from stream_durable.memory.run_lists import is_reviewed
from stream_durable.memory.tables import Tables
from stream_durable.ports import FailureCause, RunFlow, StrandedStep

_failure = msgspec.json.Decoder(Failure).decode


def failure_causes(rows: Iterable[RunRow], since: int, runs_max: int) -> list[FailureCause]:
    """Group the newest failed runs that nobody has reviewed, by cause."""
    failed = [
        row
        for row in rows
        if row.status in (FAILED, COMPENSATION_FAILED) and row.created >= since and not is_reviewed(row)
    ]
    failed.sort(key=lambda row: row.created, reverse=True)
    groups: dict[tuple[str, str, str, str], list[RunRow]] = {}
    for row in failed[:runs_max]:
        assert row.failure is not None, "a failed run has a failure"
        failure = _failure(row.failure)
        groups.setdefault((row.workflow, row.status, failure.step or "", failure.code), []).append(row)
    found = [_cause(key, group) for key, group in groups.items()]
    found.sort(key=lambda one: (one.workflow, one.step, one.code))
    return sorted(
        found, key=lambda one: (one.status == COMPENSATION_FAILED, one.runs, one.last), reverse=True
    )


def run_flow(rows: Iterable[RunRow], since: int, width: int, count: int, at_most: int) -> list[RunFlow]:
    """Count the runs created within each stretch of time, and those of them that failed."""
    created, failed = Counter[int](), Counter[int]()
    for row in rows:
        at = (row.created - since) // width
        created[at] += 1
        failed[at] += row.status in (FAILED, COMPENSATION_FAILED)
    return [
        RunFlow(since + at * width, min(created[at], at_most), min(failed[at], at_most))
        for at in range(count)
    ]


def stranded_steps(tables: Tables, begin: int, end: int, at_most: int) -> list[StrandedStep]:
    """Group runs by the step given back for want of the function."""
    due = [
        (key, name)
        for (kind, key, name), (_, due) in sorted(tables.timers.items(), key=lambda one: one[1][1])
        if kind == "run" and name and begin <= due <= end
    ]
    groups: dict[tuple[str, str], list[tuple[int, RunRow, StepRow]]] = {}
    for run, name in due[:at_most]:
        step = tables.steps.get((run, name))
        if step is None or step.status != READY or step.failure is None:
            continue
        if _failure(step.failure).code == NOT_CARRIED:
            row = tables.runs[run]
            ends = [one.finished for one in tables.steps.values() if one.run == run]
            since = max((at for at in ends if at is not None), default=row.created)
            groups.setdefault((row.workflow, name), []).append((since, row, step))
    found = []
    for (workflow, name), group in groups.items():
        since, row, step = min(group, key=lambda one: (one[0], one[1].id))
        assert step.failure is not None, "it was looked at above"
        message = _failure(step.failure).message
        found.append(StrandedStep(workflow, name, len(group), since, row.id, step.worker or "", message))
    return sorted(found, key=lambda one: (-one.runs, one.workflow, one.step))


def _cause(key: tuple[str, str, str, str], rows: list[RunRow]) -> FailureCause:
    last = max(rows, key=lambda row: (row.ended or 0, row.id))
    return FailureCause(*key, len(rows), last.ended or 0, last.id)
