"""Moments of rules: both edges of daylight saving, every kind of rule, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from stream_durable.core.errors import RejectedError
from stream_durable.core.schedule.moments import check_rule, jittered, next_moment, next_moments
from stream_durable.core.schedule.rule import Rule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def ms(text: str) -> int:
    """Return a moment with its offset in milliseconds."""
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def shown(rule: Rule, after: str, count: int, created: str = "2026-01-01T00:00Z") -> list[str]:
    """Return the next moments as the clocks of the zone show them."""
    found = next_moments(rule, ms(after), ms(created), count)
    zone = ZoneInfo(rule.zone)
    return [
        (EPOCH + timedelta(milliseconds=moment)).astimezone(zone).isoformat(timespec="minutes")
        for moment in found
    ]


def cron(*texts: str, zone: str = BERLIN, **more: Any) -> Rule:
    return Rule(cron=texts, zone=zone, **more)


def test_a_time_that_the_clocks_skip_fires_once_after_the_gap() -> None:
    assert shown(cron("30 2 * * *"), "2026-03-28T12:00+01:00", 2) == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:30+02:00",
    ]


def test_several_times_in_one_gap_fire_once_together() -> None:
    assert shown(cron("*/20 2,3 * * *"), "2026-03-28T12:00+01:00", 3) == [
        "2026-03-29T03:00+02:00",
        "2026-03-29T03:20+02:00",
        "2026-03-29T03:40+02:00",
    ]


def test_a_time_that_the_clocks_show_twice_fires_once() -> None:
    assert shown(cron("30 2 * * *"), "2026-10-24T12:00+02:00", 2) == [
        "2026-10-25T02:30+02:00",
        "2026-10-26T02:30+01:00",
    ]


def test_what_was_asked_within_the_second_showing_goes_on_after_it() -> None:
    assert shown(cron("*/30 2,3 * * *"), "2026-10-25T02:10+01:00", 2) == [
        "2026-10-25T03:00+01:00",
        "2026-10-25T03:30+01:00",
    ]


def test_an_expression_for_every_hour_goes_by_elapsed_time() -> None:
    assert shown(cron("*/30 * * * *"), "2026-10-25T02:00+02:00", 4) == [
        "2026-10-25T02:30+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T02:30+01:00",
        "2026-10-25T03:00+01:00",
    ]
    assert shown(cron("*/30 * * * *"), "2026-03-29T01:00+01:00", 3) == [
        "2026-03-29T01:30+01:00",
        "2026-03-29T03:00+02:00",
        "2026-03-29T03:30+02:00",
    ]


def test_clocks_may_change_by_half_an_hour_or_skip_a_day() -> None:
    assert shown(cron("45 1 * * *", zone="Australia/Lord_Howe"), "2026-04-04T12:00+11:00", 2) == [
        "2026-04-05T01:45+11:00",
        "2026-04-06T01:45+10:30",
    ]
    # Samoa had no 30 December 2011.
    assert shown(cron("0 12 * * *", zone="Pacific/Apia"), "2011-12-29T13:00-10:00", 2) == [
        "2011-12-31T00:00+14:00",
        "2011-12-31T12:00+14:00",
    ]


def test_six_fields_begin_with_seconds() -> None:
    found = next_moments(cron("15,45 30 2 * * *", zone="UTC"), ms("2026-01-01T00:00Z"), 0, 2)

    assert found == [ms("2026-01-01T02:30:15Z"), ms("2026-01-01T02:30:45Z")]


@pytest.mark.parametrize(
    ("text", "days"),
    [("0 0 1,31 * *", ["02-01", "03-01", "03-31", "04-01"]), ("0 0 30,2 * *", ["02-02", "03-02", "03-30"]),
     ("0 0 28-31 2,3 *", ["02-28", "03-28", "03-29", "03-30", "03-31"]), ("0 0 1,L * *", ["02-01", "02-28"]),
     ("0 30 0 1,31 * *", ["02-01", "03-01", "03-31"])],
)  # fmt: skip
def test_days_that_some_months_lack_hide_no_others(text: str, days: list[str]) -> None:
    found = shown(cron(text, zone="UTC"), "2026-01-31T12:00Z", len(days))

    assert [moment[5:10] for moment in found] == days


def test_of_several_expressions_each_moment_fires_once() -> None:
    rule = cron("0 9 * * *", "0 9,18 * * MON", zone="UTC")

    assert shown(rule, "2026-11-22T12:00Z", 3) == [
        "2026-11-23T09:00+00:00", "2026-11-23T18:00+00:00", "2026-11-24T09:00+00:00",
    ]  # fmt: skip


def test_start_is_the_first_moment_and_end_is_none() -> None:
    rule = cron("0 * * * *", zone="UTC", start=ms("2026-01-01T03:00Z"), end=ms("2026-01-01T05:00Z"))

    assert shown(rule, "2025-01-01T00:00Z", 9) == ["2026-01-01T03:00+00:00", "2026-01-01T04:00+00:00"]


def test_every_counts_from_its_start_or_from_the_epoch() -> None:
    anchored = Rule(every_ms=90_000, start=ms("2026-01-01T00:00:30Z"))

    assert next_moments(anchored, 0, 0, 2) == [ms("2026-01-01T00:00:30Z"), ms("2026-01-01T00:02:00Z")]
    assert next_moment(Rule(every_ms=60_000), ms("2026-01-01T00:00:30Z"), 0) == ms("2026-01-01T00:01:00Z")


def test_single_moments_and_a_delay() -> None:
    assert next_moments(Rule(at=(7, 3, 5)), 3, 0, 9) == [5, 7]
    assert next_moments(Rule(after_ms=60_000), 1_000, 1_000, 9) == [61_000]
    assert next_moment(Rule(after_ms=60_000), 61_000, 1_000) is None


def test_a_delay_by_jitter_follows_from_schedule_and_moment() -> None:
    rule = Rule(every_ms=60_000, jitter_ms=10_000)
    found = {jittered(rule, "nightly", moment) - moment for moment in range(0, 6_000_000, 60_000)}

    assert len(found) > 50
    assert min(found) >= 0
    assert max(found) < 10_000
    assert jittered(rule, "nightly", 60_000) == jittered(rule, "nightly", 60_000)
    assert jittered(rule, "nightly", 60_000) != jittered(rule, "daily", 60_000)


@pytest.mark.parametrize(
    ("rule", "code", "names"),
    [(cron("0 0 30 2 *"), "never_fires", "'0 0 30 2 *'"),
     (cron("0 0 * * *", start=0, end=1), "never_fires", "between start and end"),
     (cron("61 * * * *"), "bad_cron", "'61 * * * *'"),
     (cron("* * *"), "bad_cron", "3 fields"),
     (cron("0 0 0 0 1 1 2030"), "bad_cron", "7 fields"),
     (cron("R 2 * * *"), "bad_cron", "random"),
     (cron("H 2 * * *"), "bad_cron", "random"),
     (cron("@reboot"), "bad_cron", "@reboot"),
     (cron("0 0 * * *", zone="Europe/Atlantis"), "unknown_zone", "Europe/Berlin"),
     (Rule(), "bad_schedule", "exactly one"),
     (Rule(every_ms=5_000, at=(5,)), "bad_schedule", "exactly one"),
     (Rule(every_ms=10), "bad_schedule", "give every= more"),
     (Rule(every_ms=5_000, start=9, end=9), "bad_schedule", "later moment"),
     (Rule(every_ms=5_000, jitter_ms=90_000_000), "bad_schedule", "a day or less")],
)  # fmt: skip
def test_a_rule_that_cannot_be_followed_is_refused(rule: Rule, code: str, names: str) -> None:
    with pytest.raises(RejectedError, match="schedule 'nightly'") as caught:
        check_rule(rule, "nightly")

    assert caught.value.code == code
    assert names in str(caught.value)
