"""C9: by hand, one step and all after it is made anew, or what failed, or the whole run, in place."""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from moves import checked
from outcomes import failure_of

from stream_durable import Context, Expand, Fail, Gate, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine

#: What is broken, by the name of its step.
Broken = set[str]


def shop() -> tuple[Workflow, Broken, list[str]]:
    """a; b after it, which may be broken; c after that; and beside them d."""
    flow = Workflow("shop")
    broken: Broken = set()
    calls: list[str] = []

    def work(ctx: Context) -> str:
        calls.append(ctx.step)
        if ctx.step in broken:
            raise Fail("broken", retryable=False)
        return ctx.idempotency_key

    flow.add("a", work)
    flow.add("b", work, after="a")
    flow.add("c", work, after="b")
    flow.add("d", work)
    return flow, broken, calls


async def test_what_failed_and_all_after_it(engine: Engine) -> None:
    flow, broken, calls = shop()
    broken.add("b")
    run = await engine.start(flow, id="r")
    await engine.until(run, "failed")
    broken.clear()
    calls.clear()
    order = await run.retry()
    await engine.until_idle()
    assert calls == ["b", "c"]
    assert (run.status, run.failure) == ("completed", None)
    assert run.output == {"c": "r/c/1", "d": "r/d/1"}
    assert run.step("b").output == "r/b/2", "attempts go on being numbered"
    request = run.state.requests.retry
    assert request is not None
    assert request.id == order


async def test_one_step_and_all_after_it(engine: Engine) -> None:
    flow, _, calls = shop()
    run = await engine.start(flow, id="r")
    await engine.until(run, "completed")
    calls.clear()
    await run.retry("b")
    await engine.until_idle()
    assert calls == ["b", "c"]
    assert run.output == {"c": "r/c/2", "d": "r/d/1"}


