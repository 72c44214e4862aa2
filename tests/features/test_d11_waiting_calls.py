"""D11: a reaction, or what answers an inquiry, that waits in its function, or before another try."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stream_durable import Context, Fail, Finish, NoAnswer, Retry, Workflow
from stream_durable.core.run import beside
from stream_durable.testing import Engine


def patient(**options: Any) -> Workflow:
    """Return a workflow that waits, with a reaction that waits for a signal of its own."""
    flow = Workflow("patient")
    flow.wait_signal("go")

    @flow.on_signal("ping", **options)
    async def ping(ctx: Context) -> None:
        try:
            await ctx.wait_signal("pong", timeout="1h")
        except Fail as failure:
            ctx.put("caught", failure.code)

    return flow


async def pinged(engine: Engine, flow: Workflow) -> Any:
    run = await engine.start(flow)
    await engine.signal(run, "ping")
    await engine.until_idle()
    assert run.step("~ping.0/pong").status == "waiting"
    return run


async def test_a_wait_that_fails_is_the_functions_to_bear(engine: Engine) -> None:
    run = await pinged(engine, patient())
    await engine.advance("1h")
    assert (run.status, run.context) == ("waiting", {"caught": "timeout"})
    await engine.signal(run, "go", 1)
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", 1)


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("cancelled", "cancelled"),
        ("undone", "compensated"),
        ("failed", "compensated"),
        ("out of time", "compensated"),
        ("finished", "completed"),
    ],
)
async def test_a_run_on_its_way_to_its_end_waits_for_none(engine: Engine, how: str, status: str) -> None:
    flow = Workflow("patient", timeout="1h")
    book = flow.add("book", lambda: 1)
    book.compensate(lambda: None)
    flow.wait_signal("go", after=book)

    @flow.step(after="go")
    def end(go: str) -> Finish:
        if go == "failed":
            raise Fail("no", "as it was told", retryable=False)
        return Finish(go)

    @flow.on_signal("ping", on_error="continue")
    async def ping(ctx: Context) -> None:
        await ctx.wait_signal("pong")

    @flow.answers("quote")
    async def quote(ctx: Context) -> int:
        return int(await ctx.ask("price", form=int))

    run = await engine.start(flow)
    await engine.signal(run, "ping")
    with pytest.raises(TimeoutError):
        await engine.inquire(run, "quote", id="q", timeout="1s")
    await engine.until_idle()
    assert run.step("~quote.0/price").status == run.step("~ping.0/pong").status == "waiting"
    if how in ("cancelled", "undone"):
        await run.cancel(compensate=how == "undone")
    elif how != "out of time":
        await engine.signal(run, "go", how)
    await engine.advance("1h")
    assert run.status == status
    ended = {"~ping.0", "~ping.0/pong", "~quote.0", "~quote.0/price"}
    every = {**run.state.steps, **run.state.helpers}
    assert {every[name].status for name in ended} == {"cancelled"}
    with pytest.raises(NoAnswer):
        await engine.inquire(run, "quote", id="q", timeout="1s")


async def test_one_that_would_begin_to_wait_then_ends(engine: Engine) -> None:
    flow = Workflow("patient")
    flow.add("book", lambda: 1).compensate(lambda: None)
    flow.wait_signal("go", after="book")

    @flow.on_signal("ping")
    async def ping(ctx: Context) -> None:
        await asyncio.sleep(60)
        await ctx.wait_signal("pong")

    run = await engine.start(flow)
    await engine.signal(run, "ping")
    await engine.advance("10s")
    await run.cancel()
    assert run.status == "cancelling"
    await engine.advance("1h")
    assert (run.status, run.state.helpers["~ping.0"].status) == ("cancelled", "cancelled")


async def test_a_child_that_it_has_begun_ends_where_the_next_try_calls_it_again(engine: Engine) -> None:
    kid, flow = Workflow("kid"), Workflow("patient", restart=Retry(2, base="5s"))
    kid.wait_signal("on")
    engine.deploy(kid)
    flow.add("end", lambda: 1 // 0, after=flow.wait_signal("go"))

    @flow.on_signal("ping")
    async def ping(ctx: Context) -> None:
        await ctx.call(kid, ref="kid", wait=False)
        await ctx.wait_signal("pong")

    run = await engine.start(flow, id="r")
    await engine.signal(run, "ping")
    await engine.signal(run, "go")
    await engine.advance("10s")
    assert {child.id: child.status for child in run.children} == {
        "r//~ping.0/kid": "cancelled", "r//~ping.0/kid@2": "waiting",
    }  # fmt: skip


async def test_an_event_that_it_waits_for_is_listed_under_its_whole_name(engine: Engine) -> None:
    flow = Workflow("patient")
    flow.wait_signal("go")

    @flow.on_signal("ping")
    async def ping(ctx: Context) -> None:
        await ctx.wait_event("paid", key="42")

    run = await engine.start(flow)
    await engine.signal(run, "ping")
    await engine.until_idle()
    (wait,) = engine.ask(lambda: engine._target.waits(event="paid")).waits
    assert (wait.step, wait.kind, run.step(wait.step).status) == ("~ping.0/paid", "event", "waiting")


async def test_a_signal_before_the_next_try_of_the_graph_waits_for_it(engine: Engine) -> None:
    flow = Workflow("order", restart=Retry(2, base="1s"))
    book = flow.add("book", lambda: 1)

    @book.compensate
    async def unbook() -> None:
        await asyncio.sleep(60)

    @flow.step(after=book)
    def pay(ctx: Context) -> None:
        if ctx.attempt == 1:
            raise ConnectionError("not yet")

    flow.wait_signal("go", after=pay)

    @flow.on_signal("ping")
    def ping(ctx: Context, signal: int) -> None:
        ctx.append("heard", signal)

    run = await engine.start(flow)
    await engine.advance("10s")
    assert run.status == "compensating"
    await engine.signal(run, "ping", 1)
    await engine.until_waiting(run)
    assert run.context == {"heard": [1]}
    await run.cancel()
    await engine.signal(run, "ping", 2)
    assert (run.status, run.context) == ("cancelled", {"heard": [1]})


@pytest.mark.parametrize("takes_over", [False, True])
async def test_a_call_gets_nothing_of_the_one_before_in_its_place(
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    takes_over: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(beside, "SLOTS", 3)
    flow = Workflow("patient")
    flow.wait_signal("go")

    @flow.answers("quote")
    async def quote(ctx: Context, request: int) -> list[int]:
        kept: int = await ctx.once("kept", lambda: request)
        return [kept, await ctx.wait_signal("price")]

    run = await engine.start(flow)
    for n in range(5):
        await engine.signal(run, "price", n)
        if takes_over and n > 2:
            engine.restart()
        assert await engine.inquire(run, "quote", n) == [n, n]


@pytest.mark.parametrize("begins_late", [False, True])
async def test_one_that_waits_when_the_graph_fails_is_made_again_in_the_next_try(
    engine: Engine,
    begins_late: bool,  # noqa: FBT001
) -> None:
    called: list[tuple[int, int]] = []
    flow = Workflow("order", restart=Retry(3, base="50s"))
    book = flow.add("book", lambda: 1)

    @book.compensate
    async def unbook() -> None:
        await asyncio.sleep(30)

    flow.wait_signal("go", after=book)

    @flow.step(after="go")
    def pay(go: int) -> None:
        if go < 2:
            raise Fail("no", "not yet", retryable=False)

    @flow.on_signal("ping")
    async def ping(ctx: Context, signal: int) -> None:
        called.append((signal, ctx.attempt))
        if begins_late:
            await asyncio.sleep(10)
        ctx.put("ponged", [signal, await ctx.wait_signal("pong")])

    @flow.answers("quote")
    async def quote(ctx: Context) -> int:
        return int(await ctx.ask("price", form=int))

    run = await engine.start(flow)
    await engine.signal(run, "ping", 7)
    await engine.signal(run, "ping", 8)
    with pytest.raises(TimeoutError):
        await engine.inquire(run, "quote", id="q", timeout="1s")
    if not begins_late:
        await engine.until_idle()
        assert run.step("~ping.0/pong").status == "waiting"
    await engine.signal(run, "go", 1)
    await engine.advance("25s")
    assert run.status == "compensating"
    put_back = [run.state.helpers[name] for name in ("~ping.0", "~quote.0")]
    assert {call.status for call in put_back} == {"pending"}
    assert put_back[0].waits_for[0].text == "the next try of the run"
    engine.restart()
    await engine.advance("2m")
    await engine.until_waiting(run)
    assert run.step("~ping.0/pong").status == "waiting"
    await engine.signal(run, "pong", "first")
    await engine.answer(run, "~quote.0/price", 5)
    assert await engine.inquire(run, "quote", id="q") == 5
    await engine.until_waiting(run)
    assert run.context == {"ponged": [7, "first"]}
    await engine.signal(run, "pong", "second")
    await engine.until_waiting(run)
    await engine.signal(run, "go", 2)
    await engine.until_idle()
    assert (run.status, run.context) == ("completed", {"ponged": [8, "second"]})
    assert [signal for signal, _ in called if signal == 8]
    assert {step.status for step in run.state.helpers.values()} == {"completed"}


async def test_one_put_back_for_a_next_try_that_does_not_come_is_dropped(engine: Engine) -> None:
    flow = Workflow("order", restart=Retry(3, base="50s"))
    flow.wait_signal("go")

    @flow.step(after="go")
    def pay() -> None:
        raise Fail("no", "not yet", retryable=False)

    @flow.on_event("pinged", key="input.id")
    async def ping(ctx: Context) -> None:
        await ctx.wait_signal("pong")

    run = await engine.start(flow, {"id": "k"})
    await engine.publish("pinged", key="k")
    await engine.until_idle()
    await engine.signal(run, "go")
    await engine.advance("1s")
    assert (run.status, run.state.helpers["~ping.0"].status) == ("pending", "pending")
    await run.cancel()
    assert (run.status, run.state.helpers["~ping.0"].status) == ("cancelled", "cancelled")


async def test_several_that_wait_at_once_are_made_again_in_their_order(engine: Engine) -> None:
    flow = Workflow("order", restart=Retry(2, base="50s"))
    flow.wait_signal("go")

    @flow.step(after="go")
    def pay(go: bool) -> None:  # noqa: FBT001 - what the signal says
        if not go:
            raise Fail("no", "not yet", retryable=False)

    @flow.on_signal("ping", concurrency=2)
    async def ping(ctx: Context, signal: int) -> None:
        ctx.append("ponged", [signal, await ctx.wait_signal("pong")])

    run = await engine.start(flow)
    for n in range(4):
        await engine.signal(run, "ping", n)
    await engine.signal(run, "go", data=False)
    await engine.advance("1s")
    assert run.status == "pending"
    engine.restart()
    await engine.advance("2m")
    for n in range(4):
        await engine.signal(run, "pong", n)
        await engine.until_idle()
    await engine.signal(run, "go", data=True)
    await engine.until_idle()
    assert (run.status, run.context["ponged"]) == ("completed", [[n, n] for n in range(4)])


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_events_that_were_reacted_to_when_the_graph_fails_are_not_lost(
    engine: Engine, concurrency: int
) -> None:
    flow = Workflow("order", restart=Retry(2, base="50s"))
    flow.wait_signal("go")

    @flow.step(after="go")
    def pay(go: bool) -> None:  # noqa: FBT001 - what the signal says
        if not go:
            raise Fail("no", "not yet", retryable=False)

    @flow.on_event("hit", key="input.id", concurrency=concurrency)
    async def hit(ctx: Context, event: int) -> None:
        ctx.append("hits", [event, await ctx.wait_signal("pong")])

    run = await engine.start(flow, {"id": "k"})
    for n in range(4):
        await engine.publish("hit", key="k", data=n)
    await engine.signal(run, "go", data=False)
    await engine.advance("1s")
    assert run.status == "pending"
    engine.restart()
    await engine.advance("2m")
    for n in range(4):
        await engine.signal(run, "pong", n)
        await engine.until_idle()
    await engine.signal(run, "go", data=True)
    await engine.until_idle()
    assert (run.status, run.context["hits"]) == ("completed", [[n, n] for n in range(4)])
