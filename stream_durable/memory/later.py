"""What is still to come, schedules, and what changed nothing, as the store in memory has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from stream_durable.core.ids import CHILD_MARK
from stream_durable.core.later.rows import LaterRow
from stream_durable.core.schedule.rows import FiringRow, ScheduleRow
from stream_durable.core.status import PENDING
from stream_durable.engine.batch import Evidence
from stream_durable.memory.tables import Tables
from stream_durable.ports import StoredEvidence, StoredLater, StoredSchedule

_evidence = msgspec.json.Decoder(Evidence).decode


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


class ScheduleViews:
    """The part of the views that is about schedules."""

    _tables: Tables

    async def schedule_get(self, name: str) -> StoredSchedule | None:
        """Return a schedule."""
        return next((one for one in self._schedules() if one.name == name), None)

    async def schedule_list(self, *, after: str = "", limit: int = 1_000) -> list[StoredSchedule]:
        """Return a page of the schedules, by name."""
        return [one for one in self._schedules() if one.name > after][:limit]

    async def schedule_firings(self, name: str) -> list[Sequence[Any]]:
        """Return the firings of a schedule, as they are loaded, unordered."""
        rows = [row for row in self._tables.rows[FiringRow].values() if row.schedule == name]
        return [(*row[:2], *row[3:]) for row in rows]

    def _schedules(self) -> list[StoredSchedule]:
        """Return all schedules, by name; rolls of apps are none."""
        rows = sorted(row for row in self._tables.rows[ScheduleRow].values() if CHILD_MARK not in row.id)
        return [StoredSchedule(row.id, row.body) for row in rows]


def evidence_page(tables: Tables, run: str, since: int, limit: int) -> list[StoredEvidence]:
    """Return the messages to a run since a time that were duplicate, late or dead, oldest first."""
    found = []
    for _, row in sorted(tables.evidence.items()):
        if not row.exceptions or row.clock < since:
            continue
        e = _evidence(row.records)
        columns = zip(e.offsets, e.types, e.keys, e.outcomes, e.times, strict=True)
        for position, (offset, type_, key, outcome, time) in enumerate(columns):
            if key == run and outcome:
                letter = tables.dead.get((row.partition, row.generation, offset))
                code, reason = (None, None) if letter is None else (letter.code, letter.reason)
                found.append(StoredEvidence(time, type_, outcome, code, reason, e.senders.get(position)))
    return found[:limit]
