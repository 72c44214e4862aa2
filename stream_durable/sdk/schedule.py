"""Schedules in the notation of authors, in code or at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from hashlib import blake2b
from typing import Any, Final, TypedDict, get_args

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from stream_durable.core.calendar import zone_of
from stream_durable.core.definition.moments import read_moment
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import SCHEDULES
from stream_durable.core.ids import NAME, QUEUE, QUEUE_RULE, clipped, roll_id
from stream_durable.core.messages import (
    DeclaredSchedules,
    DeclareSchedule,
    Message,
    Overlap,
    Plan,
)
from stream_durable.core.schedule.moments import check_rule
from stream_durable.core.schedule.rule import Rule
from stream_durable.sdk.durations import Duration, milliseconds

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: Longest input and metadata of a schedule, as JSON: they are written anew with each firing.
VALUE_BYTES_MAX: Final = 100_000


class ScheduleOptions(TypedDict, total=False):
    """Options of a schedule."""

    #: A cron expression, or several: five fields, or six, of which the first one is seconds.
    cron: str | Iterable[str]
    #: The time between firings, counted from `start`, or else from 1970.
    every: Duration
    #: Single moments; without an offset they are times of day in the zone.
    at: datetime | str | Iterable[datetime | str]
    #: Fires once, so long after the schedule was created.
    after: Duration
    #: IANA name, such as `Europe/Berlin`; UTC by default.
    timezone: str
    #: The first moment that may fire, and the first one that may no more.
    start: datetime | str | None
    end: datetime | str | None
    #: The longest delay of a firing; how long follows from schedule and moment.
    jitter: Duration
    #: What a firing does while a run of an earlier one is under way: `skip` (by default), `queue_one`,
    #: `queue_all`, `cancel` (that run, and then start) or `allow`.
    overlap: Overlap
    #: How late a firing may be, a day by default. Moments that were missed by more do not fire.
    catch_up: Duration
    #: How long a run may take, in place of the workflow's `timeout=`.
    timeout: Duration | None
    #: Turn the schedule off after so many firings in a row that failed.
    disable_after: int | None
    #: Of each run.
    tags: Iterable[str]
    queue: str | None
    priority: int
    metadata: Mapping[str, Any] | None


_OPTIONS: Final = frozenset(ScheduleOptions.__optional_keys__)
#: Options that replace one another when a schedule is changed.
_KINDS: Final = frozenset({"cron", "every", "at", "after"})


def plan_of(
    name: str, workflow: str, data: Raw, options: ScheduleOptions, before: Plan | None = None
) -> Plan:
    """Return a checked plan; other options are as in `before`, or by default."""
    _check_options(options)
    if not NAME.match(name):
        text = f"{clipped(name, 128)!r} is no name of a schedule"
        raise RejectedError("bad_name", f"{text}: letters, digits and _ . : - only, at most 128")
    first = before or Plan(rule=Rule(), workflow=workflow)
    rule = _rule(options, first.rule)
    check_rule(rule, name)
    changes: dict[str, Any] = {"rule": rule, "workflow": workflow, "input": _bounded(name, data)}
    if "catch_up" in options:
        changes["catch_up_ms"] = milliseconds(options["catch_up"])
    if "timeout" in options:
        changes["timeout_ms"] = None if (limit := options["timeout"]) is None else milliseconds(limit)
    for option in ("overlap", "disable_after", "priority"):
        if option in options:
            changes[option] = options.get(option)
    if "tags" in options:
        changes["tags"] = _texts("tags", options["tags"])
    if "queue" in options:
        changes["queue"] = options["queue"] or ""
    if "metadata" in options:
        found = options["metadata"]
        changes["metadata"] = None if found is None else _bounded(name, Raw(msgspec.json.encode(dict(found))))
    plan = replace(first, **changes)
    _check(plan, name)
    return plan


def declarations(app: str, schedules: Mapping[str, Plan]) -> list[Message]:
    """Return the messages of a deployment about schedules."""
    said: list[Message] = [
        DeclareSchedule(key=name, format=SCHEDULES, id=_digest(app, name, plan), app=app, plan=plan)
        for name, plan in schedules.items()
    ]
    names = tuple(sorted(schedules))
    roll = DeclaredSchedules(key=roll_id(app), format=SCHEDULES, id=_digest(app, names), app=app, names=names)
    return [*said, roll]


def _digest(*parts: object) -> str:
    return blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()


def _check_options(given: Iterable[str]) -> None:
    for name in given:
        if name not in _OPTIONS:
            close = get_close_matches(name, _OPTIONS, 1)
            meant = f": is {close[0]}= meant?" if close else ""
            raise TypeError(f"a schedule has no option {name}={meant}")


def _rule(options: ScheduleOptions, before: Rule) -> Rule:
    zone = options.get("timezone", before.zone)
    changes: dict[str, Any] = {"zone": zone}
    if not _KINDS.isdisjoint(options):
        changes |= {"cron": (), "every_ms": None, "at": (), "after_ms": None}
    if "cron" in options:
        changes["cron"] = _texts("cron", options["cron"])
    if "every" in options:
        changes["every_ms"] = milliseconds(options["every"])
    if "after" in options:
        changes["after_ms"] = milliseconds(options["after"])
    if "at" in options:
        given = options["at"]
        several = [given] if isinstance(given, str | datetime) else list(given)
        changes["at"] = tuple(sorted({_moment("at", one, zone) for one in several}))
    if "start" in options:
        changes["start"] = None if (first := options["start"]) is None else _moment("start", first, zone)
    if "end" in options:
        changes["end"] = None if (last := options["end"]) is None else _moment("end", last, zone)
    if "jitter" in options:
        changes["jitter_ms"] = milliseconds(options["jitter"])
    return replace(before, **changes)


def _moment(option: str, given: datetime | str, zone: str) -> int:
    found = read_moment(given) if isinstance(given, str) else given
    if not isinstance(found, datetime):
        text = f"{option}={given!r} is no moment: write one such as 2026-12-24T18:00"
        raise RejectedError("bad_moment", text)
    try:
        aware = found if found.tzinfo is not None else found.replace(tzinfo=zone_of(zone))
        moment = (aware.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except OverflowError:
        moment = -1
    if moment < 0:
        raise RejectedError("bad_moment", f"{option}={given} is before 1970 or after 9999: correct it")
    return moment


def _texts(option: str, given: str | Iterable[str]) -> tuple[str, ...]:
    if option == "tags" and isinstance(given, str):
        raise RejectedError("bad_tags", f"tags= takes a list of texts: write tags=[{given!r}]")
    return (given,) if isinstance(given, str) else tuple(given)


def _bounded(name: str, data: Raw) -> Raw:
    if len(data) > VALUE_BYTES_MAX:
        text = f"schedule {name!r} has {len(data)} bytes of JSON as input or metadata"
        remedy = "keep it elsewhere, and pass on where it is"
        raise RejectedError("too_large", f"{text}, {VALUE_BYTES_MAX} are the most: {remedy}")
    return data


def _check(plan: Plan, name: str) -> None:
    what = f"schedule {name!r}"
    if plan.overlap not in get_args(Overlap):
        known = ", ".join(get_args(Overlap))
        raise RejectedError("bad_schedule", f"{what}: overlap={plan.overlap!r} is none of {known}: take one")
    if plan.disable_after is not None and plan.disable_after < 1:
        raise RejectedError("bad_schedule", f"{what}: disable_after= takes 1 or more firings, or None")
    if plan.timeout_ms is not None and plan.timeout_ms < 1:
        raise RejectedError("bad_schedule", f"{what}: timeout= is no time: give 1 ms or more")
    if not -100 <= plan.priority <= 100:
        raise RejectedError("bad_schedule", f"{what}: priority= takes -100 to 100, not {plan.priority}")
    if plan.queue and not QUEUE.match(plan.queue):
        text = f"{plan.queue[:128]!r} is not a name for a queue: {QUEUE_RULE}"
        raise RejectedError("bad_queue", f"{what}: {text}")
