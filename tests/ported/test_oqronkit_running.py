"""What users of a job kit's workflow module rely on while runs go on: retries, hooks, time-outs, their state.

What is left out is said in `test_oqronkit`.
"""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel

from stream_durable import Context, Fail, Happened, Retry, Workflow
from stream_durable.testing.engine import Engine


class Signup(BaseModel):
    user: str


# Retries


async def test_a_step_is_retried_by_itself(engine: Engine) -> None:
    """There the number is that of retries; here it is that of attempts, the first included."""
    flow = Workflow("resilient")
    begun: list[str] = []

    @flow.step(retry=Retry(4, base="1s"), timeout="10s")
    async def flaky(ctx: Context) -> str:
        begun.append(f"flaky {ctx.attempt}")
        if ctx.attempt < 4:
            raise ConnectionError("no answer")
        return f"attempt {ctx.attempt}"

    @flow.step
    async def beside() -> str:
        begun.append("beside")
        return "done"

    @flow.step(after=[flaky, beside])
    async def then(flaky: str) -> str:
        begun.append("then")
        return flaky

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == "attempt 4"
    assert run.step("flaky").attempts == 4
    assert begun.count("beside") == begun.count("then") == 1
    assert begun[-1] == "then"


async def test_a_run_begins_anew_when_a_step_fails(engine: Engine) -> None:
    flow = Workflow("critical", restart=Retry(3, base="1s"))
    calls: list[str] = []

    @flow.step
    async def first() -> int:
        calls.append("first")
        return len(calls)

    @flow.step
    async def second(first: int) -> int:
        calls.append("second")
        if len(calls) < 6:
            raise RuntimeError("not yet")
        return first

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert calls == ["first", "second"] * 3
    assert run.output == 5, "what an earlier try put out is forgotten"
    assert run.step("second").attempts == 3, "no two attempts of a run have one number, and so one key"
    assert run.state.attempt == 3


async def test_a_run_begins_anew_so_often_and_then_fails(engine: Engine) -> None:
    flow = Workflow("hopeless", restart=Retry(2, base="1s"))
    calls: list[str] = []

    @flow.step
    async def first() -> None:
        calls.append("first")

    @flow.step(after=first)
    async def second() -> None:
        calls.append("second")
        raise RuntimeError("never")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert calls == ["first", "second"] * 2
    assert run.failure is not None
    assert (run.failure.code, run.failure.step) == ("RuntimeError", "second")


async def test_one_step_and_all_after_it_can_be_made_anew(engine: Engine) -> None:
    flow = Workflow("manual")
    calls: list[str] = []
    is_broken = [True]

    @flow.step
    async def a() -> None:
        calls.append("a")

    @flow.step(after=a)
    async def b() -> None:
        calls.append("b")
        await asyncio.sleep(1)
        if is_broken[0]:
            raise Fail("no_space", "the disk is full", retryable=False)

    @flow.step(after=a)
    async def beside() -> None:
        calls.append("beside")

    @flow.step(after=b)
    async def c() -> str:
        calls.append("c")
        return "done"

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "failed"
    assert (run.step("c").status, run.step("c").attempts) == ("cancelled", 0)

    is_broken[0] = False
    await run.retry("b")
    await engine.until_idle()

    assert run.status == "completed"
    assert run.step("c").output == "done"
    assert calls.count("a") == calls.count("beside") == 1
    assert calls[-2:] == ["b", "c"]


async def test_a_run_can_be_made_anew_from_its_roots(engine: Engine) -> None:
    """There it is a run of its own with the next number; here it is the same run, in place."""
    flow = Workflow("from_the_roots")
    calls: list[str] = []

    @flow.step
    async def a() -> None:
        calls.append("a")

    @flow.step(after=a)
    async def b() -> int:
        calls.append("b")
        if len(calls) < 3:
            raise Fail("once", retryable=False)
        return len(calls)

    run = await engine.start(flow)
    await engine.until_idle()
    await run.retry(whole=True)
    await engine.until_idle()

    assert run.status == "completed"
    assert calls == ["a", "b", "a", "b"]
    assert run.output == 4


