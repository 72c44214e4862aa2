"""D7: a child that is started from inside a step and not waited for: once, listed, cancelled or left."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable import Context, Fail, Retry, Workflow
from stream_durable.core.messages import ChildEnded
from stream_durable.testing import Engine

greeting = Workflow("greeting")
greeting.wait_signal("go")
greeting.add("greet", lambda input: f"hello {input['name']}", after="go")  # noqa: A006


def starter(fails: bool = False, **options: Any) -> Workflow:  # noqa: FBT001, FBT002
    """Return a workflow that starts a child, waits, and fails if it is to."""
    flow = Workflow("starter")

    @flow.step
    async def start(ctx: Context) -> dict[str, str]:
        child = await ctx.call(greeting, {"name": "ann"}, ref="hello", wait=False, **options)
        await ctx.wait_signal("on")
        again = await ctx.call(greeting, {"name": "bob"}, ref="other", wait=False, **options)
        if fails:
            raise Fail("no", "as it was told", retryable=False)
        return {"first": child, "second": again}

    return flow


async def begun(engine: Engine, flow: Workflow) -> Any:
    await engine.start(greeting, {"name": "x"}, id="known")
    run = await engine.start(flow, id="order-1")
    await engine.until_idle()
    return run


async def test_the_step_goes_on_with_the_id_of_the_run_which_is_listed_as_a_child(engine: Engine) -> None:
    run = await begun(engine, starter())
    engine.restart()
    await engine.signal(run, "on")
    await engine.until_idle()
    first, second = "order-1//start/hello", "order-1//start/other"
    assert run.output == {"first": first, "second": second}
    assert (run.status, engine.run(first).status) == ("completed", "waiting")
    assert {child.id for child in engine.ask(engine._target.run(run.id).children).runs} == {first, second}
    assert engine.run(first).state.parent_step == "start/hello"
    assert run.step("start/hello").state.child == first
    await engine.signal(first, "go")
    await engine.until_idle()
    assert engine.run(first).output == "hello ann"
    history = engine.ask(lambda: engine._target.history(run.id, evidence=True))
    assert ChildEnded.__struct_config__.tag not in [one.text for one in history], "nobody waits to be told"


async def test_it_is_started_once_however_often_the_step_runs(engine: Engine) -> None:
    flow = Workflow("starter")

    @flow.step(retry=Retry(3, base="1s"))
    async def start(ctx: Context) -> str:
        child = await ctx.call(greeting, {"name": str(ctx.attempt)}, ref="hello", wait=False)
        if ctx.attempt < 3:
            raise ConnectionError("not yet")
        return child

    run = await begun(engine, flow)
    await engine.advance("1m")
    assert run.output == "order-1//start/hello"
    assert engine.run(run.output).input == {"name": "1"}
    assert len(engine.ask(engine._target.run(run.id).children).runs) == 1


@pytest.mark.parametrize("leave", [False, True])
@pytest.mark.parametrize("how", ["fails", "cancelled"])
async def test_it_is_cancelled_with_its_parent_or_left(
    engine: Engine,
    how: str,
    leave: bool,  # noqa: FBT001
) -> None:
    run = await begun(engine, starter(fails=how == "fails", leave=leave))
    engine.restart()
    if how == "fails":
        await engine.signal(run, "on")
    else:
        await run.cancel()
    await engine.until_idle()
    assert run.status in ("failed", "cancelled")
    assert engine.run("order-1//start/hello").status == ("waiting" if leave else "cancelled")


def undoable() -> Workflow:
    """Return a workflow with something to undo before it waits."""
    flow = Workflow("undoable")
    flow.add("book", lambda: 1).compensate(lambda: None)
    flow.wait_signal("go", after="book")
    return flow


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("cancelled", "cancelled"),
        ("undone", "compensated"),
        ("failed", "compensated"),
        ("again", "compensated"),
    ],
)
async def test_it_undoes_what_it_did_if_its_parent_does(engine: Engine, how: str, status: str) -> None:
    child = undoable()
    flow = Workflow("starter", restart=Retry(2 if how == "again" else 1, base="50s"))

    @flow.step
    async def start(ctx: Context) -> str:
        return await ctx.call(child, {}, ref="hello", wait=False)

    flow.wait_signal("on", after=start)

    @flow.step(after="on")
    def last() -> None:
        raise Fail("no", "as it was told", retryable=False)

    await engine.start(child, id="known")
    run = await engine.start(flow, id="order-1")
    await engine.until_idle()
    engine.restart()
    if how in ("failed", "again"):
        await engine.signal(run, "on")
    else:
        await run.cancel(compensate=how == "undone")
    await engine.advance("5s")
    assert engine.run("order-1//start/hello").status == status
    assert run.status == {"undone": "cancelled", "again": "pending"}.get(how, how)


async def test_it_is_cancelled_too_if_the_parent_fails_with_nothing_left_to_stop(engine: Engine) -> None:
    flow = Workflow("starter")

    @flow.step
    async def start(ctx: Context) -> str:
        return await ctx.call(greeting, {"name": "ann"}, ref="hello", wait=False)

    @flow.step(after=start, retry=Retry(1))
    def last() -> None:
        raise Fail("no", "as it was told", retryable=False)

    @flow.on_failure
    def noted() -> None: ...

    run = await begun(engine, flow)
    assert (run.status, engine.run("order-1//start/hello").status) == ("failed", "cancelled")


async def test_a_step_that_begins_again_starts_another_and_cancels_the_one_before(engine: Engine) -> None:
    run = await begun(engine, starter(fails=True, leave=False))
    await engine.signal(run, "on")
    await engine.until_idle()
    await run.retry("start")
    await engine.until_waiting(run)
    children = {child.id: child.status for child in engine.ask(engine._target.run(run.id).children).runs}
    assert children == {
        "order-1//start/hello": "cancelled", "order-1//start/other": "cancelled",
        "order-1//start/hello@2": "waiting",
    }  # fmt: skip


async def test_in_a_group_each_member_starts_its_own(engine: Engine) -> None:
    flow = Workflow("starter")
    flow.add("names", lambda: ["ann", "bob"])

    @flow.each("names")
    async def start(ctx: Context, item: str) -> str:
        return await ctx.call(greeting, {"name": item}, ref="hello", wait=False)

    run = await begun(engine, flow)
    await engine.until_idle()
    assert run.output == ["order-1//start[0]/hello", "order-1//start[1]/hello"]
    assert [engine.run(child).input["name"] for child in run.output] == ["ann", "bob"]


async def test_several_are_started_beside_other_waits(engine: Engine) -> None:
    flow = Workflow("starter")

    @flow.step
    async def start(ctx: Context) -> list[Any]:
        call = ctx.call
        return await ctx.gather(
            call(greeting, {"name": "a"}, ref="a", wait=False), ctx.sleep("1h"),
            call(greeting, {"name": "b"}, ref="b", wait=False),
        )  # fmt: skip

    run = await begun(engine, flow)
    await engine.advance("2h")
    assert run.output == ["order-1//start/a", None, "order-1//start/b"]


@pytest.mark.parametrize(
    "options",
    [{"wait": False, "timeout": "1h"}, {"wait": False, "on_timeout": 1}, {"leave": True}],
)
async def test_options_that_contradict_each_other_fail_the_step(
    engine: Engine, options: dict[str, Any]
) -> None:
    flow = Workflow("starter")

    @flow.step
    async def start(ctx: Context) -> Any:
        call: Any = ctx.call
        return await call(greeting, {}, ref="hello", **options)

    run = await begun(engine, flow)
    await engine.until_idle()
    assert (run.failure.code, "wait" in run.failure.message) == ("bad_wait", True)


@pytest.mark.parametrize("wait", [True, False])
async def test_a_name_in_place_of_a_workflow_is_refused_with_what_to_do(engine: Engine, wait: bool) -> None:  # noqa: FBT001
    flow = Workflow("starter", retry=Retry(3))

    @flow.step
    async def start(ctx: Context) -> None:
        await ctx.call("greeting", wait=wait)  # type: ignore[call-overload]

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.failure.code == "bad_wait" and run.step("start").state.attempt == 1
    assert run.failure.message == (
        "call: takes the workflow as the code defines it, not 'greeting'; a start by name is ctx.start()"
    )
