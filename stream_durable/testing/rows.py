"""Stored steps, read for a test."""

from __future__ import annotations

from collections.abc import Iterable

from stream_durable.core.run.rows import StepRow
from stream_durable.core.status import RETRYING, RUNNING, WAITING


def asking_step(rows: Iterable[StepRow], wait: str | None) -> str:
    """Return the name of a step that asks people now; empty: none does."""
    for row in rows:
        is_meant = row.status == WAITING and wait in (None, row.name)
        if is_meant and row.detail is not None and b'"asked":' in row.detail:
            return row.name
    return ""


def is_tried(row: StepRow) -> bool:
    """Return whether an attempt is planned or under way; a group's own attempt counts as finished."""
    is_made = row.status == RUNNING and row.worker is not None and row.finished is None
    return is_made or row.status == RETRYING
