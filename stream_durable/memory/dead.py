"""Records that could not be applied, in memory."""

from __future__ import annotations

from stream_durable.memory.tables import Tables
from stream_durable.ports import DeadPosition, DeadRow, DeadSummary


class DeadViews:
    """The part of the views that is about records that could not be applied."""

    _tables: Tables

    async def dead_list(self, *, after: DeadPosition | None = None, limit: int = 50) -> list[DeadSummary]:
        """Return a page of the records that could not be applied, newest first."""
        rows = sorted(map(_summary, self._tables.dead.values()), key=lambda one: one[:4], reverse=True)
        return [one for one in rows if after is None or one[:4] < after][:limit]

    async def dead_get(self, partition: int, generation: int, offset: int) -> DeadRow | None:
        """Return such a record whole; None: there is none at this place."""
        return self._tables.dead.get((partition, generation, offset))


def _summary(row: DeadRow) -> DeadSummary:
    size = None if row.value is None else len(row.value)
    return DeadSummary(
        row.time, row.partition, row.generation, row.offset, row.code, row.reason, row.key, size
    )
