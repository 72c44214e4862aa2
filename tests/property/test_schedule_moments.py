"""Moments of cron expressions against another library, and against a walk over every minute of the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stream_durable.core.schedule.moments import next_moments
from stream_durable.core.schedule.rule import Rule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kathmandu", "Australia/Lord_Howe",
    "Pacific/Apia", "America/Havana", "Africa/Casablanca", "Atlantic/Azores", "Asia/Beirut",
    "Pacific/Chatham",
    "America/St_Johns", "Asia/Tehran", "Europe/London", "Africa/Cairo", "America/Asuncion", "Asia/Kolkata",
    "Antarctica/Troll", "America/Los_Angeles",
)  # fmt: skip
#: Moments shortly before the clocks of one of the zones change.
CHANGES = tuple(
    datetime.fromisoformat(text)
    for text in (
        "2026-03-29T00:10Z", "2026-10-25T00:10Z", "2026-03-08T06:40Z", "2026-11-01T05:40Z",
        "2026-04-04T14:40Z", "2026-10-03T15:10Z", "2026-03-08T04:50Z", "2011-12-30T09:00Z",
        "2026-02-15T01:40Z", "2026-04-23T21:30Z", "2024-03-24T03:30Z", "2018-02-18T01:30Z",
    )
)  # fmt: skip

MOMENTS = st.integers(946_684_800, 2_840_140_800).map(lambda second: EPOCH + timedelta(seconds=second))


class Fields(NamedTuple):
    """An expression with the values that each field stands for."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None

    def is_on(self, day: datetime) -> bool:
        """Whether a day matches: of two fields for days that are both given, either is enough."""
        weekday = day.isoweekday() % 7
        if self.days is not None and self.weekdays is not None:
            return day.day in self.days or weekday in self.weekdays
        return (self.days is None or day.day in self.days) and (
            self.weekdays is None or weekday in self.weekdays
        )

    def shows(self, local: datetime) -> bool:
        """Whether a time of the clock matches."""
        return (
            local.minute in self.minutes
            and local.hour in self.hours
            and local.month in self.months
            and self.is_on(local)
        )


@st.composite
def field(draw: st.DrawFn, low: int, high: int) -> tuple[str, frozenset[int]]:
    kind = draw(st.sampled_from(("one", "list", "range", "step", "all")))
    whole = range(low, high + 1)
    if kind == "all":
        return "*", frozenset(whole)
    if kind == "step":
        step = draw(st.integers(2, max(2, (high - low) // 2)))
        return f"*/{step}", frozenset(whole[::step])
    if kind == "range":
        first = draw(st.integers(low, high - 1))
        last = draw(st.integers(first + 1, high))
        return f"{first}-{last}", frozenset(range(first, last + 1))
    values = draw(
        st.lists(st.sampled_from(whole), min_size=1, max_size=1 if kind == "one" else 4, unique=True)
    )
    return ",".join(map(str, values)), frozenset(values)


@st.composite
def expressions(draw: st.DrawFn) -> Fields:
    minute, hour, month = draw(field(0, 59)), draw(field(0, 23)), draw(field(1, 12))
    day = draw(st.one_of(st.just(("*", None)), field(1, 31)))
    weekday = draw(st.one_of(st.just(("*", None)), field(0, 6)))
    # A field that begins with a star is not given, for the other library; ours counts what it stands for.
    if day[0].startswith("*"):
        day = ("*", None)
    if weekday[0].startswith("*"):
        weekday = ("*", None)
    text = " ".join((minute[0], hour[0], day[0], month[0], weekday[0]))
    return Fields(text, minute[1], hour[1], day[1], month[1], weekday[1])


def ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def of_another_library(text: str, after: datetime, count: int) -> list[int]:
    """Return the next moments as the other library has them; an expression that never fires is no example."""
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - of the tests alone

    try:
        theirs = CronSim(text, after)
        return [ms(next(theirs)) for _ in range(count)]
    except (CronSimError, StopIteration):
        assume(False)  # noqa: FBT003
        raise


def walked(fields: Fields, zone: ZoneInfo, after: datetime, minutes: int) -> Iterator[int]:
    """Return the moments of so many minutes, by looking at the clock at each of them.

    A time is due when the clock shows it, and has not shown it before; where the clock leaps, all times
    that it leaps over are due at once. For every hour, the time is due whenever the clock shows it.
    """
    is_hourly = len(fields.hours) == 24
    # From two days earlier, so that it is known what the clock has shown.
    now = (after - timedelta(days=2)).replace(second=0, microsecond=0)
    highest = now.astimezone(zone).replace(tzinfo=None)
    until = after + timedelta(minutes=minutes)
    while now < until:
        now += timedelta(minutes=1)
        local = now.astimezone(zone).replace(tzinfo=None)
        if is_hourly:
            is_due = fields.shows(local)
        else:
            is_due = False
            while highest < local:
                highest += timedelta(minutes=1)
                is_due = is_due or fields.shows(highest)
        if is_due and after < now <= until:
            yield ms(now)


@settings(max_examples=150, deadline=None)
@given(
    fields=expressions(),
    zone=st.sampled_from(ZONES),
    change=st.sampled_from(CHANGES),
    back=st.integers(0, 300),
)
def test_moments_near_a_change_of_the_clocks_match_a_walk(
    fields: Fields, zone: str, change: datetime, back: int
) -> None:
    after = change - timedelta(minutes=back)
    wanted = list(walked(fields, ZoneInfo(zone), after, 1_200))

    found = next_moments(Rule(cron=(fields.text,), zone=zone), ms(after), 0, len(wanted) + 1)

    assert found[: len(wanted)] == wanted
    assert not found[len(wanted) :] or found[-1] > ms(after + timedelta(minutes=1_200))


@settings(max_examples=300, deadline=None)
@given(fields=expressions(), after=MOMENTS)
def test_moments_match_another_library(fields: Fields, after: datetime) -> None:
    wanted = of_another_library(fields.text, after, 8)

    assert next_moments(Rule(cron=(fields.text,)), ms(after), 0, 8) == wanted


@settings(max_examples=200, deadline=None)
@given(
    fields=expressions(),
    zone=st.sampled_from(ZONES),
    change=st.sampled_from(CHANGES),
    back=st.integers(0, 2_000),
)
def test_moments_where_clocks_change_match_another_library(
    fields: Fields, zone: str, change: datetime, back: int
) -> None:
    """For single minutes and hours, where both mean the same: once in a gap, once in an overlap."""
    minute, hour = min(fields.minutes), min(fields.hours)
    text = " ".join((str(minute), str(hour), *fields.text.split()[2:]))
    after = change - timedelta(minutes=back)
    wanted = of_another_library(text, after.astimezone(ZoneInfo(zone)), 4)

    found = next_moments(Rule(cron=(text,), zone=zone), ms(after), 0, 4)

    assert found == wanted


@settings(max_examples=100, deadline=None)
@given(
    fields=expressions(),
    second=st.integers(0, 59),
    after=MOMENTS,
)
def test_seconds_match_another_library(fields: Fields, second: int, after: datetime) -> None:
    text = f"{second},{(second + 7) % 60} {fields.text}"
    wanted = of_another_library(text, after, 4)

    assert next_moments(Rule(cron=(text,)), ms(after), 0, 4) == wanted