async def test_what_failed_among_many_is_made_anew_and_nothing_else(engine: Engine) -> None:
    flow = Workflow("among_many")
    calls: list[int] = []
    is_broken = [True]

    @flow.each("input", on_error="complete_all")
    async def send(item: int) -> int:
        calls.append(item)
        if item == 2 and is_broken[0]:
            raise Fail("bounced", retryable=False)
        return item

    @flow.step
    async def check(send: list[int | None]) -> int:
        if None in send:
            raise Fail("incomplete", retryable=False)
        return len(send)

    run = await engine.start(flow, [1, 2, 3])
    await engine.until_idle()
    assert run.status == "failed"

    is_broken[0] = False
    await run.retry()
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", 3)
    assert sorted(calls) == [1, 2, 2, 3]


async def test_a_child_that_failed_is_started_anew(engine: Engine) -> None:
    child = Workflow("fragile")
    is_broken = [True]

    @child.step
    async def work() -> str:
        if is_broken[0]:
            raise Fail("no_space", retryable=False)
        return "done"

    flow = Workflow("with_fragile")
    flow.child("kid", child)
    flow.add("after", lambda kid: kid)

    run = await engine.start(flow)
    await engine.until_idle()
    is_broken[0] = False
    await run.retry("kid")
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "done")
    assert [each.status for each in run.children] == ["failed", "completed"]


# Hooks


def monitored(fails: bool) -> tuple[Workflow, list[str]]:
    flow = Workflow("monitored")
    told: list[str] = []

    @flow.step
    async def one() -> int:
        return 1

    @flow.step
    async def two(one: int) -> int:
        if fails:
            raise ValueError("bad luck")
        return 2

    @flow.on_step_start
    async def started(happened: Happened) -> None:
        told.append(f"{happened.step} began")

    @flow.on_step_complete
    async def completed(happened: Happened) -> None:
        told.append(f"{happened.step} completed with {happened.output}")

    @flow.on_step_fail
    async def failed(happened: Happened) -> None:
        assert happened.failure is not None
        told.append(f"{happened.step} failed: {happened.failure.message}")

    @flow.on_success
    async def success(happened: Happened) -> None:
        told.append(f"run {happened.status}")

    @flow.on_failure
    async def failure(happened: Happened) -> None:
        assert happened.failure is not None
        told.append(f"run {happened.status} at {happened.step}: {happened.failure.code}")

    return flow, told


async def test_hooks_are_told_of_steps_and_of_a_good_end(engine: Engine) -> None:
    flow, told = monitored(fails=False)
    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert sorted(told) == sorted(
        ["one began", "one completed with 1", "two began", "two completed with 2", "run completed"]
    )


async def test_hooks_are_told_of_a_failure(engine: Engine) -> None:
    flow, told = monitored(fails=True)
    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert sorted(told) == sorted(
        ["one began", "one completed with 1", "two began", "two failed: bad luck",
         "run failed at two: ValueError"]
    )  # fmt: skip


async def test_a_hook_that_fails_changes_nothing(engine: Engine) -> None:
    flow = Workflow("unlucky_hook")
    flow.add("one", lambda: 1)

    @flow.on_success
    async def tell() -> None:
        raise RuntimeError("the pager is broken")

    @flow.on_step_complete
    async def tell_of_one() -> None:
        raise RuntimeError("the metrics are broken")

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", 1)
    failure = run.step("~on_success").failure
    assert failure is not None
    assert failure.message == "the pager is broken"


# Time-outs


async def test_an_attempt_that_takes_too_long_fails_and_is_tried_again(engine: Engine) -> None:
    flow = Workflow("slow_step")

    @flow.step(timeout="10s", retry=Retry(2, base="1s"))
    async def fast(ctx: Context) -> str:
        assert ctx.deadline is not None
        if ctx.attempt == 1:
            await asyncio.sleep(60)
        return "in time"

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.output == "in time"
    assert run.step("fast").attempts == 2


