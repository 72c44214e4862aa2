"""Waits and kept values inside steps, reactions and emissions: in memory and on Postgres and Kafka."""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Cancel, Context, Fail, Jump, Retry, Workflow
from stream_durable.testing import Engine

pytestmark = [
    pytest.mark.parametrize(
        "engine", ["memory", pytest.param("real", marks=pytest.mark.real)], indirect=True
    ),
]


class Rating(BaseModel):
    stars: int


thanks = Workflow("thanks", output=str)


@thanks.step
async def thank(input: dict[str, str]) -> str:
    return f"thank you, {input['name']}"


def support(calls: list[str]) -> Workflow:
    flow = Workflow("support", retry=Retry(3, backoff="fixed", base="1s"))

    async def called(what: str) -> str:
        calls.append(what)
        return what

    @flow.step
    async def follow_up(ctx: Context) -> list[Any]:
        first = await ctx.once("first", called, "first €")
        await ctx.checkpoint({"done": 1})
        if ctx.attempt == 1:
            raise Fail("shaky", "the first attempt fails after a kept value")
        await ctx.sleep("1h")
        go = await ctx.wait_signal("go")
        paid, rating = await ctx.gather(
            ctx.wait_event("paid", key=42), ctx.ask("rating", form=Rating, prompt="How was it?")
        )
        last = await ctx.once("last", called, "last")
        return [first, go, paid, rating.stars, await ctx.call(thanks, {"name": "ann"}, ref="thanks"), last]

    return flow


async def test_a_step_waits_inside_its_function_over_takeovers(engine: Engine) -> None:
    calls: list[str] = []
    engine.deploy(thanks)
    run = await engine.start(support(calls))
    await engine.until_waiting(run)
    assert run.step("follow_up").status == "waiting"
    engine.restart()
    await engine.advance("1h")
    await engine.until_waiting(run)
    await engine.signal(run, "go", {"by": "tom"})
    await engine.until_asked(run)
    engine.restart()
    await engine.publish("paid", key="42", data=7)
    engine.redeliver()
    await engine.answer(run, "follow_up/rating", {"stars": 5})

    assert await run.result() == ["first €", {"by": "tom"}, 7, 5, "thank you, ann", "last"]
    assert calls == ["first €", "last"]
    assert run.step("follow_up").attempts == 2


async def test_a_cancelled_run_leaves_no_wait_inside_open(engine: Engine) -> None:
    flow = Workflow("given-up")

    @flow.step
    async def waits(ctx: Context) -> None:
        await ctx.gather(ctx.wait_signal("go"), ctx.ask("sure", choices=["yes", "no"]))

    run = await engine.start(flow)
    await engine.until_asked(run)
    engine.restart()
    await run.cancel()
    await engine.until(run, "cancelled")
    assert engine.ask(engine._target.waits).waits == []
    assert run.step("waits/sure").status == "cancelled"


async def test_what_a_step_emits_leaves_once_and_a_reaction_ends_the_run(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def place(ctx: Context) -> str:
        ctx.publish("order.placed", key=ctx.run_id, data={"total": 9.5})
        ctx.signal(ctx.run_id, "told", "by itself")
        return "placed"

    @place.compensate
    def take_back() -> None: ...

    flow.wait_event("placed", "order.placed", key="input.id", after=place)
    flow.wait_signal("told", after="placed")
    flow.wait_signal("shipped", after="told")

    @flow.on_signal("order.cancelled")
    def called_off(signal: dict[str, str]) -> Cancel:
        return Cancel(signal["reason"], compensate=True)

    run = await engine.start(flow, {"id": "order-42"}, id="order-42")
    await engine.until_waiting(run)
    engine.restart()
    engine.redeliver()
    await engine.until_idle()
    assert run.step("placed").output == {"total": 9.5}
    assert run.step("told").output == "by itself"
    await engine.signal(run, "order.cancelled", {"reason": "no longer wanted"})
    await engine.until(run, "compensated")
    assert run.step("place").status == "compensated"


@pytest.mark.parametrize("kind", ["event", "signal"])
async def test_many_at_once_are_reacted_to_in_order_while_another_run_goes_on(
    engine: Engine, kind: str
) -> None:
    heard: list[int] = []
    flow = Workflow("order")
    flow.wait_signal("word")
    flow.add("end", lambda: "ended", after="word")

    @flow.on_event("changed", key="input.id")
    def changed(event: int) -> Jump | None:
        heard.append(event)
        return Jump("end") if event == 119 else None

    @flow.on_signal("changed")
    def signalled(signal: int) -> Jump | None:
        return changed(signal)

    neighbour = Workflow("neighbour")
    neighbour.add("one", lambda: len(heard))

    run = await engine.start(flow, {"id": "order-9"}, id="order-9")
    await engine.until_waiting(run)
    for n in range(120):
        if kind == "event":
            await engine.publish("changed", key="order-9", data=n)
        else:
            await engine.signal(run, "changed", n)
        if n == 60:
            engine.restart()
            beside = await engine.start(neighbour, None)
    # Not behind the whole line: it is called long before the last of them.
    assert await beside.result() < 120
    await engine.until(run, "completed")
    assert heard[-1] == 119 and [n for i, n in enumerate(heard) if n not in heard[:i]] == list(range(120))
    assert run.step("word").status == "skipped" and len(run.state.helpers) <= 100


async def test_children_are_started_and_not_waited_for_over_takeovers(engine: Engine) -> None:
    waiting = Workflow("waiting")
    waiting.wait_signal("go")
    flow = Workflow("starting")

    @flow.step
    async def start(ctx: Context) -> list[str]:
        children = [await ctx.call(waiting, {}, ref="ended", wait=False)]
        children.append(await ctx.call(waiting, {}, ref="left", wait=False, leave=True))
        await ctx.wait_signal("on")
        return children

    engine.deploy(waiting)
    run = await engine.start(flow, id="run-1")
    await engine.until_waiting(run)
    engine.restart()
    await run.cancel()
    await engine.until_idle()
    children = engine.ask(engine._target.run("run-1").children).runs
    assert {child.id: child.status for child in children} == {
        "run-1//start/ended": "cancelled", "run-1//start/left": "waiting",
    }  # fmt: skip
