"""Moments of cron expressions in a time zone.

An expression names times of the zone's clocks. Such a time is found first, and then its moment:

- A time skipped by the clocks in spring fires once, at the first moment after the gap.
- A time shown twice in autumn fires once, the first time.
- An expression for every hour goes by elapsed time instead: nothing of it is lost or repeated where clocks
  change, so `*/5 * * * *` fires every five minutes then too.

All depends on the zone data of the machine: see `core/calendar.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final, NamedTuple

from stream_durable.core.errors import RejectedError

_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: As a clock without a zone shows it.
_EPOCH: Final = _EPOCH_UTC.replace(tzinfo=None)
_MS: Final = timedelta(milliseconds=1)
_SECOND_MS: Final = 1_000
_HOURS: Final = 24
#: So far after a moment a change of the clocks may bring back times that were shown before it.
_NEAR_MS: Final = 2 * 86_400_000
#: Fields that stand for a random number: no two readers would find the same moments.
_RANDOM: Final = re.compile(r"(?:^|[\s,])[HRhr](?:$|[\s,(/])")
#: The field of days among expanded ones, and the last day of each month.
_DAY: Final = 2
_EVERY_MONTH: Final = 28
#: Years searched for the next moment.
_YEARS: Final = 50

#: Return the first matching time after one; all are milliseconds since 1970 of a clock without a zone.
_Next = Callable[[int], int | None]


class Cron(NamedTuple):
    """An expression, parsed."""

    next: _Next
    #: Whether it is for every hour, and so goes by elapsed time.
    is_hourly: bool


@lru_cache(maxsize=10_000)
def read_cron(text: str) -> Cron:
    """Parse an expression; raises `RejectedError` if invalid."""
    fields = text.split()
    if _RANDOM.search(text):
        raise _bad(text, "it has a field that stands for a random number")
    if not text.startswith("@") and len(fields) not in (5, 6):
        raise _bad(text, f"it has {len(fields)} fields")
    try:
        expanded, _ = _croniter().expand(text, second_at_beginning=True)
    except (ValueError, KeyError, OverflowError) as error:
        raise _bad(text, str(error).removeprefix(f"[{text}] ") or "it cannot be read") from error
    hours = expanded[1]
    is_hourly = hours == ["*"] or len(set(hours)) >= _HOURS
    return Cron(_next_of(_parts(fields, expanded[_DAY])), is_hourly)


def next_in_zone(cron: Cron, zone: tzinfo, after: int) -> int | None:
    """Return the first moment after another, in milliseconds; None: there is no more."""
    try:
        return _by_elapsed_time(cron, zone, after) if cron.is_hourly else _by_the_clock(cron, zone, after)
    except OverflowError:
        return None


def _croniter() -> Any:
    # Most processes read no expression, and importing this takes a tenth of a second.
    from croniter import croniter  # noqa: PLC0415

    return croniter


def _parts(fields: list[str], days: list[Any]) -> list[str]:
    """Return expressions that together match as one does, each with one day beyond the 28th at most.

    From a list such as `1,31` the library, before its seventh release, leaves out the first of a month after
    one without a 31st.
    """
    early = [day for day in days if day == "*" or (isinstance(day, int) and day <= _EVERY_MONTH)]
    late = [[day] for day in days if day not in early]
    groups = [early, *late] if early else late
    if len(groups) < 2:
        return [" ".join(fields)]
    at = _DAY + len(fields) - 5
    return [" ".join([*fields[:at], ",".join(map(str, group)), *fields[at + 1 :]]) for group in groups]


def _next_of(texts: list[str]) -> _Next:
    cron = _croniter()

    def following(after: int) -> int | None:
        begin = _EPOCH + timedelta(milliseconds=after)
        found = []
        for text in texts:
            search = cron(text, begin, second_at_beginning=True, max_years_between_matches=_YEARS)
            with suppress(ValueError):  # there is no such day
                found.append(search.get_next(datetime))
        return (min(found) - _EPOCH) // _MS if found else None

    return following


def _bad(text: str, why: str) -> RejectedError:
    remedy = "write five fields, minute to weekday, or six, of which the first one is seconds"
    return RejectedError("bad_cron", f"cron expression {text[:200]!r} cannot be used: {why}; {remedy}")


def _by_the_clock(cron: Cron, zone: tzinfo, after: int) -> int | None:
    shown = _floor(after + _offset(zone, after))
    while (wanted := cron.next(shown)) is not None:
        found = _moment_of(zone, wanted)
        if found > after:
            return found
        # The clocks show this a second time: go on where they show what they have not shown before.
        change = _change(zone, found, after)
        shown = max(wanted, change + _offset(zone, change - 1) - _SECOND_MS)
    return None


def _by_elapsed_time(cron: Cron, zone: tzinfo, after: int) -> int | None:
    offset = _offset(zone, after)
    shown = _floor(after + offset)
    while (wanted := cron.next(shown)) is not None:
        found = wanted - offset
        near = min(found, after + _NEAR_MS)
        if _offset(zone, near) != offset:
            change = _change(zone, after, near)
            if found < change:
                return found
            after, offset = change - 1, _offset(zone, change)
            shown = change + offset - _SECOND_MS
        elif near == found:
            return found
        elif not _is_skipped(zone, wanted):
            return _moment_of(zone, wanted)
        else:
            shown = wanted
    return None


def _floor(shown: int) -> int:
    return shown - shown % _SECOND_MS


def _offset(zone: tzinfo, moment: int) -> int:
    """Return what the clocks are ahead at a moment, in milliseconds."""
    found = (_EPOCH_UTC + timedelta(milliseconds=moment)).astimezone(zone).utcoffset()
    assert found is not None
    return found // _MS


def _readings(zone: tzinfo, shown: int) -> tuple[int, int]:
    """Return the moments of a time by the offsets before and after the nearest change of the clocks."""
    local = (_EPOCH + timedelta(milliseconds=shown)).replace(tzinfo=zone)
    first, second = local.utcoffset(), local.replace(fold=1).utcoffset()
    assert first is not None
    assert second is not None
    return shown - first // _MS, shown - second // _MS


def _is_skipped(zone: tzinfo, shown: int) -> bool:
    before, after = _readings(zone, shown)
    return before > after


def _moment_of(zone: tzinfo, shown: int) -> int:
    """Return the first moment of a clock time; for a skipped time the end of the gap."""
    before, after = _readings(zone, shown)
    return _change(zone, after, before) if before > after else before


def _change(zone: tzinfo, low: int, high: int) -> int:
    """Return the moment of the first change of the clocks after `low`, where there is one until `high`."""
    offset = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == offset:
            low = middle
        else:
            high = middle
    return high
