"""Schedules as rows and back, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from stream_durable.core.failure import Failure
from stream_durable.core.messages import Plan
from stream_durable.core.orders import Orders
from stream_durable.core.schedule.state import Cause, Firing, Off, Schedule
from stream_durable.core.tables import Parts, Rows, Table

_encode = msgspec.json.Encoder().encode
_failure = msgspec.json.Decoder(Failure).decode


class ScheduleRow(NamedTuple):
    """A schedule, or the roll of an app; without a body, a deletion."""

    id: str
    partition: int
    #: A JSON object.
    body: bytes | None


class FiringRow(NamedTuple):
    """A firing of a schedule; without a moment, a deletion."""

    schedule: str
    run: str
    partition: int
    moment: int | None
    cause: Cause = "time"
    #: `queued`, `started`, `skipped`, or how its run ended.
    status: str = ""
    at: int = 0
    ended: int | None = None
    failure: bytes | None = None


class ScheduleBody(msgspec.Struct, omit_defaults=True):
    """The stored state of a schedule without firings."""

    created: int = 0
    declared: Plan | None = None
    changed: Plan | None = None
    app: str = ""
    undeclared: int | None = None
    off: Off | None = None
    revision: int = 0
    after: int = 0
    next: int | None = None
    has_no_more: bool = False
    timer: int | None = None
    pace_due: int | None = None
    pace: int = 0
    missed: int = 0
    failures: int = 0
    asked: int = 0
    seen: tuple[str, ...] = ()
    orders: Orders = {}
    roll: tuple[str, ...] | None = None


_body = msgspec.json.Decoder(ScheduleBody).decode

TABLES = (
    Table("schedule", ScheduleRow, key=1, needs="body"),
    Table("schedule_firing", FiringRow, key=2, needs="moment"),
)


def write(schedule: Schedule, rows: Rows) -> None:
    """Add rows for all changes since the last save."""
    key, partition = schedule.id, schedule.partition
    if schedule.is_touched:
        values = (getattr(schedule, name) for name in ScheduleBody.__struct_fields__)
        body = None if schedule.is_over else _encode(ScheduleBody(*values))
        rows.of(ScheduleRow).append(ScheduleRow(key, partition, body))
    for run in schedule.touched:
        firing = schedule.firings.get(run)
        if firing is None:
            row = FiringRow(key, run, partition, None)
        else:
            failure = None if firing.failure is None else _encode(firing.failure)
            row = FiringRow(
                key,
                run,
                partition,
                firing.moment,
                firing.cause,
                firing.status,
                firing.at,
                firing.ended,
                failure,
            )
        rows.of(FiringRow).append(row)
    schedule.is_touched = False
    schedule.touched.clear()


def _firing_row(key: str, partition: int, one: Firing) -> FiringRow:
    failure = None if one.failure is None else _encode(one.failure)
    return FiringRow(key, one.run, partition, one.moment, one.cause, one.status, one.at, one.ended, failure)


def thaw(key: str, partition: int, parts: Parts, graphs: object) -> Schedule | None:
    """Return a schedule from a row (id, body) and the rows of firings."""
    found, firings = parts
    if not found:
        return None
    schedule = Schedule(key, partition)
    body = read_body(found[0][1])
    for name in ScheduleBody.__struct_fields__:
        setattr(schedule, name, getattr(body, name))
    for row in firings:
        firing = read_firing(row)
        schedule.firings[firing.run] = firing
    return schedule


def read_body(body: bytes) -> ScheduleBody:
    """Return what is stored of a schedule."""
    return _body(body)


def read_firing(row: Sequence[Any]) -> Firing:
    """Return the firing of a row (schedule, run, moment, cause, status, at, ended, failure)."""
    _, run, moment, cause, status, at, ended, failure = row
    return Firing(run, moment, cause, status, at, ended, None if failure is None else _failure(failure))
