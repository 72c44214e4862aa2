"""What is still to come, as the store in memory has it."""

from __future__ import annotations

from stream_durable.core.later.rows import LaterRow
from stream_durable.core.status import PENDING
from stream_durable.memory.store import Tables
from stream_durable.ports import StoredLater


def later_page(tables: Tables, after: tuple[int, str], limit: int) -> list[StoredLater]:
    """Return a page of messages for later and of runs that have not begun, by (due, id)."""
    found = [
        StoredLater(row.due, row.id, row.body) for row in tables.rows[LaterRow].values() if not row.outcome
    ]
    found += [
        StoredLater(run.due, f"start:{run.id}", None)
        for run in tables.runs.values()
        if run.status == PENDING and run.due is not None and run.started is None
    ]
    return sorted((one for one in found if one[:2] > after), key=lambda one: one[:2])[:limit]
