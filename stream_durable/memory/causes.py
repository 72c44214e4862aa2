"""Causes of failures, in memory."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stream_durable.core.failure import Failure
from stream_durable.core.run.rows import RunRow
from stream_durable.core.status import COMPENSATION_FAILED, FAILED
from stream_durable.ports import FailureCause

_failure = msgspec.json.Decoder(Failure).decode


def failure_causes(rows: Iterable[RunRow], since: int, runs_max: int) -> list[FailureCause]:
    """Group the newest failed runs by cause."""
    failed = [row for row in rows if row.status in (FAILED, COMPENSATION_FAILED) and row.created >= since]
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


def _cause(key: tuple[str, str, str, str], rows: list[RunRow]) -> FailureCause:
    last = max(rows, key=lambda row: (row.ended or 0, row.id))
    return FailureCause(*key, len(rows), last.ended or 0, last.id)
