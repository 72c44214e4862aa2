"""Moments by the calendar, as authors write them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from datetime import date, datetime, time
from typing import Literal, get_args

from stream_durable.core.calendar import zone_of
from stream_durable.core.definition.moments import (
    AnyMoment,
    Fixed,
    Found,
    NextDay,
    Period,
    PeriodEnd,
    is_path,
)
from stream_durable.core.errors import RejectedError
from stream_durable.sdk.options import Options

DayName = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_DAYS: tuple[DayName, ...] = get_args(DayName)


@dataclass(frozen=True, slots=True)
class NextWeekday:
    """A time of day on the next day of that name.

    With `today=True` this may be the current day, if the time is still to come.

    >>> NextWeekday("monday", at="09:00").today
    False
    """

    day: DayName
    _: KW_ONLY
    at: str | time = "00:00"
    today: bool = False


@dataclass(frozen=True, slots=True)
class NextBusinessDay:
    """A time of day on the next day that is neither of a weekend nor a holiday.

    `holidays` are dates, or a path to a list of them, such as `input.holidays`. With `today=True` this may be
    the current day, if the time is still to come.

    >>> NextBusinessDay(at="09:00", holidays=["2026-12-25"]).weekend
    ('saturday', 'sunday')
    """

    _: KW_ONLY
    at: str | time = "00:00"
    holidays: Iterable[date | str] | str = ()
    weekend: Iterable[DayName] = ("saturday", "sunday")
    today: bool = False


@dataclass(frozen=True, slots=True)
class EndOf:
    """The end of the current day, week, month, quarter or year: the moment at which the next one begins.

    >>> EndOf("quarter").period
    'quarter'
    """

    period: Period


#: What `until=` takes: a path to a moment, a fixed one, or a rule.
Until = str | datetime | NextWeekday | NextBusinessDay | EndOf


def read_until(options: Options, until: object) -> AnyMoment | None:
    """Return the author's rule; None for a fault."""
    if isinstance(until, datetime):
        return Fixed(at=until.isoformat())
    if isinstance(until, str):
        return Found(path=until)
    if isinstance(until, EndOf):
        return PeriodEnd(of=options.word("EndOf()", until.period, Period, "day"))
    if isinstance(until, NextWeekday):
        days = _days(options, "NextWeekday()", [until.day])
        return NextDay(at=_time(options, until.at), weekdays=days, today=options.flag("today=", until.today))
    if isinstance(until, NextBusinessDay):
        return _business_day(options, until)
    text = f"until= takes a path, a datetime, NextWeekday, NextBusinessDay or EndOf, not {until!r}"
    options.fault("bad_moment", text)
    return None


def read_zone(options: Options, zone: object) -> str:
    """Return the name of a time zone that exists, or a path."""
    if not isinstance(zone, str):
        options.fault("unknown_zone", f'zone= takes a name such as "Europe/Berlin", not {zone!r}')
    elif not is_path(zone):
        try:
            zone_of(zone)
        except RejectedError as error:
            options.fault(error.code, f"zone=: {error}")
        else:
            return zone
    else:
        return zone
    return "UTC"


def _business_day(options: Options, until: NextBusinessDay) -> NextDay:
    weekend = _days(options, "weekend=", until.weekend)
    return NextDay(
        at=_time(options, until.at),
        weekdays=tuple(day for day in range(7) if day not in weekend),
        holidays=until.holidays if isinstance(until.holidays, str) else _dates(options, until.holidays),
        today=options.flag("today=", until.today),
    )


def _dates(options: Options, dates: object) -> tuple[str, ...]:
    if isinstance(dates, Iterable):
        found = [_date(given) for given in dates]
        if all(isinstance(each, str) for each in found):
            return tuple(sorted({str(each) for each in found}))
    options.fault("bad_moment", f"holidays= takes dates, or a path to a list of them, not {dates!r}")
    return ()


def _date(given: object) -> object:
    if isinstance(given, datetime):
        return given.date().isoformat()
    return given.isoformat() if isinstance(given, date) else given


def _days(options: Options, option: str, names: object) -> tuple[int, ...]:
    if isinstance(names, Iterable) and not isinstance(names, str):
        listed = list(names)
        if all(name in _DAYS for name in listed):
            return tuple(sorted({_DAYS.index(name) for name in listed}))
    options.fault("bad_moment", f"{option} takes days such as monday, not {names!r}")
    return (0,)


def _time(options: Options, at: object) -> str:
    if isinstance(at, time):
        return at.isoformat("seconds") if at.second else at.isoformat("minutes")
    return options.text("at=", at)
