"""Rules for sleeps ending by the calendar, as data, and their notation."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Literal, final

import msgspec

Period = Literal["day", "week", "month", "quarter", "year"]

#: A moment in a text is no longer than this.
MOMENT_MAX = 64


class Moment(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True,
             tag_field="is"):  # fmt: skip
    """A moment by the calendar."""


@final
class Fixed(Moment, frozen=True, omit_defaults=True, kw_only=True, tag="fixed"):
    """A moment in ISO 8601; without an offset it is a time of day in the zone of the sleep."""

    at: str


@final
class Found(Moment, frozen=True, omit_defaults=True, kw_only=True, tag="found"):
    """The moment, in ISO 8601, that is at a path when the sleep begins."""

    path: str


@final
class NextDay(Moment, frozen=True, omit_defaults=True, kw_only=True, tag="next_day"):
    """A time on the first later day among these weekdays, without holidays."""

    #: Such as `09:00`.
    at: str = "00:00"
    #: 0 is Monday.
    weekdays: tuple[int, ...]
    #: Dates in ISO 8601, or a path to a list of them.
    holidays: tuple[str, ...] | str = ()
    #: Whether today counts, if the time is still to come.
    today: bool = False


@final
class PeriodEnd(Moment, frozen=True, omit_defaults=True, kw_only=True, tag="end"):
    """The end of the current day, week, month, quarter or year: when the next one begins."""

    of: Period


AnyMoment = Fixed | Found | NextDay | PeriodEnd


def is_path(zone: str) -> bool:
    """Return whether a zone is a path to its name; no name of a zone has a dot."""
    return "." in zone


def paths_of(until: AnyMoment | None, zone: str) -> tuple[str, ...]:
    """Return the paths that are read when the sleep begins."""
    paths = [zone] if is_path(zone) else []
    if isinstance(until, Found):
        paths.append(until.path)
    elif isinstance(until, NextDay) and isinstance(until.holidays, str):
        paths.append(until.holidays)
    return tuple(paths)


def read_time(text: str) -> time | None:
    """Return a time of day such as `09:00` or `09:00:30`; None: it is none."""
    if not 5 <= len(text) <= 8:
        return None
    try:
        found = time.fromisoformat(text)
    except ValueError:
        return None
    return None if found.tzinfo is not None else found


def read_date(text: str) -> date | None:
    """Return a date such as `2026-12-25`; None: it is none."""
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


def read_moment(text: str) -> datetime | None:
    """Return a moment in ISO 8601, with or without an offset; None: it is none."""
    try:
        return datetime.fromisoformat(text) if len(text) <= MOMENT_MAX else None
    except ValueError:
        return None


def moment_faults(until: AnyMoment) -> Iterator[tuple[str, str]]:
    """Return codes and sentences of what is wrong with a rule."""
    if isinstance(until, Fixed) and read_moment(until.at) is None:
        yield "bad_moment", f": {until.at!r} is no moment: write one such as 2026-12-24T18:00"
    if isinstance(until, NextDay):
        yield from _day_faults(until)


def _day_faults(until: NextDay) -> Iterator[tuple[str, str]]:
    if read_time(until.at) is None:
        yield "bad_moment", f": {until.at!r} is no time of day: write one such as 09:00"
    if not until.weekdays or not all(0 <= day <= 6 for day in until.weekdays):
        yield "bad_moment", ": it needs a weekday at least, from 0, Monday, to 6"
    for holiday in () if isinstance(until.holidays, str) else until.holidays:
        if read_date(holiday) is None:
            yield "bad_moment", f": {holiday!r} is no date of a holiday: write one such as 2026-12-25"


def described(until: AnyMoment, zone: str) -> str:
    """Return a rule in a few words."""
    days = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    match until:
        case Fixed():
            return f"{until.at} {zone}"
        case Found():
            return f"what {until.path} says"
        case NextDay():
            free = " but holidays" if until.holidays else ""
            return f"{until.at} on {', '.join(days[day] for day in until.weekdays)}{free}, {zone}"
        case PeriodEnd():
            return f"the end of the {until.of}, {zone}"
