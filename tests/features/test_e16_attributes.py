"""E16: typed attributes that steps set: kept with the run, found, sorted by and shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from stream_durable import Context, Expand, Fail, Finish, Retry, Skip, Workflow
from stream_durable.client import RunFilter
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)


async def test_a_step_sets_values_of_four_kinds(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def price(ctx: Context) -> str:
        ctx.attribute("amount", 9.5)
        ctx.attribute("region", "north")
        ctx.attribute("vip", True)
        ctx.attribute("due", NOON)
        ctx.attribute("count", 3)
        ctx.attribute("rate", Decimal("0.25"))
        return "priced"

    @flow.step
    def later(ctx: Context) -> None:
        ctx.attribute("amount", 12)
        assert ctx.attributes == {"amount": 12}

    run = await engine.start(flow, id="order-1")
    await engine.until_idle()

    assert run.status == "completed"
    assert run.state.attributes == {
        "amount": 12, "region": "north", "vip": True, "due": NOON, "count": 3, "rate": 0.25,
    }  # fmt: skip
    [entry] = (await engine.list()).runs
    assert entry.attributes == run.state.attributes


async def test_a_failed_or_lost_attempt_sets_nothing(engine: Engine) -> None:
    flow = Workflow("order", retry=Retry(3, base="1s"))

    @flow.step
    def price(ctx: Context) -> None:
        ctx.attribute(f"try{ctx.attempt}", ctx.attempt)
        if ctx.attempt < 3:
            raise Fail("not_yet", "again")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.state.attributes == {"try3": 3}


async def test_another_kind_of_value_fails_the_step_and_says_what_it_was(engine: Engine) -> None:
    flow = Workflow("order", retry=Retry(3, base="1s"))

    @flow.step
    def price(ctx: Context) -> None:
        ctx.attribute("amount", 9.5)

    @flow.step
    def again(ctx: Context) -> None:
        ctx.attribute("region", "north")
        ctx.attribute("amount", "much")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    failure = run.state.steps["again"].failure
    assert failure is not None
    assert failure.code == "bad_attribute"
    assert "'amount' of the run was a number, 9.5, and becomes a text, 'much'" in failure.message
    assert run.state.steps["again"].attempt == 1
    assert run.state.attributes == {"amount": 9.5}


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [("", 1, "no name"), ("9lives", 1, "no name"), ("x" * 65, 1, "no name"), ("a b", 1, "no name"),
     ("a", None, "not NoneType"), ("a", [1], "not list"), ("a", float("nan"), "nan"),
     ("a", 1 << 60, "2^53"), ("a", "é" * 501, "1000 bytes"), ("a", "\0", "zero"),
     ("a", datetime(2030, 1, 1), "time zone")],  # noqa: DTZ001 - what is refused
)  # fmt: skip
async def test_what_is_no_attribute_fails_the_step(engine: Engine, name: str, value: Any, part: str) -> None:
    flow = Workflow("order")

    @flow.step
    def price(ctx: Context) -> None:
        ctx.attribute(name, value)

    run = await engine.start(flow)
    await engine.until_idle()

    failure = run.state.steps["price"].failure
    assert failure is not None
    assert failure.code == "bad_attribute"
    assert part in failure.message
    with pytest.raises(RejectedError) as refused:
        await engine.start(flow, attributes={name: value})
    assert refused.value.code == "bad_attribute"


async def test_a_run_has_a_bounded_number_of_them(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def few(ctx: Context) -> None:
        for n in range(32):
            ctx.attribute(f"a{n}", n)

    @flow.step
    def more(ctx: Context) -> None:
        ctx.attribute("a32", 32)

    run = await engine.start(flow)
    await engine.until_idle()

    failure = run.state.steps["more"].failure
    assert failure is not None
    assert failure.code == "too_many_attributes"
    assert len(run.state.attributes) == 32


async def test_every_way_to_end_a_step_sets_them(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def skips(ctx: Context) -> Skip:
        ctx.attribute("skip", 1)
        return Skip("none")

    @flow.step(after=skips)
    def expands(ctx: Context) -> Expand:
        ctx.attribute("expand", 1)
        return Expand([member.of(1), member.of(2)])

    @flow.template
    def member(ctx: Context, item: int) -> None:
        ctx.attribute(f"member{item}", item)

    @flow.step(after=expands)
    def finishes(ctx: Context) -> Finish:
        ctx.attribute("finish", 1)
        return Finish("done")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == "done"
    assert run.state.attributes == {"skip": 1, "expand": 1, "member1": 1, "member2": 2, "finish": 1}


async def test_a_start_and_a_signal_set_them_too(engine: Engine) -> None:
    flow = Workflow("order")
    flow.wait_signal("go")

    @flow.on_signal("price")
    def priced(ctx: Context, signal: float) -> None:
        ctx.attribute("amount", signal)

    run = await engine.start(flow, attributes={"region": "north", "amount": 1})
    await run.signal("price", 9.5)
    await engine.until_idle()
    assert run.state.attributes == {"region": "north", "amount": 9.5}

    await run.signal("price", 11)
    await engine.until_idle()
    assert run.state.attributes == {"region": "north", "amount": 11}


async def test_a_function_that_waited_sets_them_with_its_result(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    async def price(ctx: Context) -> None:
        ctx.attribute("before", True)
        await ctx.sleep("1h")
        ctx.attribute("after", True)

    run = await engine.start(flow)
    await engine.until_waiting(run)
    assert run.state.attributes == {}
    await engine.advance("1h")
    await engine.until_idle()
    assert run.state.attributes == {"before": True, "after": True}


async def test_lists_filter_sort_and_count_by_them(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def price(ctx: Context[float]) -> None:
        ctx.attribute("amount", ctx.input)
        ctx.attribute("region", "north" if ctx.input < 5 else "south's end")
        ctx.attribute("due", NOON + timedelta(hours=ctx.input))

    for amount in (1, 9.5, -3, 20):
        await engine.start(flow, amount, id=f"o{amount}")
    await engine.until_idle()

    async def ids(*where: str, sort: str = "amount") -> list[str]:
        found = RunFilter(attributes=where)
        count = await engine.count(found)
        listed = [run.id for run in (await engine.list(found, sort=sort)).runs]
        assert count.found == len(listed)
        assert sum((await engine.statuses(found)).counts.values()) == len(listed)
        return listed

    assert await ids() == ["o-3", "o1", "o9.5", "o20"]
    assert await ids(sort="-amount") == ["o20", "o9.5", "o1", "o-3"]
    assert await ids("amount>=9.5") == ["o9.5", "o20"]
    assert await ids("amount>9.5", "region=south's end") == ["o20"]
    assert await ids("amount!=1", "amount<10") == ["o-3", "o9.5"]
    assert await ids("region~th's") == ["o9.5", "o20"]
    assert await ids("due<2030-01-31T12:30:00Z") == ["o-3"]
    assert await ids("nothing=1") == []
    page = await engine.list(sort="-amount", limit=3)
    rest = await engine.list(sort="-amount", after=page.following)
    assert [run.id for run in rest.runs] == ["o-3"]
