"""A6: fan-out, fan-in, chains, diamonds, races; parallel groups with a limit of how many run at once."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import Context, Fail, Retry, Skip, Workflow, any_of
from stream_durable.testing import Engine


class Busy:
    """Counts how many are at work at the same time."""

    def __init__(self) -> None:
        self.now = self.most = self.calls = 0
        self.order: list[str] = []

    async def work(self, ctx: Context) -> str:
        self.order.append(ctx.step)
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(10)
        self.now -= 1
        return ctx.step


async def test_a_long_chain_runs_link_by_link(engine: Engine) -> None:
    flow = Workflow("chain")
    order: list[int] = []

    def note(i: int) -> Any:
        return lambda: order.append(i)

    for i in range(100):
        flow.add(f"s{i}", note(i), after=f"s{i - 1}" if i else ())
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert order == list(range(100))


async def test_fan_out_runs_side_by_side_and_fan_in_waits_for_all(engine: Engine) -> None:
    flow, busy = Workflow("fan"), Busy()
    flow.add("start", lambda: 1)
    for i in range(20):
        flow.add(f"w{i}", busy.work, after="start")
    flow.add("end", lambda: busy.calls, after=[f"w{i}" for i in range(20)])
    begun = engine.now
    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.output, busy.most) == (20, 20)
    assert (engine.now - begun).total_seconds() < 12


async def test_a_diamond_runs_its_end_once(engine: Engine) -> None:
    flow = Workflow("diamond")
    flow.add("top", lambda: 1)
    flow.add("left", lambda top: top + 1)
    flow.add("right", lambda top: top + 2)
    flow.add("bottom", lambda left, right: left + right)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == 5
    assert engine.calls("bottom") == 1


async def test_diamonds_of_diamonds(engine: Engine) -> None:
    """Each row waits for both of the row above: without care that is 2**12 paths."""
    flow = Workflow("lattice")
    flow.add("a0", lambda: 1)
    flow.add("b0", lambda: 1)
    for row in range(1, 12):
        for side in "ab":
            flow.add(f"{side}{row}", lambda: 1, after=[f"a{row - 1}", f"b{row - 1}"])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert all(engine.calls(name) == 1 for name in run.steps)


async def test_a_race_is_won_once(engine: Engine) -> None:
    flow, busy = Workflow("race"), Busy()
    for name in "abc":
        flow.add(name, busy.work)
    flow.add("end", lambda: 1, after=any_of("a", "b", "c"))
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert engine.calls("end") == 1


@pytest.mark.parametrize(("limit", "seconds"), [(1, 70), (2, 40), (3, 30), (7, 10), (100, 10), (None, 10)])
async def test_a_group_runs_so_many_at_once(engine: Engine, limit: int | None, seconds: int) -> None:
    flow, busy = Workflow("group"), Busy()
    names = [f"w{i}" for i in range(7)]
    for name in names:
        flow.add(name, busy.work)
    flow.parallel("group", names, concurrency=limit)
    flow.add("end", lambda group: sorted(group.ok))
    begun = engine.now
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == names
    assert busy.most == min(limit or 7, 7)
    assert seconds <= (engine.now - begun).total_seconds() < seconds + 2
    assert busy.order == names, "they get their turn in the order in which they were defined"


@pytest.mark.parametrize(("limit", "seconds"), [(1, 50), (2, 30), (5, 10), (None, 10)])
async def test_each_runs_so_many_at_once(engine: Engine, limit: int | None, seconds: int) -> None:
    flow, busy = Workflow("each"), Busy()

    @flow.each("input", concurrency=limit)
    async def each(item: int, ctx: Context) -> int:
        await busy.work(ctx)
        return item

    begun = engine.now
    run = await engine.start(flow, [5, 4, 3, 2, 1])
    await engine.until_idle()
    assert run.output == [5, 4, 3, 2, 1]
    assert busy.most == min(limit or 5, 5)
    assert seconds <= (engine.now - begun).total_seconds() < seconds + 2


async def test_a_member_that_fails_is_skipped_or_waits_gives_its_place_to_the_next(engine: Engine) -> None:
    flow = Workflow("group")

    @flow.step
    async def fails() -> None:
        raise Fail("down", retryable=False)

    flow.add("skipped", lambda: Skip("no"))
    flow.wait_signal("go", timeout="1h", on_timeout="late")
    flow.add("last", lambda: "last")
    flow.parallel("group", ["fails", "skipped", "go", "last"], on_error="complete_all", concurrency=1)
    run = await engine.start(flow)
    assert run.step("last").status == "pending"
    assert run.step("go").status == "waiting"
    await engine.advance("1h")
    assert run.status == "completed"
    assert run.step("last").output == "last"


async def test_a_member_keeps_its_place_between_attempts(engine: Engine) -> None:
    flow = Workflow("group")
    begun: list[str] = []

    @flow.step(retry=Retry(3, base="1m", backoff="fixed"))
    def flaky(ctx: Context) -> None:
        begun.append(f"flaky {ctx.attempt}")
        if ctx.attempt < 3:
            raise Fail("busy")

    @flow.step
    def other() -> None:
        begun.append("other")

    flow.parallel("group", [flaky, other], concurrency=1)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert begun == ["flaky 1", "flaky 2", "flaky 3", "other"]


async def test_members_that_wait_for_each_other_run_in_that_order_within_the_limit(engine: Engine) -> None:
    flow, busy = Workflow("group"), Busy()
    flow.add("c", busy.work, after="b")
    flow.add("b", busy.work, after="a")
    flow.add("a", busy.work)
    flow.add("d", busy.work)
    flow.parallel("group", ["c", "b", "a", "d"], concurrency=2)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert busy.most == 2
    assert [busy.order.index(name) for name in "abc"] == sorted(busy.order.index(name) for name in "abc")


async def test_groups_in_groups_have_each_their_own_limit(engine: Engine) -> None:
    flow, one, two = Workflow("nested"), Busy(), Busy()
    for i in range(4):
        flow.add(f"x{i}", one.work)
        flow.add(f"y{i}", two.work)
    flow.parallel("xs", [f"x{i}" for i in range(4)], concurrency=2)
    flow.parallel("ys", [f"y{i}" for i in range(4)], concurrency=1)
    flow.parallel("all", ["xs", "ys"])
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert (one.most, two.most) == (2, 1)
    assert set(run.output) == {"xs", "ys"}


async def test_a_thousand_members(engine: Engine) -> None:
    flow = Workflow("wide")

    @flow.step
    def numbers() -> list[int]:
        return list(range(1_000))

    @flow.each(numbers)
    def double(item: int) -> int:
        return item * 2

    flow.add("total", lambda double: sum(double))
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == 999_000
