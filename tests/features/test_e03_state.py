"""E3: where a run stands: status, steps, progress, context, times, attempts, errors."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from datetime import timedelta

from outcomes import failure_of

from stream_durable import Context, Expand, Fail, Retry, RunFilter, Workflow
from stream_durable.testing import Engine


def flow_of_all() -> Workflow:
    flow = Workflow("all", timeout="1d")

    @flow.step
    def first(ctx: Context) -> dict[str, int]:
        ctx.put("seen", ["first"])
        return {"n": 1}

    @flow.step(after=first)
    async def busy(ctx: Context) -> None:
        ctx.progress(40, "packing")
        await asyncio.sleep(600)

    @flow.step(after=first, retry=Retry(2, base="1h", cap="1h"))
    def flaky() -> None:
        raise Fail("busy", "come again", details={"at": 5})

    flow.wait_signal("go", after=first)
    flow.add("skipped", lambda: 1, when=lambda: False)
    flow.add("last", lambda: 1, after=["busy", "flaky", "go"])
    return flow


async def test_in_the_middle_of_it(engine: Engine) -> None:
    begun = engine.now
    run = await engine.start(flow_of_all(), {"x": 1}, id="r")
    await engine.advance("1m")
    state = run.state
    assert (state.id, state.workflow, state.status, state.input) == ("r", "all", "running", {"x": 1})
    assert {name: step.status for name, step in state.steps.items()} == {
        "first": "completed", "busy": "running", "flaky": "retrying", "go": "waiting", "skipped": "skipped",
        "last": "pending",
    }  # fmt: skip
    assert state.current == ("busy", "flaky", "go")
    assert (state.done, state.total, round(state.percent)) == (2, 6, 33)
    assert state.context == {"seen": ["first"]}
    assert (state.output, state.failure, state.ended) == (None, None, None)
    assert state.created == begun
    assert state.due == begun + timedelta(days=1)
    assert (state.steps["busy"].percent, state.steps["busy"].label) == (40.0, "packing")
    flaky = state.steps["flaky"]
    assert flaky.failure is not None
    assert (flaky.attempt, flaky.failure.code, flaky.failure.details) == (1, "busy", {"at": 5})
    assert flaky.due is not None
    assert timedelta(minutes=58) < flaky.due - engine.now <= timedelta(minutes=59, seconds=1)
    assert (state.steps["last"].attempt, state.steps["last"].started) == (0, None)
    assert state.steps["busy"].worker is not None


async def test_the_times_of_steps(engine: Engine) -> None:
    flow = Workflow("timed")

    async def ten() -> None:
        await asyncio.sleep(10)

    flow.add("a", ten)
    flow.sleep("nap", "1h", after="a")
    flow.add("b", ten, after="nap")
    begun = engine.now
    run = await engine.start(flow)
    await engine.until(run, "completed")
    for name, at in [("a", 0), ("b", 3610)]:
        step = run.step(name)
        assert step.started is not None
        assert step.finished is not None
        assert abs((step.started - begun).total_seconds() - at) < 2
        assert abs((step.finished - step.started).total_seconds() - 10) < 1
    state = run.state
    assert state.ended is not None
    assert abs((state.ended - begun).total_seconds() - 3620) < 3
    assert state.updated == state.ended


async def test_at_its_end(engine: Engine) -> None:
    flow = Workflow("ended")
    flow.add("a", lambda: {"n": 1}).compensate(lambda: 1)
    flow.add("b", lambda: 1 / 0, after="a")
    flow.add("c", lambda: 1, after="b")
    run = await engine.start(flow)
    await engine.until(run, "compensated")
    state = run.state
    assert (state.current, state.done, state.total, state.percent) == ((), 3, 3, 100.0)
    assert (failure_of(run).code, failure_of(run).step) == ("ZeroDivisionError", "b")
    assert list(state.steps) == ["a", "b", "c"], "in the order of the definition"
    assert list(state.helpers) == ["a~compensate"]
    assert state.steps["c"].attempt == 0


async def test_groups_branches_children_and_what_was_made_at_run_time(engine: Engine) -> None:
    small = Workflow("small")
    small.wait_signal("go")
    flow = Workflow("shapes")
    flow.child("kid", small)

    @flow.template
    def scan(item: int) -> int:
        return item

    @flow.each("input", concurrency=1)
    async def each(item: int) -> int:
        await asyncio.sleep(60)
        return item

    flow.add("scans", lambda: Expand([scan.of(1, name="one"), scan.of(2)]))
    kind = flow.branch("kind", on="input.0")
    kind.add(5, "five", lambda: "five")
    kind.clause().add("other", lambda: "other")
    run = await engine.start(flow, [5, 6], id="p")
    await engine.advance("10s")
    steps = run.state.steps
    assert (steps["kid"].status, steps["kid"].child) == ("waiting", "p//kid")
    assert steps["each"].members == ("each[0]", "each[1]")
    assert (steps["each[0]"].status, steps["each[1]"].status) == ("running", "pending")
    assert steps["each[1]"].held == "group"
    assert (steps["scans"].members, steps["scans"].output) == (("scans[one]", "scans[1]"), [1, 2])
    assert (steps["kind"].clause, steps["kind"].output) == (5, "five")
    assert set(steps["kind"].members) == {"five", "other"}
    assert steps["other"].status == "skipped"
    assert run.state.children == 1
    child = run.children[0].state
    assert (child.parent, child.parent_step) == ("p", "kid")


async def test_the_number_of_steps_grows_with_what_is_added(engine: Engine) -> None:
    flow = Workflow("grows")
    flow.wait_signal("go")

    @flow.each("go")
    def each(item: int) -> int:
        return item

    run = await engine.start(flow)
    await engine.until_waiting(run)
    assert (run.state.done, run.state.total) == (0, 2)
    await engine.signal(run.id, "go", [1, 2, 3])
    await engine.until_idle()
    assert (run.state.done, run.state.total) == (5, 5)


async def test_when_it_began(engine: Engine) -> None:
    flow = Workflow("later", restart=Retry(2, base="1m"))
    flow.add("a", lambda: 1 / 0)
    created = engine.now
    run = await engine.start(flow, after="30m", id="later")
    before, listed = run.state, await engine.list(RunFilter())
    assert (before.status, before.started, before.created) == ("pending", None, created)
    assert [one.started for one in listed.runs] == [None]
    await engine.advance("30m")
    began = run.state.started
    assert began is not None
    assert timedelta(minutes=30) <= began - created < timedelta(minutes=30, seconds=5)
    await engine.advance("10m")
    assert (run.status, run.state.attempt) == ("failed", 2)
    assert run.state.started == began, "the whole graph was tried again, and it began once"
    assert [one.started for one in (await engine.list(RunFilter())).runs] == [began]
    assert (await engine.start(flow, id="now")).state.started is not None


async def test_which_try_of_the_graph(engine: Engine) -> None:
    flow = Workflow("tries", restart=Retry(3, base="1m"))
    flow.add("a", lambda: 1 / 0)
    run = await engine.start(flow)
    seen = []
    for _ in range(2):
        seen.append((run.state.attempt, run.status))
        await engine.advance("2m")
    assert [attempt for attempt, _ in seen] in ([1, 2], [1, 3], [2, 3])
    assert (run.state.attempt, run.status) == (3, "failed")
