"""Runs are started later, paused, retried, ended and looked at from outside: on a whole instance."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from instances import SECONDS, Instance, running, settings_of
from waiting import eventually

from stream_durable import App, Client, Context, Fail, RunCancelled, RunFailed, Workflow
from stream_durable.client import RunFilter, RunHandle, RunState
from stream_durable.core.errors import RejectedError
from stream_durable.core.lifecycle import RunEvent
from stream_durable.local.kafka import LocalKafka
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

#: Runs whose step fails, as long as they are here.
BROKEN: set[str] = set()

told = Workflow("told")
go = told.wait_signal("go")


@told.step(after=go)
async def greet(ctx: Context) -> str:
    return f"{ctx.get('greeting', 'hello')} {ctx.metadata.get('who')}"


shaky = Workflow("shaky")


@shaky.step
async def fetch(input: Any) -> dict[str, int]:  # noqa: A002
    return {"fetched": 1}


@shaky.step
async def store(ctx: Context, fetch: dict[str, int]) -> str:
    ctx.log.info("storing %s", fetch["fetched"])
    if ctx.run_id in BROKEN:
        raise Fail("disk_full", "no room", details={"free": 0})
    return ctx.idempotency_key


@shaky.step(after=store)
async def report(ctx: Context) -> str:
    print("reported")  # noqa: T201
    return ctx.idempotency_key


@shaky.on_failure
async def alarm() -> None: ...


line = Workflow("line")
stop = line.wait_signal("stop")

album = Workflow("album")


@album.step
async def names(input: list[str]) -> list[str]:  # noqa: A002
    return input


@album.each(names)
async def shout(item: str) -> str:
    if item == "bad":
        raise Fail("bad_name", "no", retryable=False)
    return item.upper()


kind = album.branch("kind", on="shout", after=shout)


@kind.otherwise
async def print_it() -> str:
    return "printed"


called = album.child("called", line, after=kind)

bulky = Workflow("bulky")


@bulky.step
async def big(input: int) -> str:  # noqa: A002
    return "x" * input


@bulky.step
async def size(big: str) -> int:
    return len(big)


other = bulky.add("other", lambda: 1)

app = App("running", workflows=[told, shaky, line, album, bulky])


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


@pytest.fixture
async def instance(settings: Settings) -> AsyncIterator[Instance]:
    BROKEN.clear()
    async with running(settings, app) as found:
        yield found


async def until(run: RunHandle, status: str, **steps: str) -> RunState:
    """Wait until a run and some of its steps stand like this."""

    async def look() -> RunState | None:
        state = await run.state()
        stand = {name: state.steps[name].status for name in steps}
        return state if (state.status, stand) == (status, steps) else None

    found = await eventually(look, f"{run} is {status} with {steps}", seconds=SECONDS)
    assert found is not None
    return found


async def test_a_run_begins_when_it_is_told_to(instance: Instance) -> None:
    moment = datetime.now(UTC) + timedelta(hours=1)
    later = await instance.client.start(told, id="later", at=moment)
    begun = time.monotonic()
    soon = await instance.client.start(bulky, 3, id="soon", after="3s")

    state = await later.state()
    assert (state.status, state.current) == ("pending", ())
    assert {step.status for step in state.steps.values()} == {"pending"}
    assert state.due is not None
    assert abs(state.due - moment).total_seconds() < 0.01
    assert not (await instance.client.start(told, id="later")).created
    assert (await soon.state()).status == "pending"

    assert await soon.result(timeout="90s") == {"size": 3, "other": 1}
    assert time.monotonic() - begun > 2.9
    assert [e.type async for e in soon.watch() if isinstance(e, RunEvent)] == [
        "run.scheduled",
        "run.started",
        "run.completed",
    ]
    await later.cancel("not wanted")
    with pytest.raises(RunCancelled, match="not wanted"):
        await later.result(timeout="90s")


async def test_what_a_start_cannot_mean_is_refused(instance: Instance) -> None:
    start = instance.client.start
    for code, options in {
        "bad_time": {"at": datetime(2030, 1, 1)},  # noqa: DTZ001
        "contradiction": {"at": datetime.now(UTC), "after": "1s"},
        "bad_option": {"after": "soon"},
        "invalid_input": {"metadata": ["who"]},
        "invalid": {"priority": 101},
    }.items():
        with pytest.raises(RejectedError) as refused:
            await start(told, **options)
        assert refused.value.code == code


async def test_a_run_keeps_what_it_was_started_with(instance: Instance) -> None:
    run = await instance.client.start(told, tags=["vip"], priority=7, metadata={"who": "tom"})
    await instance.client.signal(run.id, "go")

    assert await run.result(timeout="90s") == "hello tom"
    state = await run.state()
    assert (state.tags, state.priority, state.queue, state.metadata) == (("vip",), 7, None, {"who": "tom"})
    assert (state.parent, state.children, state.attempt, state.percent) == (None, 0, 1, 100.0)


async def test_a_paused_run_begins_no_step_until_it_is_resumed(instance: Instance) -> None:
    run = await instance.client.start(told, metadata={"who": "tom"})
    order = await run.pause("lunch")
    await until(run, "paused")
    await instance.client.signal(run.id, "go")
    state = await until(run, "paused", go="completed", greet="pending")

    assert state.requests.pause is not None
    assert (state.requests.pause.id, state.requests.pause.reason) == (order, "lunch")
    assert (state.steps["greet"].held, state.steps["greet"].attempt) == ("paused", 0)

    order = await run.resume(context={"greeting": "hi"})

    assert await run.result(timeout="90s") == "hi tom"
    state = await run.state()
    assert state.requests.pause is None
    assert state.requests.resume is not None
    assert state.requests.resume.id == order
    assert state.context == {"greeting": "hi"}


async def test_a_step_is_skipped_or_cancelled_by_hand(instance: Instance) -> None:
    skipped, cancelled = [await instance.client.start(told, metadata={"who": "tom"}) for _ in range(2)]

    await skipped.skip_step("go", "released by phone")
    await cancelled.cancel_step("go", "never")

    assert await skipped.result(timeout="90s") == "hello tom"
    step = (await skipped.state()).steps["go"]
    assert step.failure is not None
    assert (step.status, step.failure.message) == ("skipped", "released by phone")
    # What is left of the run decides how it ends, and here nothing is left.
    with pytest.raises(RunCancelled, match="step 'go', which it waits for, did not pass"):
        await cancelled.result(timeout="90s")
    state = await cancelled.state()
    assert {name: step.status for name, step in state.steps.items()} == {
        "go": "cancelled",
        "greet": "cancelled",
    }
    for order in (skipped.skip_step, skipped.cancel_step, skipped.retry):
        with pytest.raises(RejectedError, match="no step 'gret': is 'greet' meant") as refused:
            await order("gret")
        assert refused.value.code == "unknown_step"


async def test_the_request_is_kept_apart_from_the_outcome(instance: Instance) -> None:
    run = await instance.client.start(told)
    order = await run.cancel("not wanted", compensate=True)

    with pytest.raises(RunCancelled, match="not wanted"):
        await run.result(timeout="90s")

    request = (await run.state()).requests.cancel
    assert request is not None
    assert (request.id, request.reason, request.compensate) == (order, "not wanted", True)


async def failed_run(instance: Instance, key: str) -> RunHandle:
    BROKEN.add(key)
    run = await instance.client.start(shaky, {"n": 1}, id=key)
    with pytest.raises(RunFailed, match="disk_full") as failed:
        await run.result(timeout="90s")
    assert failed.value.status == "failed"
    return run


async def test_a_failed_run_is_retried_in_place(instance: Instance) -> None:
    run = await failed_run(instance, "r")
    assert (await run.state()).helpers["~on_failure"].status == "completed"
    BROKEN.clear()

    order = await run.retry()

    assert await run.result(timeout="90s") == "r/report/1"
    state = await run.state()
    assert state.requests.retry is not None
    assert state.requests.retry.id == order
    assert (state.status, state.failure, state.steps["fetch"].attempt) == ("completed", None, 1)
    history = await run.attempts()
    assert [(a.step, a.attempt, a.status) for a in history if "~" not in a.step] == [
        ("fetch", 1, "completed"),
        ("store", 1, "failed"),
        ("store", 2, "completed"),
        ("report", 1, "completed"),
    ]
    (first, second) = await run.attempts("store")
    assert first.failure is not None
    assert (first.failure.code, first.worker is None, second.failure) == ("disk_full", False, None)
    said = [event.type async for event in run.watch(timeout="90s") if isinstance(event, RunEvent)]
    assert said == ["run.started", "run.failed", "run.retried", "run.completed"]


async def test_a_run_is_retried_from_a_step_or_as_a_whole(instance: Instance) -> None:
    run = await instance.client.start(shaky, {"n": 1}, id="r")
    assert await run.result(timeout="90s") == "r/report/1"

    await run.retry("store")
    assert await run.result(timeout="90s") == "r/report/2"
    assert (await run.state()).steps["fetch"].attempt == 1
    await run.retry(whole=True)
    assert await run.result(timeout="90s") == "r/report/3"
    assert (await run.state()).steps["fetch"].attempt == 2

    with pytest.raises(RejectedError, match="name one, or retry the whole run") as refused:
        await run.retry()
    assert refused.value.code == "nothing_to_retry"
    with pytest.raises(RejectedError, match="not both"):
        await run.retry("store", whole=True)
    waiting = await instance.client.start(told)
    with pytest.raises(RejectedError, match="has not begun"):
        await waiting.retry("greet")


async def test_a_run_is_started_again_with_the_same_input(instance: Instance) -> None:
    run = await instance.client.start(shaky, {"n": 1}, tags=["vip"], priority=3, metadata={"a": 1})

    again = await run.start_again()
    named = await run.start_again(id="again")
    twice = await run.start_again(id="again")

    assert (again.created, named.created, twice.created) == (True, True, False)
    assert again.id != run.id
    assert await again.result(timeout="90s") == f"{again.id}/report/1"
    state = await named.state()
    assert (state.input, state.tags, state.priority, state.metadata) == ({"n": 1}, ("vip",), 3, {"a": 1})


async def test_what_a_step_writes_is_kept_with_its_attempt(instance: Instance) -> None:
    run = await failed_run(instance, "r")
    BROKEN.clear()
    await run.retry()
    await run.result(timeout="90s")

    lines = await run.logs()

    assert [(line.step, line.attempt, line.text) for line in lines] == [
        ("store", 1, "storing 1"),
        ("store", 2, "storing 1"),
        ("report", 1, "reported"),
    ]
    assert [line.text for line in await run.logs("report")] == ["reported"]
    assert abs(lines[0].time - datetime.now(UTC)) < timedelta(minutes=1)


async def test_groups_branches_and_children_are_seen_from_outside(instance: Instance) -> None:
    run = await instance.client.start(album, ["a", "b"], id="album", queue=None)
    state = await until(run, "waiting", called="waiting")

    assert state.current == ("called",)
    assert state.steps["shout"].members == ("shout[0]", "shout[1]")
    assert (state.steps["shout"].output, state.steps["shout[1]"].output) == (["A", "B"], "B")
    assert (state.steps["kind"].members, state.steps["kind"].output) == (("print_it",), "printed")
    assert state.steps["called"].child == "album//called"
    await eventually(lambda: children(run), "the child is there", seconds=SECONDS)
    child = instance.client.run("album//called")
    below = await child.state()
    assert (below.parent, below.parent_step) == ("album", "called")
    assert (await run.state()).children == 1

    family = await child.family()
    assert (family.first.run.id, family.is_whole) == ("album", True)
    assert [member.run.id for member in family.first.children] == ["album//called"]
    assert not (await child.family(limit=1)).is_whole

    await run.cancel("enough")
    with pytest.raises(RunCancelled):
        await child.result(timeout="90s")


async def children(run: RunHandle) -> list[Any]:
    return list((await run.children()).runs)


async def test_a_large_value_is_read_as_if_it_were_a_small_one(instance: Instance) -> None:
    run = await instance.client.start(bulky, 1_500_000)

    assert await run.result(timeout="90s") == {"size": 1_500_000, "other": 1}
    assert (await run.state()).steps["big"].output == "x" * 1_500_000


async def test_runs_are_found_counted_and_told_things_together(instance: Instance) -> None:
    client = instance.client
    for i in range(5):
        await client.start(told, {"n": i}, id=f"t{i}", tags=["even"] if i % 2 == 0 else [])
    await client.start(line, id="l")
    lost = [await failed_run(instance, f"s{i}") for i in range(2)]

    page = await client.list(RunFilter(workflow=told), limit=3)
    rest = await client.list(RunFilter(workflow="told"), limit=3, after=page.following)
    assert [run.id for run in page.runs + rest.runs] == ["t4", "t3", "t2", "t1", "t0"]
    assert (rest.following, page.runs[0].tags) == (None, ("even",))
    assert await client.count(RunFilter(workflow="told")) == (5, True)
    assert await client.count(at_most=3) == (3, False)
    assert await client.count(RunFilter(created_before="1h")) == (0, True)
    assert await client.count(RunFilter(status="failed", created_since="1h")) == (2, True)
    assert await client.count(RunFilter(status="waiting", failed=True)) == (0, True)
    assert [run.id for run in (await client.failed()).runs] == ["s1", "s0"]
    (entry,) = (await client.failed(RunFilter(input_text='"n":1'), limit=1)).runs
    assert entry.failure is not None
    assert (entry.failure.code, entry.failure.step) == ("disk_full", "store")

    heard: list[int] = []
    assert await client.pause_all(RunFilter(tag="even"), "audit", progress=heard.append) == 3
    assert heard == [3]
    for i in (0, 2, 4):
        await until(client.run(f"t{i}"), "paused")
    assert await client.resume_all(RunFilter(workflow=told)) == 3
    for i in (0, 2, 4):
        await until(client.run(f"t{i}"), "waiting")
    assert await client.cancel_all(RunFilter(workflow=told), "closing") == 5
    for i in range(5):
        with pytest.raises(RunCancelled, match="closing"):
            await client.run(f"t{i}").result(timeout="90s")
    assert (await client.run("l").state()).status == "waiting"
    BROKEN.clear()
    assert await client.retry_all(RunFilter(workflow="shaky")) == 2
    for run in lost:
        await until(run, "completed")
    assert await client.cancel_all(RunFilter(status="completed")) == 0


async def test_a_filter_that_cannot_be_is_refused(instance: Instance) -> None:
    with pytest.raises(RejectedError, match="no run is ever 'stuck'; there are cancelled") as refused:
        await instance.client.list(RunFilter(status=["stuck"]))
    assert refused.value.code == "bad_status"
    with pytest.raises(RejectedError, match="no position in this list"):
        await instance.client.list(after="here")
    with pytest.raises(RejectedError, match="no time zone"):
        await instance.client.list(RunFilter(created_since=datetime(2026, 1, 1)))  # noqa: DTZ001


async def test_the_same_without_a_loop(instance: Instance) -> None:
    def program() -> None:
        with Client.sync(instance.settings) as client:
            run = client.start(told, after="1h", metadata={"who": "tom"})
            assert run.state().status == "pending"
            assert client.count(RunFilter(status="pending")) == (1, True)
            assert [one.id for one in client.list().runs] == [run.id]
            run.cancel()
            run = client.start(told, metadata={"who": "tom"})
            run.pause()
            run.resume(context={"greeting": "hi"})
            run.skip_step("go")
            assert run.result(timeout="90s") == "hi tom"
            run.retry(whole=True)
            again = run.start_again()
            assert again.created
            assert run.children().runs == []
            assert run.family().first.run.id == run.id
            assert [attempt.step for attempt in run.attempts()] == []
            assert run.logs() == []
            assert client.failed().runs == []
            assert client.cancel_all(RunFilter(workflow="told")) >= 1

    await asyncio.to_thread(program)
