"""D11, B9: reactions and answers with `concurrency=`: several calls of one function under way in a run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import Cancel, Context, Finish, Jump, Workflow
from stream_durable.sdk.errors import DefinitionError
from stream_durable.testing import Engine


def flow_with(concurrency: Any, *, on: str = "signal") -> Workflow:
    """Return a workflow that waits, and notes of its reaction what began, beside how many, and what ended."""
    flow = Workflow("hot", input=dict)
    flow.wait_signal("go")
    under_way: set[int] = set()

    async def hit(ctx: Context, number: int) -> Cancel | None:
        under_way.add(number)
        ctx.append("begun", [number, len(under_way)])
        # The first ones take the longest.
        await asyncio.sleep(100 - number)
        under_way.remove(number)
        ctx.append("ended", number)
        return Cancel("enough") if number == 99 else None

    if on == "signal":

        @flow.on_signal("hit", concurrency=concurrency)
        async def heard(ctx: Context, signal: int) -> Cancel | None:
            return await hit(ctx, signal)

    else:

        @flow.on_event("hit", key="input.id", concurrency=concurrency)
        async def read(ctx: Context, event: int) -> Cancel | None:
            return await hit(ctx, event)

    return flow


async def sent(engine: Engine, run: Any, on: str, *numbers: int) -> None:
    for number in numbers:
        if on == "signal":
            await engine.signal(run, "hit", number)
        else:
            await engine.publish("hit", key="42", data=number)


@pytest.mark.parametrize("on", ["signal", "event"])
async def test_so_many_are_under_way_and_begin_in_the_order_of_the_log(engine: Engine, on: str) -> None:
    run = await engine.start(flow_with(3, on=on), {"id": "42"})
    await sent(engine, run, on, *range(7))
    await engine.until_idle()
    begun = run.context["begun"]
    assert sorted(number for number, _ in begun) == sorted(run.context["ended"]) == list(range(7))
    assert max(count for _, count in begun) == 3
    assert run.context["ended"][0] == 2
    await engine.signal(run, "go", 1)
    assert await run.result() == 1


@pytest.mark.parametrize("on", ["signal", "event"])
async def test_without_it_they_are_worked_off_one_by_one(engine: Engine, on: str) -> None:
    run = await engine.start(flow_with(None, on=on), {"id": "42"})
    await sent(engine, run, on, *range(4))
    await engine.until_idle()
    assert run.context["begun"] == [[number, 1] for number in range(4)]
    assert run.context["ended"] == list(range(4))


@pytest.mark.parametrize("on", ["signal", "event"])
async def test_one_that_cancels_the_run_stops_the_others(engine: Engine, on: str) -> None:
    run = await engine.start(flow_with(3, on=on), {"id": "42"})
    await sent(engine, run, on, 0, 99, 1, 2)
    await engine.until_idle()
    assert run.status == "cancelled"
    assert {name: step.status for name, step in run.state.helpers.items() if step.status != "cancelled"} == {
        name: "completed" for name, step in run.state.helpers.items() if name.endswith(".1")
    }


async def test_the_state_says_how_many_are_not_worked_off(engine: Engine) -> None:
    run = await engine.start(flow_with(2), {"id": "42"})
    await sent(engine, run, "signal", *range(5))
    await engine.advance("1s")
    reaction = run.state.reactions["heard"]
    assert (reaction.behind, reaction.step) == (5, "~heard.0")
    assert {name: step.status for name, step in run.state.helpers.items()} == {
        "~heard.0": "running", "~heard.1": "running",
    }  # fmt: skip


async def test_inquiries_are_answered_at_the_same_time(engine: Engine) -> None:
    flow = Workflow("asked")
    flow.wait_signal("go")

    @flow.answers("quote", concurrency=2)
    async def quote(ctx: Context, request: int) -> int:
        await ctx.wait_signal(f"price-{request}")
        return request * 2

    run = await engine.start(flow)
    for number in range(3):
        with pytest.raises(TimeoutError):
            await engine.inquire(run, "quote", number, id=f"q{number}", timeout="1s")
    waiting = {name: step.status for name, step in run.state.helpers.items() if "/" not in name}
    assert waiting == {"~quote.0": "waiting", "~quote.1": "waiting", "~quote.2": "pending"}
    await engine.signal(run, "price-1")
    await engine.signal(run, "price-2")
    assert await engine.inquire(run, "quote", 2, id="q2", timeout="1s") == 4
    assert await engine.inquire(run, "quote", 1, id="q1", timeout="1s") == 2


@pytest.mark.parametrize(("concurrency", "says"), [(0, "from 1 to 50"), (51, "to 50"), ("2", "whole number")])
def test_other_numbers_are_refused(concurrency: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        flow_with(concurrency).definition()


@pytest.mark.parametrize("second", ["ship", "close"])
@pytest.mark.parametrize("first", ["ship", "close"])
async def test_jumps_of_calls_under_way_beside_each_other_meet(
    engine: Engine, first: str, second: str
) -> None:
    flow = Workflow("hurried")
    flow.wait_signal("packed")
    flow.add("ship", lambda: "shipped", after="packed")
    flow.wait_signal("sent", after="ship")
    flow.add("close", lambda: "closed", after="sent")

    @flow.on_signal("hurry", concurrency=2)
    async def hurry(ctx: Context, signal: str) -> Jump:
        await asyncio.sleep(5)
        return Jump(signal)

    run = await engine.start(flow)
    await engine.signal(run, "hurry", first)
    await engine.signal(run, "hurry", second)
    await engine.until_idle()
    if (first, second) == ("ship", "ship"):
        assert run.step("ship").output == "shipped"
        await engine.signal(run, "sent")
    assert await run.result() == "closed"


@pytest.mark.parametrize("order", ["finish cancel undo", "undo finish cancel", "cancel undo finish"])
async def test_of_calls_that_end_the_run_the_first_counts(engine: Engine, order: str) -> None:
    flow = Workflow("ended")
    book = flow.add("book", lambda: 1)
    book.compensate(lambda: None)
    flow.wait_signal("go", after=book)
    answers = {"finish": Finish("done"), "cancel": Cancel("no"), "undo": Cancel("no", compensate=True)}

    @flow.on_signal("end", concurrency=3)
    async def end(ctx: Context, signal: str) -> Cancel | Finish:
        await asyncio.sleep(5)
        ctx.append("heard", signal)
        return answers[signal]

    run = await engine.start(flow)
    for word in order.split():
        await engine.signal(run, "end", word)
    await engine.until_idle()
    ends = {"finish": "completed", "cancel": "cancelled", "undo": "compensated"}
    assert run.status == ends[order.split(maxsplit=1)[0]]
    if run.status != "cancelled":  # it has something to do yet, so that the others are waited for
        assert run.context["heard"] == order.split()
