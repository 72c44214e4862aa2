"""Moments by the calendar: the rules, both edges of daylight saving, and a second way to compute the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_durable.core.calendar import DAYS_MAX, Day, Wanted, moment_after, zone_of
from stream_durable.core.definition.moments import Period
from stream_durable.core.errors import RejectedError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"
WEEKDAYS = (0, 1, 2, 3, 4)
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)


def ms(text: str) -> int:
    """Return a moment with its offset in milliseconds."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def local(text: str) -> datetime:
    """Return a moment that only a zone makes one."""
    return datetime.fromisoformat(text)


def found(wanted: Wanted, now: str, zone: str = BERLIN) -> str:
    """Return the moment after another one, as the clocks of the zone show it."""
    instant = EPOCH + timedelta(milliseconds=moment_after(wanted, zone, ms(now)))
    return instant.astimezone(ZoneInfo(zone)).isoformat()


def on(at: str = "09:00", *days: int, free: str = "", today: bool = False) -> Day:
    holidays = frozenset(map(date.fromisoformat, free.split()))
    return Day(time.fromisoformat(at), days or WEEKDAYS, holidays, today)


class TestDays:
    def test_the_next_weekday_is_never_today_unless_today_counts_and_its_time_is_to_come(self) -> None:
        monday_8, monday_9 = "2026-11-30T08:00:00+01:00", "2026-11-30T09:00:00+01:00"

        assert found(on("09:00", 0), monday_8) == "2026-12-07T09:00:00+01:00"
        assert found(on("09:00", 0, today=True), monday_8) == monday_9
        assert found(on("09:00", 0, today=True), monday_9) == "2026-12-07T09:00:00+01:00"
        assert found(on("09:00", 2), monday_8) == "2026-12-02T09:00:00+01:00"

    def test_the_next_business_day_leaves_out_weekends_and_holidays(self) -> None:
        thursday = "2026-12-24T12:00:00+01:00"

        assert found(on(), "2026-11-27T12:00:00+01:00") == "2026-11-30T09:00:00+01:00"
        assert found(on(free="2026-12-25 2026-12-28"), thursday) == "2026-12-29T09:00:00+01:00"

    def test_what_day_it_is_is_said_by_the_clocks_of_the_zone(self) -> None:
        # Sunday evening in Berlin is Monday morning in Tokyo.
        now = "2026-11-29T20:00:00+01:00"

        assert found(on(), now) == "2026-11-30T09:00:00+01:00"
        assert found(on(), now, "Asia/Tokyo") == "2026-12-01T09:00:00+09:00"

    def test_days_that_never_come_are_refused(self) -> None:
        start = date(2026, 11, 30)
        everything = frozenset(start + timedelta(days=n) for n in range(DAYS_MAX + 1))

        with pytest.raises(RejectedError, match="no such day comes within 3660 days"):
            moment_after(
                Day(time(9), EVERY_DAY, everything, today=True), BERLIN, ms("2026-11-30T08:00:00+01:00")
            )


class TestPeriods:
    @pytest.mark.parametrize(
        ("period", "end"),
        [
            ("day", "2026-11-29T00:00:00+01:00"),
            ("week", "2026-11-30T00:00:00+01:00"),
            ("month", "2026-12-01T00:00:00+01:00"),
            ("quarter", "2027-01-01T00:00:00+01:00"),
            ("year", "2027-01-01T00:00:00+01:00"),
        ],
    )
    def test_the_end_is_when_the_next_one_begins(self, period: Period, end: str) -> None:
        assert found(period, "2026-11-28T13:00:00+01:00") == end

    def test_at_the_very_end_the_next_one_has_begun(self) -> None:
        assert found("day", "2026-11-29T00:00:00+01:00") == "2026-11-30T00:00:00+01:00"
        assert found("quarter", "2026-02-01T00:00:00+01:00") == "2026-04-01T00:00:00+02:00"

    def test_a_day_that_ends_twice_ends_again_after_its_first_end(self) -> None:
        # In 2010 the clocks of St. John's went back from 00:01 to 23:01 of the day before.
        zone = "America/St_Johns"

        assert found("day", "2010-11-06T23:30:00-02:30", zone) == "2010-11-07T00:00:00-02:30"
        assert found("day", "2010-11-06T23:30:00-03:30", zone) == "2010-11-07T00:00:00-03:30"


