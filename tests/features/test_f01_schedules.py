"""F1 to F4: schedules by cron, interval and moment, their policies, and how people and code steer them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stream_durable import App, Context, DefinitionError, Fail, Workflow
from stream_durable.client import ScheduleState
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine

HOUR = timedelta(hours=1)


def report() -> Workflow[Any, Any]:
    flow = Workflow("report")

    @flow.step
    def write(ctx: Context) -> dict[str, Any]:
        moment = None if ctx.moment is None else ctx.moment.isoformat()
        return {"schedule": ctx.schedule, "moment": moment, "input": ctx.input}

    return flow


def waiting() -> Workflow[Any, Any]:
    flow = Workflow("waiting")
    flow.wait_signal("go")
    return flow


def state(engine: Engine, name: str = "nightly") -> ScheduleState:
    return engine.ask(lambda: engine._target.schedule(name))


def moments(engine: Engine, name: str = "nightly") -> list[datetime]:
    """Return the moments for which runs were started."""
    found = [run.state.moment for run in engine.runs if run.state.schedule == name]
    return [moment for moment in found if moment is not None]


def coming(engine: Engine, count: int, every: timedelta = HOUR) -> list[datetime]:
    """Return the next multiples of a time."""
    first = engine.now - (engine.now - datetime(1970, 1, 1, tzinfo=UTC)) % every
    return [first + every * n for n in range(1, count + 1)]


async def test_each_moment_starts_one_run_that_knows_its_schedule_and_moment(engine: Engine) -> None:
    wanted = coming(engine, 3)
    await engine.create_schedule("nightly", report(), {"a": 1}, cron="0 * * * *")
    await engine.advance("3h")

    runs = engine.runs
    assert moments(engine) == wanted
    assert [run.id for run in runs] == [
        f"nightly//{moment.isoformat(timespec='seconds').removesuffix('+00:00')}Z" for moment in wanted
    ]
    first = runs[0].state
    assert (first.status, first.trigger, first.schedule, first.moment) == (
        "completed", "schedule", "nightly", wanted[0],
    )  # fmt: skip
    assert first.output == {"schedule": "nightly", "moment": wanted[0].isoformat(), "input": {"a": 1}}


async def test_a_run_that_nobody_scheduled_knows_none(engine: Engine) -> None:
    run = await engine.start(report())
    await engine.until_idle()
    assert run.output == {"schedule": None, "moment": None, "input": None}
    assert (run.state.schedule, run.state.moment) == (None, None)


async def test_across_new_starts_and_repeats_no_moment_fires_twice_or_never(engine: Engine) -> None:
    wanted = coming(engine, 4)
    await engine.create_schedule("nightly", report(), every="1h")
    await engine.advance("1h30m")
    engine.restart()
    engine.redeliver()
    await engine.advance("1h")
    engine.restart()
    await engine.advance("1h30m")
    engine.redeliver()
    await engine.until_idle()

    assert moments(engine) == wanted


async def test_several_expressions_at_and_after(engine: Engine) -> None:
    begin = engine.now
    hours = coming(engine, 2)
    flow = report()
    await engine.create_schedule("both", flow, cron=["0 * * * *", "30 * * * *"])
    await engine.create_schedule("once", flow, at=[begin + 2 * HOUR, begin + HOUR])
    await engine.create_schedule("soon", flow, after="90m")
    await engine.advance("2h")

    halves = coming_halves(begin, begin + 2 * HOUR)
    assert moments(engine, "both") == halves
    assert set(hours) <= set(halves)
    assert moments(engine, "once") == [begin + HOUR, begin + 2 * HOUR]
    [soon] = moments(engine, "soon")
    assert timedelta(minutes=90) <= soon - begin < timedelta(minutes=91)
    assert state(engine, "once").next is None


def coming_halves(after: datetime, until: datetime) -> list[datetime]:
    half = timedelta(minutes=30)
    moment = after - (after - datetime(1970, 1, 1, tzinfo=UTC)) % half + half
    found = []
    while moment <= until:
        found.append(moment)
        moment += half
    return found


async def test_a_zone_a_start_an_end_and_jitter(engine: Engine) -> None:
    first, second = coming(engine, 2)
    await engine.create_schedule(
        "nightly", report(), cron="0 * * * *", timezone="Asia/Kolkata", start=first, end=second + HOUR,
        jitter="10m",
    )  # fmt: skip
    shown = state(engine)
    assert shown.timezone == "Asia/Kolkata"
    assert shown.next is not None
    # Full hours in India are half hours elsewhere.
    assert [moment.minute for moment in shown.moments] == [30] * len(shown.moments)
    assert timedelta() <= shown.next - shown.moments[0] < timedelta(minutes=10)
    await engine.advance("5h")
    assert moments(engine) == list(shown.moments)
    assert state(engine).next is None


@pytest.mark.parametrize(
    ("overlap", "started", "statuses"),
    [("skip", [1], ["started", "skipped", "skipped"]), ("queue_one", [1], ["started", "queued", "skipped"]),
     ("queue_all", [1], ["started", "queued", "queued"]), ("allow", [1, 2, 3], ["started"] * 3)],
)  # fmt: skip
async def test_a_firing_meets_a_run_under_way(
    engine: Engine, overlap: Any, started: list[int], statuses: list[str]
) -> None:
    hours = coming(engine, 3)
    await engine.create_schedule("nightly", waiting(), every="1h", overlap=overlap)
    await engine.advance("3h")
    assert moments(engine) == [hours[n - 1] for n in started]
    assert [firing.status for firing in reversed(state(engine).firings)] == statuses

    await engine.signal(engine.runs[0], "go")
    await engine.until_idle()
    also = [2] if overlap.startswith("queue") else []
    assert moments(engine) == [hours[n - 1] for n in [*started, *also]]


async def test_the_run_under_way_is_cancelled(engine: Engine) -> None:
    hours = coming(engine, 2)
    await engine.create_schedule("nightly", waiting(), every="1h", overlap="cancel")
    await engine.advance("2h")
    await engine.until_idle()
    assert moments(engine) == hours
    assert [run.status for run in engine.runs] == ["cancelled", "waiting"]


async def test_what_was_queued_starts_once_runs_may_overlap(engine: Engine) -> None:
    hours = coming(engine, 6)
    flow = Workflow("report")
    flow.sleep("for_long", "90m")
    await engine.create_schedule("nightly", flow, every="1h", overlap="queue_all")
    await engine.advance("4h")
    statuses = [firing.status for firing in reversed(state(engine).firings)]
    assert statuses == ["completed", "completed", "started", "queued"]
    await engine.change_schedule("nightly", overlap="allow")
    await engine.until_idle()
    assert moments(engine) == hours[:4]
    await engine.advance("2h")
    assert moments(engine) == hours


async def test_a_run_has_the_time_of_its_firing(engine: Engine) -> None:
    await engine.create_schedule("nightly", waiting(), every="1h", timeout="5m")
    await engine.advance("1h30m")
    [run] = engine.runs
    assert run.status == "failed"
    assert run.state.failure is not None
    assert run.state.failure.code == "timeout"


async def test_it_turns_itself_off_after_failures_in_a_row(engine: Engine) -> None:
    flow = Workflow("report")

    @flow.step
    def write() -> None:
        raise Fail("no_paper", "the tray is empty", retryable=False)

    await engine.create_schedule("nightly", flow, every="1h", disable_after=2)
    await engine.advance("4h")
    shown = state(engine)
    assert (len(moments(engine)), shown.is_on, shown.off_cause, shown.failures) == (2, False, "failures", 2)
    assert "no_paper: the tray is empty" in shown.reason

    await engine.resume_schedule("nightly")
    await engine.advance("1h")
    assert len(moments(engine)) == 3


@pytest.mark.parametrize("how", ["a run that began long ago fails", "fewer failures are allowed"])
async def test_it_turns_itself_off_though_what_failed_is_forgotten_by_then(engine: Engine, how: str) -> None:
    flow, is_late = Workflow("report"), how == "a run that began long ago fails"

    @flow.step
    async def write(ctx: Context) -> None:
        if ctx.run_id == "nightly//2023-11-14T22:14:00Z":
            if is_late:
                await ctx.sleep("90m")
            raise Fail("no_paper", "the tray is empty")
        if not is_late:
            await ctx.sleep("30s")

    await engine.create_schedule(
        "nightly", flow, every="1m", overlap="allow", disable_after=1 + (not is_late)
    )
    await engine.advance("61s")
    if is_late:
        await engine.advance("92m")
        said = "1 firings in a row failed; run nightly//2023-11-14T22:14:00Z ended as failed with no_paper"
    else:
        for _ in range(60):
            await engine.advance("1m")
            await engine.runs[-1].cancel()
        assert (state(engine).is_on, state(engine).failures) == (True, 1)
        await engine.change_schedule("nightly", disable_after=1)
        await engine.advance("1m")
        await engine.runs[-1].cancel()
        said = "1 firings in a row failed"
    shown = state(engine)
    assert (shown.is_on, shown.off_cause) == (False, "failures")
    assert shown.reason.startswith(said)
    assert "started" not in {firing.status for firing in shown.firings}


async def test_a_workflow_that_is_gone_is_a_failed_firing(engine: Engine) -> None:
    app = App("shop", workflows=[report()])
    app.schedule("nightly", app.workflows["report"], every="1h")
    from stream_durable.client.edge import Edge  # noqa: PLC0415
    from stream_durable.sdk.schedule import declarations  # noqa: PLC0415

    # Declared, but its workflow was never registered.
    engine.tell(lambda: Edge(engine.ports).send_all(declarations(app.name, app.schedules), "declare"))
    await engine.advance("1h")
    [firing] = state(engine).firings
    assert firing.status == "failed"
    assert firing.failure is not None
    assert firing.failure.code == "unknown_workflow"


async def test_paused_changed_and_triggered_by_hand(engine: Engine) -> None:
    await engine.create_schedule("nightly", report(), {"a": 1}, every="1h")
    await engine.pause_schedule("nightly", "holidays", by="ann")
    shown = state(engine)
    assert (shown.is_on, shown.reason, shown.off_by, shown.next) == (False, "holidays", "ann", None)
    await engine.advance("2h")
    assert engine.runs == []

    run = await engine.trigger_schedule("nightly", id="now")
    assert await engine.trigger_schedule("nightly", id="now") == run
    await engine.until_idle()
    assert [one.id for one in engine.runs] == [run]

    with pytest.raises(RejectedError, match="never fires from now on"):
        await engine.change_schedule("nightly", at="2001-01-01T00:00Z")
    await engine.change_schedule("nightly", input={"a": 2}, every="2h")
    await engine.resume_schedule("nightly")
    wanted = coming(engine, 1, 2 * HOUR)
    await engine.advance("2h")
    assert moments(engine)[1:] == wanted
    assert engine.runs[-1].output["input"] == {"a": 2}

    await engine.delete_schedule("nightly")
    await engine.advance("4h")
    assert len(engine.runs) == 2
    with pytest.raises(RejectedError, match="there is no schedule 'nightly'"):
        state(engine)


async def test_the_next_version_is_started_once_it_is_deployed(engine: Engine) -> None:
    def version(number: int) -> Workflow[Any, Any]:
        flow = Workflow("report")
        flow.add(f"write{number}", lambda: number)
        return flow

    await engine.create_schedule("nightly", version(1), every="1h")
    await engine.advance("1h")
    engine.deploy(version(2))
    await engine.advance("1h")
    assert [run.output for run in engine.runs] == [1, 2]


async def test_what_code_declares_is_deployed_and_what_people_changed_is_kept(engine: Engine) -> None:
    flow = report()

    def app(*names: str, every: str = "1h") -> App:
        made = App("shop", workflows=[flow])
        for name in names:
            made.schedule(name, flow, {"by": "code"}, every=every)
        return made

    await engine.deploy_app(app("nightly", "hourly"))
    await engine.pause_schedule("hourly", "not now")
    await engine.change_schedule("nightly", every="3h")
    await engine.deploy_app(app("nightly", "hourly", every="2h"))
    await engine.until_idle()
    nightly, hourly = state(engine), state(engine, "hourly")
    assert (nightly.rule, nightly.is_changed, nightly.app) == ("every 10800 s", True, "shop")
    assert (hourly.rule, hourly.is_on, hourly.is_changed) == ("every 7200 s", False, False)

    await engine.reset_schedule("nightly")
    assert (state(engine).rule, state(engine).is_changed) == ("every 7200 s", False)
    await engine.deploy_app(app())
    await engine.until_idle()
    assert [one.undeclared is not None for one in await engine.schedules()] == [True, True]
    await engine.advance("2h")
    assert len(moments(engine)) == 1, "it is reported, and goes on"


async def test_a_range_of_the_past_is_filled_in_once(engine: Engine) -> None:
    await engine.create_schedule("nightly", report(), cron="0 * * * *")
    since, until = engine.now - 5 * HOUR, engine.now
    preview = await engine.backfill_schedule("nightly", since, until, preview=True)
    assert (len(preview.moments), preview.is_ordered, engine.runs) == (5, False, [])

    begin = engine.now
    await engine.backfill_schedule("nightly", since, until, pace="10s")
    await engine.advance("1m")
    assert sorted(moments(engine)) == list(preview.moments)
    starts = sorted(run.state.created for run in engine.runs)
    assert all(timedelta(seconds=9) < b - a for a, b in zip(starts, starts[1:], strict=False))
    assert starts[0] - begin < timedelta(seconds=9)

    await engine.backfill_schedule("nightly", since, until, pace="1s")
    await engine.advance("1m")
    assert len(engine.runs) == 5


async def test_a_range_is_of_the_past(engine: Engine) -> None:
    await engine.create_schedule("nightly", report(), every="1h")
    with pytest.raises(RejectedError, match="still to come"):
        await engine.backfill_schedule("nightly", engine.now, engine.now + HOUR)


@pytest.mark.parametrize(
    ("options", "code"),
    [({"cron": "0 0 30 2 *"}, "never_fires"), ({"at": "2001-01-01T00:00Z"}, "never_fires"),
     ({"cron": "x"}, "bad_cron"), ({"every": "1h", "timezone": "Mars/Base"}, "unknown_zone"),
     ({"every": "1h", "cron": "0 0 * * *"}, "bad_schedule"), ({}, "bad_schedule"),
     ({"every": "1h", "overlap": "never"}, "bad_schedule"),
     ({"every": "1h", "disable_after": 0}, "bad_schedule"),
     ({"every": "1h", "start": "soon"}, "bad_moment"), ({"every": "1h", "tags": "x"}, "bad_tags")],
)  # fmt: skip
async def test_what_cannot_be_followed_is_refused_where_it_is_written(
    engine: Engine, options: dict[str, Any], code: str
) -> None:
    with pytest.raises(RejectedError) as caught:
        await engine.create_schedule("nightly", report(), **options)
    assert caught.value.code == code

    app = App("shop", workflows=[flow := report()])
    if options == {"at": "2001-01-01T00:00Z"}:
        app.schedule("nightly", flow, **options)  # it fired long ago, and stays in the code
        return
    with pytest.raises(DefinitionError) as refused:
        app.schedule("nightly", flow, **options)
    [fault] = refused.value.faults
    assert (fault.code, fault.origin.file) == (code, __file__)


async def test_a_name_is_taken_once(engine: Engine) -> None:
    flow = report()
    await engine.create_schedule("nightly", flow, every="1h")
    with pytest.raises(RejectedError, match="already"):
        await engine.create_schedule("nightly", flow, every="1h")
    with pytest.raises(TypeError, match="is cron= meant"):
        await engine.create_schedule("other", flow, cronn="0 0 * * *")  # type: ignore[call-arg]
    app = App("shop", workflows=[flow])
    app.schedule("a", flow, every="1h")
    with pytest.raises(DefinitionError, match="two schedules are called 'a'"):
        app.schedule("a", flow, every="1h")
    with pytest.raises(DefinitionError, match="add it to workflows="):
        app.schedule("b", waiting(), every="1h")