@pytest.mark.parametrize("is_held", [False, True])
async def test_the_whole_run_under_way_has_its_time_again(engine: Engine, is_held: bool) -> None:  # noqa: FBT001
    flow = Workflow("slow", timeout="1h")
    flow.add("check", lambda: 1 // len(sound), on_error="hold")
    flow.wait_signal("go")
    sound = [] if is_held else [1]
    run = await engine.start(flow)
    await engine.advance("50m")
    assert run.step("check").status == ("held" if is_held else "completed")
    sound.append(1)
    await run.retry(whole=True)
    await engine.advance("59m")
    assert run.status == "waiting"
    await engine.advance("1m")
    assert (run.status, run.failure.code) == ("failed", "timeout")


async def test_the_whole_run_in_place(engine: Engine) -> None:
    flow, _, calls = shop()
    run = await engine.start(flow, {"n": 1}, id="r", tags=["vip"])
    await engine.until(run, "completed")
    calls.clear()
    await run.retry(whole=True)
    await engine.until_idle()
    assert sorted(calls) == ["a", "b", "c", "d"]
    assert (run.status, run.input, run.tags) == ("completed", {"n": 1}, ("vip",))
    assert run.state.attempt == 2, "it is another try of the graph"
    assert [event.type for event in run.events if event.type.startswith("run.")] == [
        "run.started", "run.completed", "run.retried", "run.completed",
    ]  # fmt: skip


async def test_it_may_fail_again_and_be_tried_again(engine: Engine) -> None:
    flow, broken, _ = shop()
    broken.add("b")
    run = await engine.start(flow)
    for attempt in (1, 2, 3):
        await engine.until(run, "failed")
        assert run.step("b").attempts == attempt
        await run.retry()
        await engine.until_idle()
    broken.clear()
    await run.retry()
    await engine.until_idle()
    assert run.status == "completed"


async def test_a_run_that_goes_on_is_retried_too(engine: Engine) -> None:
    flow = Workflow("flow")
    calls: list[str] = []

    def a() -> str:
        calls.append("a")
        return f"time {len(calls)}"

    flow.add("a", a)
    flow.wait_signal("go", after="a")
    flow.add("b", lambda a, go: [a, go])
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.retry("a")
    await engine.until_waiting(run)
    await engine.signal(run.id, "go", 1)
    await engine.until_idle()
    assert run.output == ["time 2", 1]


async def test_a_cancelled_run_is_taken_up_where_it_was(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.add("a", lambda: "a")
    flow.wait_signal("go", after="a")
    flow.add("b", lambda go: go, after="go")
    run = await engine.start(flow)
    await engine.until_waiting(run)
    await run.cancel("by mistake")
    await run.retry()
    await engine.until_waiting(run)
    await engine.signal(run.id, "go", "gone")
    await engine.until_idle()
    assert (run.status, run.output, engine.calls("a")) == ("completed", "gone", 1)


async def test_what_was_put_back_is_cancelled_with_the_run(engine: Engine) -> None:
    flow = Workflow("flow")
    flow.wait_signal("go")
    flow.add("b", lambda: 2, after="go")
    flow.add("c", lambda b: b, after="b")
    run = await engine.start(flow)
    await run.cancel_step("go")
    engine.fail("b")
    await run.retry()
    await engine.signal(run.id, "go")
    await engine.until(run, "failed")
    assert {name: step.status for name, step in run.steps.items()} == {
        "go": "completed", "b": "failed", "c": "cancelled"
    }  # fmt: skip
    assert "did not run before the run ended" in str(await run.why("c"))
    await run.retry()
    await engine.until(run, "completed")
    assert run.output == 2


async def test_a_retry_that_is_cancelled_before_it_began_can_be_retried(engine: Engine) -> None:
    flow = Workflow("flow", gate=Gate("one", at_once=1))
    flow.add("a", lambda: 1)
    flow.wait_signal("go", after="a")
    engine.fail("a")
    run = await engine.start(flow)
    await engine.until(run, "failed")
    other = await engine.start(flow)
    await engine.until_waiting(other)
    await run.retry()
    await run.cancel("not yet")
    assert (run.status, run.step("a").status, run.step("a").attempts) == ("cancelled", "cancelled", 0)
    await other.cancel()
    await run.retry()
    await engine.until_waiting(run)
    assert run.step("a").attempts == 2


async def test_a_group_that_was_reopened_ends_with_a_retry_that_is_cancelled_before_it_began(
    engine: Engine,
) -> None:
    flow = Workflow("flow", gate=Gate("one", at_once=1))
    a, b = flow.add("a", lambda: 1), flow.add("b", lambda: 2)
    flow.parallel("both", [a, b])
    flow.wait_signal("go", after="both")
    engine.fail("b")
    run = await engine.start(flow)
    await engine.until(run, "failed")
    other = await engine.start(flow)
    await engine.until_waiting(other)
    await run.retry()
    await run.cancel("not yet")
    assert (run.status, run.step("both").status, run.step("b").status) == ("cancelled",) * 3
    await other.cancel()
    await run.retry()
    await engine.until_waiting(run)
    assert (run.step("both").status, run.step("a").attempts, run.step("b").attempts) == ("completed", 1, 2)


async def test_what_was_undone_is_done_anew(engine: Engine) -> None:
    flow = Workflow("saga")
    done: list[str] = []
    broken = {"ship"}
    flow.add("reserve", lambda: done.append("reserve")).compensate(lambda: done.append("release"))

    @flow.step(after="reserve")
    def ship(ctx: Context) -> None:
        done.append("ship")
        if ctx.step in broken:
            raise Fail("broken", retryable=False)

    run = await engine.start(flow)
    await engine.until(run, "compensated")
    broken.clear()
    await run.retry()
    await engine.until_idle()
    assert run.status == "completed"
    assert done == ["reserve", "ship", "release", "reserve", "ship"]


async def test_members_of_each_that_completed_are_kept(engine: Engine) -> None:
    flow = Workflow("mails")
    bounced = {2}
    sent: list[int] = []

    @flow.each("input", concurrency=1)
    def mail(item: int) -> str:
        sent.append(item)
        if item in bounced:
            raise Fail("bounced", retryable=False)
        return f"sent {item}"

    run = await engine.start(flow, [0, 1, 2, 3])
    await engine.until(run, "failed")
    assert sent == [0, 1, 2]
    bounced.clear()
    sent.clear()
    await run.retry()
    await engine.until_idle()
    assert sent == [2, 3]
    assert run.output == ["sent 0", "sent 1", "sent 2", "sent 3"]
    assert run.step("mail[0]").attempts == 1


async def test_one_member_by_its_name(engine: Engine) -> None:
    flow = Workflow("mails")
    sent: list[int] = []

    @flow.each("input")
    def mail(item: int) -> int:
        sent.append(item)
        return len(sent)

    flow.add("end", lambda mail: mail)
    run = await engine.start(flow, [0, 1, 2])
    await engine.until(run, "completed")
    await run.retry("mail[1]")
    await engine.until_idle()
    assert sent == [0, 1, 2, 1]
    assert run.output == [1, 4, 3]


async def test_members_of_an_expansion_that_completed_are_kept(engine: Engine) -> None:
    flow = Workflow("scans")
    broken = {"two"}
    scanned: list[str] = []

    @flow.template
    def scan(item: str) -> str:
        scanned.append(item)
        if item in broken:
            raise Fail("broken", retryable=False)
        return item

    flow.add("all", lambda: Expand([scan.of(x, name=x) for x in ("one", "two")], concurrency=1))
    run = await engine.start(flow)
    await engine.until(run, "failed")
    broken.clear()
    await run.retry("all[two]")
    await engine.until_idle()
    assert scanned == ["one", "two", "two"]
    assert (run.output, engine.calls("all")) == (["one", "two"], 1)


async def test_a_child_gets_another_run(engine: Engine) -> None:
    small = Workflow("small")
    broken = {"only"}

    @small.step
    def only(ctx: Context) -> str:
        if ctx.step in broken:
            raise Fail("broken", retryable=False)
        return "well"

    flow = Workflow("flow")
    flow.child("kid", small)
    run = await engine.start(flow, id="p")
    await engine.until(run, "failed")
    broken.clear()
    await run.retry()
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "well")
    assert [child.status for child in run.children] == ["failed", "completed"]


async def test_hooks_are_called_for_the_new_end(engine: Engine) -> None:
    flow, broken, _ = shop()
    broken.add("b")
    told: list[str] = []
    flow.on_success(lambda: told.append("success"))
    flow.on_failure(lambda: told.append("failure"))
    run = await engine.start(flow)
    await engine.until(run, "failed")
    broken.clear()
    await run.retry()
    await engine.until_idle()
    assert told == ["failure", "success"]


async def test_the_time_of_the_run_begins_anew(engine: Engine) -> None:
    flow = Workflow("timed", timeout="1h")
    flow.wait_signal("go")
    run = await engine.start(flow)
    await engine.until(run, "failed")
    assert failure_of(run).code == "timeout"
    await engine.advance("1d")
    await run.retry()
    await engine.advance("30m")
    assert run.status == "waiting"
    await engine.signal(run.id, "go", "gone")
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "gone")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ({"step": "nothing"}, "unknown_step", "no step 'nothing'"),
        ({"step": "aa"}, "unknown_step", "is 'a' meant"),
        ({}, "nothing_to_retry", "name one"),
        ({"step": "a", "whole": True}, None, "not both"),
    ],
)
async def test_what_cannot_be_made_anew_is_refused(
    engine: Engine, arguments: dict[str, Any], code: str | None, words: str
) -> None:
    flow, _, _ = shop()
    run = await engine.start(flow)
    await engine.until(run, "completed")
    with pytest.raises(RejectedError, match=words) as refused:
        await run.retry(**arguments)
    assert code in (None, refused.value.code)
    assert run.status == "completed"


