"""H10: who did what for an earlier attempt of a wait stays in the history of its run."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable import Context, Fail, Retry, Workflow
from stream_durable.testing import Engine

WANTED = ("claimed", "answered", "came", "ended from outside", "commented")


def told(engine: Engine, run: Any) -> list[tuple[str, str, str, str]]:
    """Return who did what, and for which wait, oldest first."""
    engine.restart()
    course = engine.ask(lambda: engine._target.history(run.id))
    return [(one.what, one.step, one.by, one.text) for one in course if one.what in WANTED]


def asking() -> Workflow:
    flow = Workflow("order", restart=Retry(2, base="1s"))
    flow.ask("allowed")
    flow.wait_signal("go", after="allowed")
    flow.wait_token("paid", after="go")

    @flow.step(after="paid")
    def pay(ctx: Context) -> None:
        if ctx.attempt == 1:
            raise Fail("no", "not yet", retryable=False)

    return flow


async def all_done(engine: Engine, run: Any, by: str) -> None:
    await engine.until_asked(run)
    await engine.claim(run, "allowed", by=by)
    await engine.answer(run, "allowed", True, by=by, comment="as agreed")
    await engine.signal(run, "go", by=by)
    await engine.complete(run=run, step="paid", by=by)
    await engine.advance("10s")


def acts(by: str) -> list[tuple[str, str, str, str]]:
    return [
        ("claimed", "allowed", by, f"to {by}"),
        ("answered", "allowed", by, "as agreed"),
        ("came", "go", by, "go"),
        ("ended from outside", "paid", by, ""),
    ]


async def test_it_stays_through_tries_of_the_graph_and_retries_by_hand(engine: Engine) -> None:
    run = await engine.start(asking())
    await all_done(engine, run, "ann")
    await all_done(engine, run, "tom")
    assert (run.status, told(engine, run)) == ("completed", [*acts("ann"), *acts("tom")])
    await run.retry("allowed")
    await all_done(engine, run, "eve")
    assert told(engine, run) == [*acts("ann"), *acts("tom"), *acts("eve")]
    assert [act.by for act in run.step("go").state.past] == ["ann", "tom"]


@pytest.mark.parametrize("in_group", [False, True])
async def test_so_it_does_for_waits_inside_a_step(
    engine: Engine,
    in_group: bool,  # noqa: FBT001
) -> None:
    flow = Workflow("order")

    async def review(ctx: Context) -> Any:
        return await ctx.ask("sure", timeout="1h", on_timeout=None)

    if in_group:
        flow.add("items", lambda: [1])
        flow.each("items")(review)
    else:
        flow.step(review)
    run = await engine.start(flow)
    wait = "review[0]/sure" if in_group else "review/sure"
    await engine.until_asked(run)
    await engine.answer(run, wait, True, by="ann")
    await engine.until_idle()
    await run.retry("review")
    await engine.until_asked(run)
    assert told(engine, run) == [("answered", wait, "ann", "")]


async def test_so_it_does_where_an_attempt_asks_again(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step(retry=Retry(2, base="1s"))
    async def review(ctx: Context) -> Any:
        try:
            return await ctx.ask("sure", timeout="1h")
        except Fail as failure:
            raise ConnectionError from failure

    run = await engine.start(flow)
    await engine.until_asked(run)
    await engine.claim(run, "review/sure", by="ann")
    await engine.advance("90m")
    assert told(engine, run) == [("claimed", "review/sure", "ann", "to ann")]
    assert run.step("review/sure").attempts == 2
