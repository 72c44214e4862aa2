"""Moments by the calendar of a time zone.

This reads the zone data of the machine, which changes with the machine's packages. So the result goes on the
log as a message, and nothing else may depend on zone data.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple, assert_never
from zoneinfo import ZoneInfo

from stream_durable.core.definition.moments import Period, read_date, read_moment, read_time
from stream_durable.core.errors import RejectedError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_DAY = timedelta(days=1)
#: Number of days searched for one without a holiday.
DAYS_MAX = 3_660
#: A hundred years: beyond it a moment no longer fits what databases and calendars can hold.
AHEAD_MS_MAX = 36_500 * 86_400_000


class Day(NamedTuple):
    """The day and time to find: a time on one of these weekdays, without holidays."""

    at: time
    weekdays: tuple[int, ...]
    holidays: frozenset[date]
    #: Whether the current day counts.
    today: bool


#: A rule whose paths have been read: a moment, a day, or the end of a period.
Wanted = datetime | Day | Period


def zone_of(name: str) -> ZoneInfo:
    """Return a zone by IANA name, or refuse the name."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # unknown, a folder of zones, and no name at all
        raise RejectedError("unknown_zone", f"{name[:64]!r} is no time zone of the IANA database") from error


def moment_after(wanted: Wanted, zone_name: str, now: int) -> int:
    """Return the wanted moment in milliseconds; for a rule, the first after `now`.

    A time skipped by the clocks in spring is moved behind the gap: 02:30 becomes 03:30. Of a time occurring
    twice in autumn the first counts. Raises `RejectedError`.
    """
    try:
        found = _moment(wanted, zone_of(zone_name), now)
    except OverflowError as error:
        raise RejectedError("bad_moment", "the moment is beyond the year 9999") from error
    if found - now > AHEAD_MS_MAX:
        raise RejectedError("bad_moment", "the moment is more than a hundred years away")
    return found


def _moment(wanted: Wanted, zone: ZoneInfo, now: int) -> int:
    if isinstance(wanted, datetime):
        return _millis(wanted if wanted.tzinfo is not None else wanted.replace(tzinfo=zone))
    today = (_EPOCH + now * _MS).astimezone(zone).date()
    return _on_a_day(wanted, zone, today, now) if isinstance(wanted, Day) else _end(wanted, zone, today, now)


def _on_a_day(wanted: Day, zone: ZoneInfo, today: date, now: int) -> int:
    for ahead in range(0 if wanted.today else 1, DAYS_MAX):
        day = today + ahead * _DAY
        if day.weekday() in wanted.weekdays and day not in wanted.holidays:
            found = _millis(datetime.combine(day, wanted.at, zone))
            if found > now:
                return found
    raise RejectedError("bad_moment", f"no such day comes within {DAYS_MAX} days that is no holiday")


def _end(period: Period, zone: ZoneInfo, today: date, now: int) -> int:
    midnight = datetime.combine(_next_first(period, today), time(), zone)
    first = _millis(midnight)
    # Where clocks are set back across midnight the day ends twice, and the first time may be over.
    return first if first > now else _millis(midnight.replace(fold=1))


def _next_first(period: Period, today: date) -> date:
    """Return the first day of the next day, week, month, quarter or year."""
    match period:
        case "day":
            return today + _DAY
        case "week":
            return today + (7 - today.weekday()) * _DAY
        case "month":
            return _first_of_month(today.year, today.month + 1)
        case "quarter":
            return _first_of_month(today.year, (today.month - 1) // 3 * 3 + 4)
        case "year":
            return _first_of_month(today.year, 13)
        case _:
            assert_never(period)


def _first_of_month(year: int, month: int) -> date:
    if year == date.max.year and month > 12:
        raise OverflowError
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


def _millis(moment: datetime) -> int:
    return (moment.astimezone(UTC) - _EPOCH) // _MS


def wanted_moment(text: object, where: str) -> datetime:
    """Return the moment that a text says, or refuse the text."""
    found = read_moment(text) if isinstance(text, str) else None
    if found is None:
        raise RejectedError(
            "bad_moment", f"no moment is at {where!r}: write one such as 2026-12-24T18:00:00Z"
        )
    return found


def wanted_time(text: str) -> time:
    """Return the time of day that a text says, or refuse the text."""
    found = read_time(text)
    if found is None:
        raise RejectedError("bad_moment", f"{text!r} is no time of day: write one such as 09:00")
    return found


def wanted_dates(texts: object, where: str) -> frozenset[date]:
    """Return the dates of a list, or refuse the list."""
    found = [read_date(text) if isinstance(text, str) else None for text in _listed(texts, where)]
    if None in found:
        raise RejectedError("bad_moment", f"what is at {where!r} is no list of dates such as 2026-12-25")
    return frozenset(day for day in found if day is not None)


def _listed(texts: object, where: str) -> list[object]:
    if isinstance(texts, list | tuple):
        return list(texts)
    raise RejectedError("bad_moment", f"what is at {where!r} is no list of dates such as 2026-12-25")
