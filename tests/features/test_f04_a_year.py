"""F1 and F4: a year of many schedules in twenty zones, against moments computed in another way."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from budget import SCHEDULES

from stream_durable.core.effects import Effects
from stream_durable.core.entities import timer_fired
from stream_durable.core.fold import fold
from stream_durable.core.messages import (
    Message,
    Plan,
    ScheduledRunEnded,
    ScheduleMessage,
    SetSchedule,
    StartScheduled,
)
from stream_durable.core.schedule.rule import Rule
from stream_durable.core.schedule.state import Schedule

ZONES = (
    "UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/Los_Angeles", "America/St_Johns",
    "America/Havana", "America/Santiago", "America/Sao_Paulo", "Africa/Casablanca", "Africa/Cairo",
    "Asia/Kolkata", "Asia/Kathmandu", "Asia/Beirut", "Asia/Tokyo", "Australia/Sydney",
    "Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Chatham", "Atlantic/Azores",
)  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = 3_600_000


def ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


BEGIN, END = ms(datetime(2026, 1, 1, tzinfo=UTC)), ms(datetime(2027, 1, 1, tzinfo=UTC))


class Drawn(NamedTuple):
    """A rule, with the values that its fields stand for."""

    zone: str
    minutes: list[int]
    hours: list[int]
    days: list[int]
    weekdays: list[int]

    @property
    def cron(self) -> str:
        days, weekdays = (",".join(map(str, each)) or "*" for each in (self.days, self.weekdays))
        return f"{','.join(map(str, self.minutes))} {','.join(map(str, self.hours))} {days} * {weekdays}"

    def is_on(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if self.days and self.weekdays:
            return day.day in self.days or weekday in self.weekdays
        return (not self.days or day.day in self.days) and (not self.weekdays or weekday in self.weekdays)


def drawn(rng: Random, number: int) -> Drawn:
    kind = rng.choices(("daily", "weekly", "monthly", "both"), (4, 40, 40, 16))[0]
    # Most of them when clocks change: on Sundays, in the small hours.
    hours = rng.sample((0, 1, 2, 3, 12, 23), rng.choice((1, 1, 2)))
    return Drawn(
        ZONES[number % len(ZONES)],
        rng.sample((0, 5, 15, 29, 30, 45, 59), rng.choice((1, 1, 2))),
        hours,
        [] if kind in ("daily", "weekly") else rng.sample((1, 8, 15, 25, 29, 31), 2),
        [] if kind in ("daily", "monthly") else [rng.choice((0, 0, 0, 5))],
    )


def segments(zone: ZoneInfo) -> list[tuple[int, int]]:
    """Return from when on which offset holds, found by looking at the clock each quarter of an hour."""
    found: list[tuple[int, int]] = []
    for moment in range(BEGIN - 48 * HOUR, END + 48 * HOUR, HOUR // 4):
        offset = (EPOCH + timedelta(milliseconds=moment)).astimezone(zone).utcoffset()
        assert offset is not None
        if not found or found[-1][1] != offset // timedelta(milliseconds=1):
            found.append((moment, offset // timedelta(milliseconds=1)))
    return found


def expected(rule: Drawn, offsets: list[tuple[int, int]]) -> list[int]:
    """Return all moments of the year: times of the clock by date, and then where they are in time."""
    found = set()
    day = date(2025, 12, 31)
    while day < date(2027, 1, 3):
        if rule.is_on(day):
            midnight = ms(datetime(day.year, day.month, day.day, tzinfo=UTC))
            for hour in rule.hours:
                found |= {instant(midnight + hour * HOUR + m * 60_000, offsets) for m in rule.minutes}
        day += timedelta(days=1)
    return sorted(moment for moment in found if BEGIN < moment < END)


def instant(shown: int, offsets: list[tuple[int, int]]) -> int:
    """Return when clocks first show a time, or when they have leapt over it."""
    for i, (start, offset) in enumerate(offsets):
        end = offsets[i + 1][0] if i + 1 < len(offsets) else END + 96 * HOUR
        if shown - offset < start:
            return start
        if shown - offset < end:
            return shown - offset
    raise AssertionError(shown)


class Year:
    """Schedules on virtual time: each message is folded at once, and each run ends as it begins."""

    def __init__(self) -> None:
        self.schedules: dict[str, Schedule] = {}
        self.started: dict[str, list[int]] = {}
        self.timers: dict[tuple[Any, str, str], int | None] = {}
        self.heap: list[tuple[int, str]] = []

    def tell(self, messages: Iterable[Message], now: int) -> None:
        said = list(messages)
        while said:
            message = said.pop(0)
            effects = Effects()
            fold(self.schedules[message.key], message, now, effects)
            for key, due in effects.timers.items():
                self.timers[key] = due
                if due is not None:
                    heapq.heappush(self.heap, (due, key[1]))
            for each in effects.messages:
                if isinstance(each, ScheduleMessage):
                    said.append(each)
                elif isinstance(each, StartScheduled):
                    self.started[each.schedule].append(each.moment)
                    ended = ScheduledRunEnded(key=each.schedule, format=2, run=each.key, status="completed")
                    said.append(ended)

    def create(self, name: str, rule: Rule) -> None:
        self.schedules[name], self.started[name] = Schedule(name, 0), []
        plan = Plan(rule=rule, workflow="report")
        self.tell([SetSchedule(key=name, format=2, id="set", plan=plan, is_new=True)], BEGIN)

    def pass_by(self) -> None:
        while self.heap and self.heap[0][0] < END:
            due, name = heapq.heappop(self.heap)
            if self.timers.get(("schedule", name, "")) == due:
                self.tell([timer_fired("schedule", name, "", due)], due)


@pytest.mark.timeout(900)
def test_every_moment_of_a_year_fires_once_and_no_other() -> None:
    rng, year = Random(2026), Year()
    rules = {f"s{number}": drawn(rng, number) for number in range(SCHEDULES)}
    for name, rule in rules.items():
        year.create(name, Rule(cron=(rule.cron,), zone=rule.zone))

    year.pass_by()

    offsets = {zone: segments(ZoneInfo(zone)) for zone in ZONES}
    assert sum(len(found) > 1 for found in offsets.values()) > 12, "clocks change in most zones"
    wrong = {
        name: (rule, set(year.started[name]) ^ set(wanted))
        for name, rule in rules.items()
        if year.started[name] != (wanted := expected(rule, offsets[rule.zone]))
    }
    assert not wrong, dict(list(wrong.items())[:5])
    assert sum(map(len, year.started.values())) > 40 * SCHEDULES