async def test_a_step_that_always_takes_too_long_fails_the_run(engine: Engine) -> None:
    flow = Workflow("always_slow")

    @flow.step(timeout="10s")
    async def slow() -> None:
        await asyncio.sleep(60)

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert run.failure is not None
    assert (run.failure.code, run.failure.step) == ("timeout", "slow")


async def test_a_run_that_takes_too_long_fails_and_what_is_under_way_is_cancelled(engine: Engine) -> None:
    flow = Workflow("time_sensitive", timeout="5m")
    left: list[str] = []

    @flow.step(timeout="10s")
    async def fast() -> None: ...

    @flow.step(after=fast)
    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            left.append("slow")
            raise

    @flow.step(after=slow)
    async def never() -> None:
        left.append("never")

    run = await engine.start(flow)
    await engine.advance("5m")
    await engine.until_idle()

    assert run.status == "failed"
    assert run.failure is not None
    assert run.failure.code == "timeout"
    assert run.failure.step is None
    assert "5 min" in run.failure.message or "5m" in run.failure.message or "300" in run.failure.message
    assert run.step("fast").status == "completed"
    assert run.step("slow").status == "cancelled"
    assert run.step("never").status == "cancelled"
    assert left == ["slow"]


# What a step sees, and what is seen of it


async def test_a_step_sees_where_it_is(engine: Engine) -> None:
    flow = Workflow("context", input=Signup)

    @flow.step
    async def before(signup: Signup) -> dict[str, str]:
        return {"greeting": f"hello {signup.user}"}

    @flow.step(after=before, reads=before)
    def look(ctx: Context[Signup]) -> dict[str, Any]:
        ctx.log.info("half way", part=1)
        ctx.progress(50, "half way")
        return {
            "user": ctx.input.user,
            "step": ctx.step,
            "run": ctx.run_id,
            "workflow": ctx.workflow,
            "attempt": ctx.attempt,
            "cancelled": ctx.cancelled,
            "greeting": ctx.output("before")["greeting"],
            "tags": list(ctx.tags),
        }

    run = await engine.start(flow, Signup(user="u-1"), id="look-1", tags=["new"])
    await engine.until_idle()

    assert run.output == {
        "user": "u-1", "step": "look", "run": "look-1", "workflow": "context", "attempt": 1,
        "cancelled": False, "greeting": "hello u-1", "tags": ["new"],
    }  # fmt: skip


async def test_where_a_run_stands_while_it_goes_on(engine: Engine) -> None:
    flow = Workflow("watched")

    @flow.step
    async def quick() -> None: ...

    @flow.step(after=quick)
    async def long(ctx: Context) -> None:
        await asyncio.sleep(600)

    @flow.step(after=long)
    async def later() -> None: ...

    run = await engine.start(flow)
    await engine.advance("1m")

    assert run.status == "running"
    assert {name: run.step(name).status for name in ("quick", "long", "later")} == {
        "quick": "completed", "long": "running", "later": "pending",
    }  # fmt: skip


async def test_cancelling_a_run_reaches_what_is_under_way(engine: Engine) -> None:
    flow = Workflow("cancelled")
    left: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            left.append("left")

    flow.add("one", work)
    flow.add("two", work)
    flow.add("after", work, after=["one", "two"])

    run = await engine.start(flow)
    await engine.advance("10s")
    await run.cancel("changed my mind")
    await engine.until_idle()

    assert run.status == "cancelled"
    assert {run.step(name).status for name in ("one", "two", "after")} == {"cancelled"}
    assert left == ["left", "left"]


async def test_a_paused_run_begins_nothing(engine: Engine) -> None:
    flow = Workflow("paused")
    calls: list[str] = []

    @flow.step
    async def one() -> None:
        await asyncio.sleep(30)
        calls.append("one")

    @flow.step(after=one)
    async def two() -> None:
        calls.append("two")

    run = await engine.start(flow)
    await engine.advance("1s")
    await run.pause()
    await engine.advance("10m")

    assert run.status == "paused"
    assert calls == ["one"]
    assert run.step("one").status == "completed"

    await run.resume()
    await engine.until_idle()
    assert run.status == "completed"
    assert calls == ["one", "two"]
