"""Sleeps that end by the calendar: in memory and on Postgres and Kafka."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from stream_durable import NextBusinessDay, NextWeekday, Workflow
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]

TOKYO = ZoneInfo("Asia/Tokyo")


async def test_a_sleep_ends_at_its_moment_after_a_new_start_of_everything(engine: Engine) -> None:
    flow = Workflow("sleeper")
    monday = flow.sleep("monday", until=NextWeekday("monday", at="09:00"), zone="Asia/Tokyo")
    flow.sleep(
        "office", until=NextBusinessDay(at="08:00", holidays="input.free"), zone="Asia/Tokyo", after=monday
    )
    today = engine.now.astimezone(TOKYO).date()
    first = datetime.combine(today + timedelta(days=7 - today.weekday()), time(9), TOKYO)
    run = await engine.start(flow, {"free": [f"{first + timedelta(days=1):%Y-%m-%d}"]})
    await engine.until_waiting(run)
    assert run.step("monday").state.due == first

    engine.restart()
    await engine.advance(first - engine.now - timedelta(minutes=1))
    assert run.step("monday").status == "waiting"
    await engine.advance("1m")
    assert run.step("monday").status == "completed"
    assert run.step("office").state.due == datetime.combine(first.date() + timedelta(days=2), time(8), TOKYO)
    await engine.advance("2d")
    assert run.status == "completed"


async def test_a_zone_that_is_none_fails_the_step(engine: Engine) -> None:
    flow = Workflow("sleeper")
    flow.sleep("nap", until=NextWeekday("monday"), zone="input.zone")
    run = await engine.start(flow, {"zone": "Mars/Olympus"})
    await engine.until_idle()

    failure = run.step("nap").failure
    assert failure is not None and (run.status, failure.code) == ("failed", "unknown_zone")
