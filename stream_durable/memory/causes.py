"""Causes of failures, and failures over time, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from stream_durable.core.failure import Failure
from stream_durable.core.run.rows import RunRow
from stream_durable.core.status import COMPENSATION_FAILED, FAILED
from stream_durable.memory.run_lists import is_reviewed
from stream_durable.ports import FailureCause, RunFlow

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


def _cause(key: tuple[str, str, str, str], rows: list[RunRow]) -> FailureCause:
    last = max(rows, key=lambda row: (row.ended or 0, row.id))
    return FailureCause(*key, len(rows), last.ended or 0, last.id)
