"""D1: sleeping for a time, until a moment, or until a rule of the calendar is met, in any time zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
from outcomes import failure_of
from pydantic import BaseModel

from stream_durable import DefinitionError, EndOf, NextBusinessDay, NextWeekday, Workflow
from stream_durable.sdk.moments import DayName
from stream_durable.testing import Engine

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY: tuple[Any, ...] = get_args(DayName)


def sleeping(until: Any, zone: str | None = "Europe/Berlin", name: str = "sleeper") -> Workflow:
    flow = Workflow(name)
    flow.sleep("nap", until=until, zone=zone)
    flow.add("then", lambda: "awake", after="nap")
    return flow


async def woken(
    engine: Engine, until: Any, given: Any = None, zone: str | None = "Europe/Berlin"
) -> datetime:
    """Return when a run wakes up, having made sure that it did not a second before."""
    run = await engine.start(sleeping(until, zone, f"sleeper-{len(engine.runs)}"), given)
    await engine.until_waiting(run)
    due = run.step("nap").state.due
    assert due is not None
    if due > engine.now:
        await engine.advance(due - engine.now - timedelta(seconds=1))
        assert (run.status, run.step("nap").status) == ("waiting", "waiting")
        await engine.advance("1s")
    assert (run.status, run.output, run.step("nap").output) == ("completed", "awake", None)
    return due


async def test_rules_are_met_by_the_clocks_of_the_zone(engine: Engine) -> None:
    def here(moment: datetime) -> str:
        return f"{moment.astimezone(BERLIN):%a %H:%M}"

    assert here(await woken(engine, NextWeekday("monday", at="09:00"))) == "Mon 09:00"
    assert here(await woken(engine, NextWeekday("friday", at=time(7, 30)))) == "Fri 07:30"
    end = (await woken(engine, EndOf("month"))).astimezone(BERLIN)
    assert (end.day, end.hour) == (1, 0)
    end = (await woken(engine, EndOf("quarter"), zone=None)).astimezone(UTC)
    assert (end.day, end.hour, end.month % 3) == (1, 0, 1)


async def test_the_next_business_day_is_no_holiday_of_a_list_or_of_the_input(engine: Engine) -> None:
    monday = (await woken(engine, NextWeekday("monday"))).astimezone(BERLIN).date()
    tuesday, wednesday = monday + timedelta(days=1), monday + timedelta(days=2)
    rule = NextBusinessDay(at="09:00", holidays=[tuesday])

    found = await woken(engine, rule)
    assert found.astimezone(BERLIN) == datetime.combine(wednesday, time(9), BERLIN)
    free = [(wednesday + timedelta(days=n)).isoformat() for n in range(1, 3)]
    later = await woken(engine, NextBusinessDay(at="09:00", holidays="input.free"), {"free": free})
    assert later.astimezone(BERLIN).date() == wednesday + timedelta(days=5)


async def test_a_moment_of_the_input_or_of_a_step(engine: Engine) -> None:
    class Order(BaseModel):
        ship_at: datetime
        zone: str = "UTC"

    flow = Workflow("order", input=Order)
    flow.add("plan", lambda order: (order.ship_at + timedelta(days=1)).isoformat())
    flow.sleep("first", until="input.ship_at", after="plan")
    flow.sleep("second", until="plan", after="first")
    ship_at = engine.now + timedelta(hours=5)
    run = await engine.start(flow, Order(ship_at=ship_at))
    await engine.advance("5h")
    assert run.step("first").status == "completed"
    assert run.step("second").status == "waiting"
    await engine.advance("1d")
    assert run.status == "completed"


async def test_a_moment_without_an_offset_is_a_time_in_the_zone_which_may_be_of_the_input(
    engine: Engine,
) -> None:
    day = f"{engine.now + timedelta(days=3):%Y-%m-%d}"

    found = await woken(engine, "input.at", {"at": f"{day}T08:00", "zone": "Asia/Tokyo"}, zone="input.zone")
    assert found == datetime.fromisoformat(f"{day}T08:00+09:00")
    fixed = await woken(engine, datetime.fromisoformat(f"{day}T23:00"), zone="America/New_York")
    assert fixed == datetime.fromisoformat(f"{day}T23:00").replace(tzinfo=ZoneInfo("America/New_York"))


async def test_a_moment_that_is_over_ends_the_sleep_at_once(engine: Engine) -> None:
    began = engine.now
    run = await engine.start(sleeping("input.at"), {"at": "2020-01-01"})
    await engine.until_idle()

    assert run.output == "awake"
    assert engine.now - began < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("until", "zone", "given", "code", "words"),
    [
        ("input.at", None, {"at": "soon"}, "bad_moment", "no moment is at 'input.at'"),
        ("input.at", None, {}, "path_missing", "nothing is at 'input.at'"),
        (EndOf("day"), "input.zone", {"zone": "Mars/Olympus"}, "unknown_zone", "no time zone"),
        (NextBusinessDay(holidays="input.free"), None, {"free": "none"}, "bad_moment", "no list of dates"),
    ],
)
async def test_what_is_no_moment_fails_the_step(
    engine: Engine, until: Any, zone: str | None, given: Any, code: str, words: str
) -> None:
    run = await engine.start(sleeping(until, zone), given)
    await engine.until_idle()

    failure = failure_of(run.step("nap"))
    assert (run.status, failure.code) == ("failed", code)
    assert words in failure.message


async def test_pausing_cancelling_skipping_and_retrying(engine: Engine) -> None:
    flow = sleeping(EndOf("day"))
    paused = await engine.start(flow, id="paused")
    await paused.pause()
    await engine.advance("1d")
    assert (paused.status, paused.step("nap").status) == ("paused", "completed")
    await paused.resume()
    await engine.until_idle()
    assert paused.output == "awake"

    skipped = await engine.start(flow, id="skipped")
    await engine.until_waiting(skipped)
    await skipped.skip_step("nap")
    await engine.until_idle()
    assert (skipped.status, skipped.step("nap").status) == ("completed", "skipped")

    cancelled = await engine.start(flow, id="cancelled")
    await engine.until_waiting(cancelled)
    first = cancelled.step("nap").state.due
    await cancelled.cancel("later")
    await engine.advance("3d")
    assert cancelled.status == "cancelled"
    await cancelled.retry()
    await engine.until_waiting(cancelled)
    second = cancelled.step("nap").state.due
    assert first is not None and second is not None and second - first >= timedelta(days=2)
    await engine.advance("1d")
    assert cancelled.output == "awake"


async def test_a_reconciler_that_begins_anew_and_records_delivered_twice_change_nothing(
    engine: Engine,
) -> None:
    run = await engine.start(sleeping(NextWeekday("monday", at="09:00")))
    await engine.until_waiting(run)
    engine.restart()
    engine.redeliver()
    await engine.advance("8d")

    assert (run.output, run.step("nap").attempts) == ("awake", 1)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({}, "contradiction"),
        ({"duration": "1h", "until": EndOf("day")}, "contradiction"),
        ({"duration": "1h", "zone": "UTC"}, "contradiction"),
        ({"until": 7}, "bad_moment"),
        ({"until": "input..at"}, "moment_path"),
        ({"until": "elsewhere.at"}, "moment_path"),
        ({"until": EndOf("day"), "zone": "Mars/Olympus"}, "unknown_zone"),
        ({"until": EndOf("day"), "zone": "nowhere.zone"}, "moment_path"),
        ({"until": EndOf("century")}, "bad_option"),  # type: ignore[arg-type]
        ({"until": NextWeekday("funday")}, "bad_moment"),  # type: ignore[arg-type]
        ({"until": NextWeekday("monday", at="9 o'clock")}, "bad_moment"),
        ({"until": NextWeekday("monday", at="25:00")}, "bad_moment"),
        ({"until": NextBusinessDay(weekend=EVERY_DAY)}, "bad_moment"),
        ({"until": NextBusinessDay(holidays=["25.12.2026"])}, "bad_moment"),
        ({"until": NextBusinessDay(holidays=7)}, "bad_moment"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_where_it_is_written(options: dict[str, Any], code: str) -> None:
    flow = Workflow("sleeper")
    flow.sleep("nap", **options)

    with pytest.raises(DefinitionError) as error:
        flow.definition()

    assert code in [fault.code for fault in error.value.faults]


def test_holidays_may_be_dates_and_texts() -> None:
    flow = Workflow("sleeper")
    holidays: list[date | str] = [date(2026, 12, 25), "2026-12-24", datetime(2026, 12, 26, tzinfo=UTC)]
    flow.sleep("nap", until=NextBusinessDay(holidays=holidays))

    [node] = flow.definition().nodes
    assert flow.definition().format == 2
    assert node.until.holidays == ("2026-12-24", "2026-12-25", "2026-12-26")  # type: ignore[union-attr]