async def test_a_member_made_anew_beside_others_takes_no_place_that_somebody_has(engine: Engine) -> None:
    """One that had expanded and failed goes on, while those that came after it have all the places."""
    flow = Workflow("order")
    running: list[int] = []
    most: list[int] = []
    tries: list[str] = []

    @flow.template
    def part(item: str, ctx: Context) -> str:
        tries.append(ctx.step)
        if len(tries) == 1:
            raise Fail("down", retryable=False)
        return item

    @flow.each("input", concurrency=2, on_error="complete_all")
    async def every(item: int) -> Any:
        if item == 1:
            return Expand([part.of("x")])
        running.append(item)
        most.append(len(running))
        await asyncio.sleep(60)
        running.remove(item)
        return item

    run = await engine.start(flow, list(range(8)))
    await engine.advance("70s")
    assert run.step("every[1]").status == "failed"
    await run.retry("every[1][0]")
    engine.restart()
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", [0, ["x"], *range(2, 8)])
    assert max(most) == 2


async def test_what_was_undone_and_is_retried_in_part_ends_as_undone_again(engine: Engine) -> None:
    flow = Workflow("order")
    undone: list[str] = []
    flow.add("charge", lambda: 1).compensate(lambda: undone.append("charge"))
    flow.add("note", lambda: 2)

    @flow.step(after="charge")
    async def ship() -> None:
        await asyncio.sleep(1)
        raise Fail("lost", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "compensated"
    with checked():
        await run.retry("note")
        await engine.until_idle()
    assert (run.status, failure_of(run).code, undone) == ("compensated", "lost", ["charge"])
    assert run.step("note").attempts == 2
