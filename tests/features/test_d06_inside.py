"""D6 and D7: a step waits inside its function, for all that the graph waits for, and calls other runs."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from contextvars import ContextVar
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from outcomes import failure_of
from pydantic import BaseModel

from stream_durable import Context, Fail, Retry, Workflow, any_of
from stream_durable.client import InputFilter
from stream_durable.testing import Engine


class Rating(BaseModel):
    stars: int


async def lose_worker(engine: Engine) -> None:
    """Let the worker die, with all that it keeps."""
    flow = Workflow("deadly")

    @flow.step
    async def deadly() -> None: ...

    engine.deploy(flow)
    engine.crash_before(deadly)
    await (await engine.start(flow)).result()


greeting = Workflow("greeting", output=str)


@greeting.step
async def greet(input: dict[str, str]) -> str:
    if input["name"] == "nobody":
        raise Fail("no_name", "there is nobody", retryable=False)
    return f"hello {input['name']}"


async def test_a_step_waits_for_everything_there_is(engine: Engine) -> None:
    flow, seen = Workflow("all"), list[Any]()

    @flow.step
    async def all_of_it(ctx: Context) -> None:
        await ctx.sleep("1h")
        seen.append("slept")
        seen.append(await ctx.wait_signal("go"))
        seen.append(await ctx.wait_event("paid", key=42))
        seen.append(await ctx.ask("rating", form=Rating, prompt="How was {it}?", role="office"))
        seen.append(await ctx.call(greeting, {"name": "ann"}, ref="hello"))

    engine.deploy(greeting)
    run = await engine.start(flow)
    await engine.until_waiting(run)
    assert run.step("all_of_it").status == "waiting"
    assert run.step("all_of_it").waits_for == ("the time, in 1h",)
    await engine.advance("1h")
    await engine.until_waiting(run)
    await engine.signal(run, "go", {"by": "tom"})
    await engine.publish("paid", key="42", data=7)
    assert await engine.until_asked(run) == "all_of_it/rating"
    assert run.step("all_of_it").waits_for == ("an answer from office: How was {it}?",)
    await engine.answer(run, "all_of_it/rating", {"stars": 5})
    await run.result()

    assert seen == ["slept", {"by": "tom"}, 7, Rating(stars=5), "hello ann"]
    assert run.step("all_of_it").attempts == 1


async def test_context_variables_outlast_a_wait(engine: Engine) -> None:
    flow, tenant, seen = Workflow("bound"), ContextVar[str]("tenant", default="none"), list[str]()

    @flow.step
    async def bound(ctx: Context) -> None:
        tenant.set("first")
        await ctx.wait_signal("go")
        seen.append(tenant.get())
        tenant.set("second")
        await ctx.wait_signal("go")
        seen.append(tenant.get())
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        seen.append(tenant.get())

    run = await engine.start(flow)
    other = await engine.start(flow)
    for one in (run, other, run, other):
        await engine.until_waiting(one)
        await engine.signal(one, "go")
    await run.result()
    await other.result()

    assert seen == ["first", "first", "second", "second", "second", "second"]
    assert tenant.get() == "none"


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "from its top"])
async def test_the_worker_may_be_gone_at_every_wait(engine: Engine, is_kept: bool) -> None:  # noqa: FBT001
    flow, passes, calls = Workflow("gone"), list[int](), list[str]()

    async def called(what: str) -> str:
        calls.append(what)
        return what

    @flow.step
    async def gone(ctx: Context) -> list[Any]:
        passes.append(1)
        found: list[Any] = []
        for number in range(4):
            found.append(await ctx.once(f"c{number}", called, f"call {number}"))
            await ctx.sleep("1m")
            found.append(await ctx.wait_signal("go"))
        return found

    run = await engine.start(flow)
    for number in range(4):
        await engine.until_waiting(run)
        if not is_kept:
            await lose_worker(engine)
        await engine.advance("1m")
        await engine.until_waiting(run)
        await engine.signal(run, "go", number)

    assert await run.result() == ["call 0", 0, "call 1", 1, "call 2", 2, "call 3", 3]
    assert calls == ["call 0", "call 1", "call 2", "call 3"]
    assert len(passes) == (1 if is_kept else 5), (
        "the function goes on where it stands while its worker has it"
    )


async def test_a_plain_function_waits_too(engine: Engine) -> None:
    flow = Workflow("plain")

    @flow.step
    def plain(ctx: Context) -> Any:
        ctx.sleep("1h").result()
        go, paid = ctx.gather(ctx.wait_signal("go"), ctx.wait_event("paid", key="1")).result()
        return [go, paid, ctx.call(greeting, {"name": "bob"}).result()]

    engine.deploy(greeting)
    run = await engine.start(flow)
    await engine.advance("1h")
    await engine.signal(run, "go", 1)
    await engine.publish("paid", key="1", data=2)

    assert await run.result() == [1, 2, "hello bob"]


async def test_gathered_waits_go_on_together(engine: Engine) -> None:
    flow = Workflow("together")

    @flow.step
    async def together(ctx: Context) -> Any:
        return await ctx.gather(
            ctx.sleep("1h"), ctx.sleep("2h"), ctx.wait_signal("go", timeout="1h", on_timeout="none")
        )

    run = await engine.start(flow)
    await engine.until_waiting(run)
    assert len(run.step("together").waits_for) == 3
    await engine.advance("1h")
    assert run.status == "waiting"
    await engine.advance("1h")

    assert await run.result() == [None, None, "none"]


async def test_a_wait_costs_no_attempt_and_no_time_out_but_total_goes_on(engine: Engine) -> None:
    flow = Workflow("times", retry=Retry(3))

    @flow.step(timeout="10s")
    async def patient(ctx: Context) -> int:
        await ctx.sleep("1h")
        return ctx.attempt

    @flow.step(total="2h", on_error="skip")
    async def hasty(ctx: Context) -> None:
        await ctx.sleep("5h")

    run = await engine.start(flow)
    await engine.until(run, "completed", within="4h")

    assert run.step("patient").output == 1
    assert failure_of(run.step("hasty")).code == "timeout"
    assert run.step("hasty/1").status == "cancelled"


async def test_a_time_out_raises_where_it_is_awaited(engine: Engine) -> None:
    flow = Workflow("late")

    @flow.step
    async def late(ctx: Context) -> str:
        try:
            await ctx.wait_signal("never", timeout="1m")
        except Fail as failure:
            return failure.code
        return "?"

    run = await engine.start(flow)
    await engine.advance("1m")

    assert await run.result() == "timeout"


async def test_a_failed_child_raises_its_code_and_the_next_attempt_calls_again(engine: Engine) -> None:
    flow, codes = Workflow("calling", retry=Retry(2, base="1s")), list[str]()

    @flow.step
    async def calling(ctx: Context) -> str:
        try:
            return await ctx.call(greeting, {"name": "nobody" if ctx.attempt == 1 else "eve"}, ref="g")
        except Fail as failure:
            codes.append(failure.code)
            raise ConnectionError("the child failed") from failure

    engine.deploy(greeting)
    run = await engine.start(flow)

    assert await run.result() == "hello eve"
    assert codes == ["no_name"]


async def test_what_failed_is_waited_for_again_and_what_succeeded_is_not(engine: Engine) -> None:
    flow, seen = Workflow("again", retry=Retry(3, base="1s")), list[Any]()

    @flow.step
    async def again(ctx: Context) -> Any:
        first = await ctx.wait_signal("first")
        try:
            second = await ctx.wait_signal("second", timeout="1m")
        except Fail:
            seen.append(ctx.attempt)
            raise ConnectionError("no second signal") from None
        return [first, second]

    run = await engine.start(flow)
    await engine.signal(run, "first", 1)
    await engine.advance("70s")
    await engine.signal(run, "second", 2)

    assert await run.result() == [1, 2]
    assert seen == [1]


async def test_a_changed_order_fails_with_both_orders(engine: Engine) -> None:
    flow, names = Workflow("changed"), iter([["alpha", "beta"], ["gamma", "beta"], ["gamma", "beta"]])

    @flow.step
    async def changed(ctx: Context) -> None:
        for name in next(names):
            await ctx.sleep("1m", name=name)

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await lose_worker(engine)
    await engine.until(run, "failed")

    failure = failure_of(run.step("changed"))
    assert failure.code == "order_changed"
    assert "Before: 1 sleep alpha. Now: 1 sleep gamma." in failure.message


async def test_a_retry_by_hand_begins_without_answers(engine: Engine) -> None:
    flow = Workflow("renewed")

    @flow.step
    async def renewed(ctx: Context) -> Any:
        return [await ctx.wait_signal("go"), await ctx.call(greeting, {"name": "ann"})]

    engine.deploy(greeting)
    run = await engine.start(flow)
    await engine.signal(run, "go", 1)
    assert await run.result() == [1, "hello ann"]
    await run.retry("renewed")
    await engine.until_waiting(run)
    await engine.signal(run, "go", 2)

    assert await run.result() == [2, "hello ann"]


@pytest.mark.parametrize("how", ["run", "step", "wait"])
async def test_what_waits_inside_is_cancelled(engine: Engine, how: str) -> None:
    flow = Workflow("cancelled")

    @flow.step
    async def cancelled(ctx: Context) -> Any:
        return await ctx.gather(ctx.ask("rating"), ctx.call(waiting, {}, ref="child"))

    waiting = Workflow("waiting")
    waiting.wait_signal("never")
    engine.deploy(waiting)
    run = await engine.start(flow)
    await engine.until_asked(run)
    if how == "run":
        await run.cancel()
    elif how == "step":
        await run.cancel_step("cancelled")
    else:
        await run.cancel_step("cancelled/child")
        await engine.until_idle()
        assert run.status == "waiting"
        await engine.answer(run, "cancelled/rating", True)
    await engine.until(run, "cancelled", "failed")
    await engine.until_idle()

    assert run.step("cancelled/child").status == "cancelled"
    assert [child.status for child in engine.runs if child.id != run.id] == ["cancelled"]


async def test_a_skipped_wait_has_no_answer(engine: Engine) -> None:
    flow = Workflow("skipped")

    @flow.step
    async def skipped(ctx: Context) -> Any:
        return [await ctx.wait_signal("go")]

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.skip_step("skipped/go")

    assert await run.result() == [None]


async def test_the_loser_of_a_race_waits_no_longer(engine: Engine) -> None:
    flow = Workflow("racing")

    @flow.step
    async def slow(ctx: Context) -> str:
        await ctx.sleep("1h")
        return "slow"

    @flow.step
    async def quick(ctx: Context) -> str:
        await ctx.sleep("1m")
        return "quick"

    @flow.step(after=any_of(slow, quick, cancel_rest=True))
    async def then() -> str:
        return "then"

    run = await engine.start(flow)

    assert await run.result() == "then"
    assert run.step("slow").status == "cancelled"
    assert run.step("slow/1").status == "cancelled"


async def test_a_paused_run_begins_no_pass(engine: Engine) -> None:
    flow, passes = Workflow("paused"), list[int]()

    @flow.step
    async def paused(ctx: Context) -> int:
        await ctx.wait_signal("go")
        passes.append(1)
        return len(passes)

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.pause()
    await engine.signal(run, "go")
    await engine.until_idle()
    assert passes == []
    await run.resume()

    assert await run.result() == 1


async def test_a_waiting_step_leaves_its_place_in_the_run_to_others(engine: Engine) -> None:
    flow = Workflow("placed", concurrency=1)

    @flow.step
    async def first(ctx: Context) -> Any:
        return await ctx.wait_signal("go")

    @flow.step
    async def second(ctx: Context) -> str:
        return "second"

    run = await engine.start(flow)
    await engine.until_waiting(run)
    assert run.step("second").status == "completed"
    await engine.signal(run, "go", 1)

    assert await run.result() == {"first": 1, "second": "second"}


async def test_a_compensation_waits_inside(engine: Engine) -> None:
    flow = Workflow("undone")

    @flow.step
    async def charge() -> str:
        return "charged"

    @charge.compensate
    async def refund(ctx: Context, charge: str) -> Any:
        return await ctx.wait_signal("allowed")

    @flow.step(after=charge)
    async def broken() -> None:
        raise Fail("broken", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()
    await engine.signal(run, "allowed", "yes")
    await engine.until(run, "compensated")


async def test_members_of_a_group_wait_inside(engine: Engine) -> None:
    flow = Workflow("members", input=list[int])

    @flow.each("input", concurrency=2)
    async def member(ctx: Context, item: int) -> int:
        await ctx.sleep("1m")
        return item

    run = await engine.start(flow, [1, 2, 3, 4, 5])
    await engine.until_waiting(run)
    assert [step for step in run.steps if step.endswith("/1")] == ["member[0]/1", "member[1]/1"]

    assert await run.result() == [1, 2, 3, 4, 5]


async def test_random_values_belong_into_once(engine: Engine) -> None:
    flow = Workflow("random")

    @flow.step
    async def drawn(ctx: Context) -> float:
        value = await ctx.once("value", random.random)
        await ctx.sleep("1m", name=f"sleep-{int(value * 1e9)}")
        return value

    run = await engine.start(flow)
    await engine.until_waiting(run)
    await lose_worker(engine)

    assert 0 <= await run.result() < 1


async def test_a_question_inside_is_in_the_list_of_questions(engine: Engine) -> None:
    flow = Workflow("listed")

    @flow.step
    async def listed(ctx: Context) -> Any:
        return await ctx.ask("size", choices=["s", "m"], role="shop")

    run = await engine.start(flow)
    await engine.until_asked(run)
    found = await engine.inputs(InputFilter(role="shop"))
    assert [item.wait for item in found.inputs] == ["listed/size"]
    await engine.answer(run, "listed/size", "m")

    assert await run.result() == "m"


async def test_only_the_function_itself_waits(engine: Engine) -> None:
    flow = Workflow("tasks")

    @flow.step
    async def tasks(ctx: Context) -> None:
        async def wait() -> None:
            await ctx.sleep("1m")

        await asyncio.gather(wait(), wait())

    run = await engine.start(flow)
    await engine.until(run, "failed")

    assert failure_of(run.step("tasks")).code == "cannot_wait"


async def test_options_that_cannot_be_read_fail_the_step(engine: Engine) -> None:
    flow = Workflow("options")

    @flow.step
    async def options(ctx: Context) -> None:
        await ctx.sleep("a while")

    run = await engine.start(flow)
    await engine.until(run, "failed")

    failure = failure_of(run.step("options"))
    assert failure.code == "bad_wait"
    assert "a while" in failure.message


@pytest.mark.parametrize("kind", ["once", "sleep"])
async def test_the_thousandth_wait_costs_at_most_three_times_the_tenth(engine: Engine, kind: str) -> None:
    flow = Workflow("many")
    marks: list[float] = []

    @flow.step
    async def many(ctx: Context) -> None:
        for number in range(1_000):
            if kind == "once":
                await ctx.once(f"call-{number}", int, number)
            else:
                await ctx.sleep("1s")
            marks.append(time.thread_time())

    run = await engine.start(flow)
    await engine.until(run, "completed", within="1h")

    assert len(marks) == 1_000, "the worker kept the function"
    costs = [after - before for before, after in pairwise(marks)]
    assert median(costs[-100:]) < 3 * median(costs[5:105])


async def test_a_question_inside_a_step_is_no_longer_pending_once_the_step_is_reset(engine: Engine) -> None:
    flow = Workflow("asked")

    @flow.step
    async def asks(ctx: Context) -> None:
        if ctx.attempt == 1:
            await ctx.ask("sure", choices=["yes", "no"])
        else:
            await ctx.wait_signal("go")

    run = await engine.start(flow)
    await engine.until_asked(run)
    await run.retry("asks")
    await engine.until_waiting(run)

    assert run.step("asks").attempts == 2
    assert (await engine.inputs(InputFilter())).inputs == []


@pytest.mark.parametrize(
    ("waits", "code"),
    [
        (lambda ctx: [ctx.sleep("1s") for _ in range(1_001)], "too_many_waits"),
        (
            lambda ctx: [ctx.call(greeting, {"name": "x" * 600_000}, ref=f"c{n}") for n in range(2)],
            "input_too_large",
        ),
        (lambda ctx: [ctx.ask("seen", metadata={"page": "x" * 1_000_000})], "input_too_large"),
    ],
    ids=["many", "two calls", "a question"],
)
async def test_waits_beyond_a_message_fail_the_step(engine: Engine, waits: Any, code: str) -> None:
    flow = Workflow("flow")

    @flow.step
    async def wait(ctx: Context) -> None:
        await ctx.gather(*waits(ctx))

    engine.deploy(greeting)
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert run.failure is not None
    assert (run.failure.code, run.step("wait").attempts) == (code, 1)


async def test_an_answer_beyond_a_message_fails_the_step(engine: Engine) -> None:
    flow = Workflow("flow")

    @flow.step
    async def tell(ctx: Context) -> None:
        ctx.put("much", "x" * 500_000)
        ctx.emit("world", value="y" * 600_000)

    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert run.failure is not None
    assert run.failure.code == "report_refused"
