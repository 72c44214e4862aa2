"""B9: what steps leave for the steps after them, kept after each step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from stream_durable import Context, Fail, Retry, Skip, Snooze, Workflow
from stream_durable.testing import Engine


async def after(
    engine: Engine, change: Callable[[Context], Any], values: dict[str, Any] | None = None
) -> Any:
    """Return the context of a run in which one step found these values and did this to them."""
    flow = Workflow("order")
    flow.add("first", lambda ctx: ctx.merge(values or {}))

    @flow.step(after="first")
    def step(ctx: Context) -> None:
        change(ctx)

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed", run.table
    return run.context


@pytest.mark.parametrize(
    ("change", "values", "context"),
    [
        (lambda ctx: ctx.put("a", {"b": [1]}), {}, {"a": {"b": [1]}}),
        (lambda ctx: ctx.put("a", None), {"a": 1}, {"a": None}),
        (lambda ctx: ctx.merge({"a": 1, "b": 2}), {"a": 0, "c": 3}, {"a": 1, "b": 2, "c": 3}),
        (lambda ctx: ctx.merge({"x": 1}, at="a"), {"a": {"x": 0, "y": 2}}, {"a": {"x": 1, "y": 2}}),
        (lambda ctx: ctx.merge({"x": 1}, at="new"), {}, {"new": {"x": 1}}),
        (lambda ctx: ctx.merge({"s": {"b": 2}}), {"s": {"a": 1}}, {"s": {"a": 1, "b": 2}}),
        (lambda ctx: ctx.merge({"s": {"b": 2}}, deep=False), {"s": {"a": 1}}, {"s": {"b": 2}}),
        (
            lambda ctx: ctx.merge({"t": {"u": {"b": [2]}}}, at="s"),
            {"s": {"t": {"u": {"a": 1, "b": [1]}, "v": 0}}},
            {"s": {"t": {"u": {"a": 1, "b": [2]}, "v": 0}}},
        ),
        (
            lambda ctx: ctx.merge({"t": {"b": 2}}, at="s", deep=False),
            {"s": {"t": {"a": 1}, "v": 0}},
            {"s": {"t": {"b": 2}, "v": 0}},
        ),
        (lambda ctx: ctx.merge({"s": {"b": 2}}), {"s": [1]}, {"s": {"b": 2}}),
        (lambda ctx: ctx.merge({"s": None}), {"s": {"a": 1}}, {"s": None}),
        (
            lambda ctx: ctx.put("seen", ctx.values),
            {"a": {"b": [1]}},
            {"a": {"b": [1]}, "seen": {"a": {"b": [1]}}},
        ),
        (lambda ctx: ctx.append("a", 3), {"a": [1, 2]}, {"a": [1, 2, 3]}),
        (lambda ctx: ctx.append("new", {"x": 1}), {}, {"new": [{"x": 1}]}),
        (lambda ctx: ctx.increment("a"), {"a": 1}, {"a": 2}),
        (lambda ctx: ctx.increment("a", by=-2.5), {"a": 1}, {"a": -1.5}),
        (lambda ctx: ctx.increment("new", 3), {}, {"new": 3}),
        (lambda ctx: ctx.delete("a"), {"a": 1, "b": 2}, {"b": 2}),
        (lambda ctx: ctx.delete("nothing"), {"a": 1}, {"a": 1}),
        (lambda ctx: ctx.update("a", lambda n: n * 10), {"a": 2}, {"a": 20}),
        (lambda ctx: ctx.update("new", lambda n: n + 1, default=5), {}, {"new": 6}),
        (lambda ctx: [ctx.append("a", i) for i in range(3)], {}, {"a": [0, 1, 2]}),
        (lambda ctx: (ctx.put("a", 1), ctx.delete("a"), ctx.increment("a", 7)), {}, {"a": 7}),
        (lambda ctx: ctx.put("a.b", 1), {}, {"a.b": 1}),
        (lambda ctx: ctx.put('ä\u0000"\\', "😀"), {}, {'ä\u0000"\\': "😀"}),
    ],
)
async def test_each_helper(
    engine: Engine, change: Any, values: dict[str, Any], context: dict[str, Any]
) -> None:
    assert await after(engine, change, values) == context


async def test_an_attempt_sees_its_own_changes_at_once_and_copies_of_values(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def step(ctx: Context) -> list[Any]:
        ctx.put("list", [1])
        ctx.get("list").append(2)
        ctx.append("list", 3)
        missing = [ctx.has("list"), ctx.has("nothing"), ctx.get("nothing"), ctx.get("nothing", 7)]
        ctx.delete("list")
        return [*missing, ctx.has("list"), ctx.update("n", lambda n: (n or 0) + 1)]

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == [True, False, None, 7, False, 1]
    assert run.context == {"n": 1}


async def test_it_is_kept_after_each_step_and_seen_by_those_that_begin_later(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def first(ctx: Context) -> None:
        ctx.put("n", 1)

    flow.wait_signal("go", after=first)

    @flow.step(after="go")
    def second(ctx: Context) -> Any:
        return ctx.get("n")

    run = await engine.start(flow)
    assert run.context == {"n": 1}
    engine.restart()
    await engine.signal(run.id, "go")
    await engine.until_idle()
    assert run.output == 1


async def test_steps_side_by_side_all_count(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.each("input")
    async def each(item: int, ctx: Context) -> None:
        ctx.increment("sum", item)
        ctx.append("items", item)
        ctx.merge({str(item): True}, at="seen")
        await asyncio.sleep(1)

    run = await engine.start(flow, list(range(20)))
    await engine.until_idle()
    assert run.context["sum"] == 190
    assert sorted(run.context["items"]) == list(range(20))
    assert run.context["seen"] == {str(item): True for item in range(20)}


async def test_of_two_updates_at_the_same_time_one_is_lost(engine: Engine) -> None:
    """It is the value that is put, so what must count is `increment`, `append` and `merge`."""
    flow = Workflow("order")
    for name in "ab":

        @flow.step(name=name)
        async def step(ctx: Context) -> None:
            ctx.update("n", lambda n: n + 1, default=0)
            await asyncio.sleep(1)

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.context == {"n": 1}


@pytest.mark.parametrize("how", ["fails", "is skipped", "snoozes", "is cancelled", "times out"])
async def test_whose_changes_are_kept(engine: Engine, how: str) -> None:
    flow = Workflow("order")

    @flow.step(on_error="continue", timeout="5m")
    async def step(ctx: Context) -> Any:
        ctx.put("n", ctx.get("n", 0) + 1)
        match how:
            case "fails":
                raise Fail("down", retryable=False)
            case "is skipped":
                return Skip("no")
            case "snoozes":
                return "well" if ctx.get("n") == 2 else Snooze("1m")
        return await asyncio.sleep(3_600)

    run = await engine.start(flow)
    await engine.advance("2m")
    if how == "is cancelled":
        await run.cancel("enough")
    await engine.advance("10m")
    assert run.context == {"is skipped": {"n": 1}, "snoozes": {"n": 2}}.get(how, {})


async def test_a_failed_attempt_leaves_nothing_to_the_next(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step(retry=Retry(3, base="1s"))
    def step(ctx: Context) -> Any:
        ctx.append("attempts", ctx.attempt)
        if ctx.attempt < 3:
            raise Fail("busy")
        return ctx.get("attempts")

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == [3]
    assert run.context == {"attempts": [3]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda ctx: ctx.append("n", 1), "append at 'n' needs a list there, and there is something else"),
        (
            lambda ctx: ctx.increment("t"),
            "increment at 't' needs a number that can take it there, and there is something else",
        ),
        (
            lambda ctx: ctx.increment("b"),
            "increment at 'b' needs a number that can take it there, and there is something else",
        ),
        (
            lambda ctx: ctx.merge({"x": 1}, at="n"),
            "merge at 'n' needs an object there, and there is something else",
        ),
        (lambda ctx: ctx.merge([1]), "merge takes an object, to set its fields"),
        (lambda ctx: ctx.put("", 1), "a key of the context is a text, not ''"),
        (lambda ctx: ctx.put(7, 1), "a key of the context is a text, not 7"),
        (
            lambda ctx: ctx.increment("n", by=True),
            "increment at 'n' adds a number, not an object of type bool",
        ),
    ],
)
async def test_changes_that_cannot_be_made(engine: Engine, change: Any, says: str) -> None:
    flow = Workflow("order")
    flow.add("first", lambda ctx: ctx.merge({"n": 1, "t": "text", "b": True}))

    @flow.step(after="first")
    def step(ctx: Context) -> None:
        ctx.put("before", 1)
        change(ctx)

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.failure is not None
    assert (run.failure.code, run.failure.message, run.failure.retryable) == ("bad_change", says, False)
    assert "before" not in run.context


async def test_changes_that_only_then_prove_impossible_fail_the_later_step(engine: Engine) -> None:
    """Two steps began with the same context; what the first made of a value the second cannot append to."""
    flow = Workflow("order")

    @flow.step
    async def quick(ctx: Context) -> None:
        ctx.put("k", "a text")

    @flow.step
    async def slow(ctx: Context) -> None:
        ctx.append("k", 1)
        await asyncio.sleep(10)

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.failure is not None
    assert (run.failure.step, run.failure.code) == ("slow", "bad_change")
    assert run.context == {"k": "a text"}


async def test_threads_of_one_attempt_share_it(engine: Engine) -> None:
    from threading import Thread

    flow = Workflow("order")

    @flow.step
    def step(ctx: Context) -> None:
        threads = [Thread(target=lambda: [ctx.increment("n") for _ in range(100)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.context == {"n": 400}


async def test_changes_are_made_once_however_often_they_are_heard(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def step(ctx: Context) -> None:
        ctx.increment("n")

    flow.wait_signal("go", after=step)
    run = await engine.start(flow)
    engine.redeliver()
    engine.restart()
    engine.redeliver()
    await engine.signal(run.id, "go")
    assert (run.status, run.context) == ("completed", {"n": 1})