class TestDaylightSaving:
    def test_a_time_that_is_left_out_in_spring_is_as_long_after_the_gap(self) -> None:
        saturday = "2027-03-27T12:00:00+01:00"

        assert found(on("02:30", *EVERY_DAY), saturday) == "2027-03-28T03:30:00+02:00"
        assert found(local("2027-03-28T02:30"), saturday) == "2027-03-28T03:30:00+02:00"

    def test_of_a_time_that_comes_twice_in_autumn_the_first_is_meant(self) -> None:
        saturday, sunday = "2026-10-24T12:00:00+02:00", "2026-10-25T02:30:00+02:00"

        assert found(on("02:30", *EVERY_DAY), saturday) == sunday
        assert found(local("2026-10-25T02:30"), saturday) == sunday
        # Between the two the day's moment is over.
        assert found(on("02:30", *EVERY_DAY, today=True), sunday) == "2026-10-26T02:30:00+01:00"

    def test_a_midnight_that_is_left_out_is_the_beginning_of_the_day(self) -> None:
        assert found("day", "2018-11-03T12:00:00-03:00", "America/Sao_Paulo") == "2018-11-04T01:00:00-02:00"

    def test_a_day_that_is_left_out_ends_when_the_next_begins(self) -> None:
        assert found("day", "2011-12-29T12:00:00-10:00", "Pacific/Apia") == "2011-12-31T00:00:00+14:00"

    def test_days_are_by_the_clock_and_not_24_hours(self) -> None:
        assert found(on("12:00", *EVERY_DAY), "2027-03-27T12:00:00+01:00") == "2027-03-28T12:00:00+02:00"


class TestRefusals:
    @pytest.mark.parametrize(
        "zone", ["Mars/Olympus", "", "Europe", "../etc/passwd", "/etc/passwd", "UTC\x00"]
    )
    def test_a_zone_that_is_none(self, zone: str) -> None:
        with pytest.raises(RejectedError, match="is no time zone of the IANA database") as error:
            zone_of(zone)
        assert error.value.code == "unknown_zone"

    def test_a_moment_that_is_too_far_away(self) -> None:
        with pytest.raises(RejectedError, match="more than a hundred years away"):
            moment_after(local("2400-01-01"), "UTC", 0)
        with pytest.raises(RejectedError, match="beyond the year 9999"):
            moment_after("year", "UTC", ms("9999-06-01T00:00:00+00:00"))

    def test_a_moment_that_is_over_is_what_it_is(self) -> None:
        assert found(local("2020-01-01"), "2026-01-01T00:00:00+01:00") == "2020-01-01T00:00:00+01:00"


ZONES = [
    "UTC", BERLIN, "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Australia/Lord_Howe",
    "Pacific/Apia", "Africa/Casablanca", "Asia/Kathmandu", "America/Havana", "Asia/Beirut",
    "Antarctica/Troll",
]  # fmt: skip
moments = st.integers(ms("1990-01-01T00:00:00+00:00"), ms("2037-01-01T00:00:00+00:00"))


def instants(local: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return when the clocks show a time, by asking only what they show at an instant.

    Where they never show it: the one instant at which they would if they had not been changed.
    """
    around = [local.replace(tzinfo=UTC) + timedelta(hours=hours) for hours in range(-30, 31)]
    offsets = [instant.astimezone(zone).utcoffset() or timedelta() for instant in around]
    possible = {(local - offset).replace(tzinfo=UTC) for offset in offsets}
    hits = sorted(i for i in possible if i.astimezone(zone).replace(tzinfo=None) == local)
    return hits or [(local - offsets[0]).replace(tzinfo=UTC)]


@settings(max_examples=300, deadline=None)
@given(
    now=moments, zone=st.sampled_from(ZONES), minute=st.integers(0, 1_439), today=st.booleans(),
    days=st.sets(st.integers(0, 6), min_size=1), free=st.sets(st.integers(0, 20), max_size=12),
)  # fmt: skip
def test_days_are_what_a_search_through_the_clocks_finds(
    now: int, zone: str, minute: int, days: set[int], free: set[int], *, today: bool
) -> None:
    instant, clock = EPOCH + timedelta(milliseconds=now), ZoneInfo(zone)
    first = instant.astimezone(clock).date()
    at = time(minute // 60, minute % 60)
    holidays = frozenset(first + timedelta(days=n) for n in free)

    def matches(day: date) -> bool:
        is_later = instants(datetime.combine(day, at), clock)[0] > instant
        return day.weekday() in days and day not in holidays and (day > first or today) and is_later

    following = (first + timedelta(days=n) for n in range(40))
    expected = instants(datetime.combine(next(filter(matches, following)), at), clock)[0]
    got = moment_after(Day(at, tuple(sorted(days)), holidays, today), zone, now)

    assert EPOCH + timedelta(milliseconds=got) == expected


@settings(max_examples=300, deadline=None)
@given(
    now=moments,
    zone=st.sampled_from(ZONES),
    period=st.sampled_from(("day", "week", "month", "quarter", "year")),
)
def test_an_end_is_the_first_midnight_that_another_period_begins_with(
    now: int, zone: str, period: Period
) -> None:
    instant, clock = EPOCH + timedelta(milliseconds=now), ZoneInfo(zone)
    first = instant.astimezone(clock).date()

    def name(day: date) -> object:
        quarter = (day.year, (day.month - 1) // 3)
        return {"day": day, "week": day.isocalendar()[:2], "month": (day.year, day.month), "quarter": quarter,
                "year": day.year}[period]  # fmt: skip

    following = (first + timedelta(days=n) for n in range(1, 400))
    begins = next(day for day in following if name(day) != name(first))
    expected = next(i for i in instants(datetime.combine(begins, time()), clock) if i > instant)

    assert EPOCH + timedelta(milliseconds=moment_after(period, zone, now)) == expected
