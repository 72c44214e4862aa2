"""Schedules: in memory and on Postgres and Kafka."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stream_durable import App, Context, Workflow
from stream_durable.client import ScheduleState
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]

HOUR = timedelta(hours=1)


def state(engine: Engine, name: str) -> ScheduleState:
    return engine.ask(lambda: engine._target.schedule(name))


def report() -> Workflow[Any, Any]:
    flow = Workflow("report")

    @flow.step
    def write(ctx: Context) -> list[Any]:
        return [ctx.schedule, ctx.moment and ctx.moment.isoformat(), ctx.input]

    return flow


async def test_a_schedule_lives_through_new_starts_changes_and_repeats(engine: Engine) -> None:
    flow = report()
    now = engine.now
    first = now - (now - datetime(1970, 1, 1, tzinfo=UTC)) % HOUR + HOUR
    await engine.create_schedule("hourly", flow, {"a": 1}, cron="0 * * * *", jitter="30s", disable_after=3)
    # Far from the next full hour, whatever time it is.
    await engine.advance(first + timedelta(minutes=10) - engine.now)
    engine.restart()
    engine.redeliver()
    await engine.advance("1h")
    await engine.until_idle()

    runs = engine.runs
    assert [run.state.moment for run in runs] == [first, first + HOUR]
    assert runs[0].output == ["hourly", first.isoformat(), {"a": 1}]
    assert (runs[0].state.schedule, runs[0].state.trigger) == ("hourly", "schedule")
    shown = state(engine, "hourly")
    assert [firing.status for firing in shown.firings] == ["completed", "completed"]
    assert shown.moments[0] == first + 2 * HOUR
    assert [one.name for one in await engine.schedules()] == ["hourly"]

    await engine.pause_schedule("hourly", "holidays", by="ann")
    await engine.advance("2h")
    assert state(engine, "hourly").reason == "holidays"
    assert len(engine.runs) == 2
    await engine.change_schedule("hourly", every="10m", overlap="allow")
    await engine.resume_schedule("hourly")
    triggered = await engine.trigger_schedule("hourly", id="now")
    since = first - 3 * HOUR
    await engine.backfill_schedule("hourly", since, since + timedelta(minutes=30), pace="1s")
    await engine.advance("11m")
    await engine.until_idle()

    later = [run for run in engine.runs if run.id not in {one.id for one in runs}]
    assert triggered in {run.id for run in later}
    past = sorted(run.state.moment for run in later if run.state.moment < first)
    assert past == [since + timedelta(minutes=10 * n) for n in range(3)]
    assert all(run.status == "completed" for run in later)
    assert len(later) >= 5

    await engine.delete_schedule("hourly")
    await engine.until_idle()
    assert await engine.schedules() == []


async def test_what_an_app_declares_is_marked_when_it_is_gone(engine: Engine) -> None:
    flow = report()
    app = App("shop", workflows=[flow])
    app.schedule("nightly", flow, {"by": "code"}, cron="0 2 * * *", timezone="Europe/Berlin")
    await engine.deploy_app(app)
    await engine.until_idle()
    shown = state(engine, "nightly")
    assert (shown.app, shown.is_changed, shown.undeclared) == ("shop", False, None)

    await engine.deploy_app(App("shop", workflows=[flow]))
    await engine.until_idle()
    assert state(engine, "nightly").undeclared is not None
    assert state(engine, "nightly").next is not None
