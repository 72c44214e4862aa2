"""One attempt on a worker: what its function is given, and what is said of what it answered."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from pydantic import BaseModel
from waiting import eventually
from worker_site import value, working

from stream_durable import Context, Fail, Retry, Workflow
from stream_durable.core.failure import Failure
from stream_durable.core.messages import (
    AttemptCompleted,
    AttemptExpanded,
    AttemptFailed,
    AttemptFinished,
    AttemptHeartbeat,
    AttemptJumped,
    AttemptReturned,
    AttemptSkipped,
    AttemptStarted,
)
from stream_durable.sdk.answers import Expand, Finish, Jump, Skip, Snooze
from stream_durable.sdk.happened import Happened


class Receipt(BaseModel):
    number: str


def one(function: Any, **options: Any) -> Workflow:
    """A workflow whose step `a` is this function."""
    flow = Workflow("flow")
    flow.add("a", function, **options)
    flow.add("b", lambda given: None, after="a")
    return flow


async def end_of(flow: Workflow, step: str = "a", **fields: Any) -> Any:
    async with working(flow) as site:
        site.ask(step, **fields)
        return await site.end()


async def test_a_value_is_an_output() -> None:
    end = await end_of(one(lambda given: given + 1), input=1)

    assert isinstance(end, AttemptCompleted)
    assert (value(end.output), end.worker, end.changes, end.logs) == (2, "w", (), ())
    assert 0 < end.started <= end.finished


async def test_what_ends_is_counted_while_the_worker_works() -> None:
    async with working(one(lambda given: 1 // given)) as site:

        def counted(outcome: str) -> float | None:
            return site.metrics.registry.get_sample_value(
                "stream_durable_attempts_total", {"outcome": outcome}
            )

        async def is_counted() -> bool:
            return (counted("completed"), counted("failed")) == (2, 1)

        for number, given in enumerate((1, 0, 1)):
            site.ask("a", run=f"run-{number}", input=given)
        await site.ends(3)

        await eventually(is_counted, "the counters of attempts", seconds=60)


async def test_attempts_that_do_not_wait_are_made_by_few_tasks_and_those_that_wait_side_by_side() -> None:
    flow = Workflow("flow")
    tasks: list[int] = []
    slow: set[asyncio.Task[Any] | None] = set()
    all_under_way = asyncio.Barrier(40)

    @flow.step
    async def a() -> None:
        tasks.append(len(asyncio.all_tasks()))

    @flow.step(after="a")
    async def b() -> None:
        slow.add(asyncio.current_task())
        await all_under_way.wait()

    async with working(flow) as site:
        others = len(asyncio.all_tasks())
        for number in range(200):
            site.ask("a", run=f"run-{number}")
        await site.ends(200)
        for number in range(40):
            site.ask("b", run=f"run-{number}")
        await site.ends(240)

    assert max(tasks) < others + 20
    assert len(slow) == 40


async def test_what_a_function_leaves_in_context_variables_is_not_seen_by_others() -> None:
    flow = Workflow("flow")
    left: ContextVar[object] = ContextVar("left", default=None)
    given = ContextVar[object]("given")
    seen: list[object] = []

    class Proud:
        def __eq__(self, other: object) -> bool:
            raise TypeError("not to be compared")

        __hash__ = None  # type: ignore[assignment]

    given.set(Proud())

    @flow.step
    async def a() -> None:
        seen.append(left.get())
        left.set(Proud())
        given.set(Proud())

    async with working(flow, concurrency=1) as site:
        for number in range(50):
            site.ask("a", run=f"run-{number}")
        await site.ends(50)

    assert seen == [None] * 50


async def test_skip() -> None:
    end = await end_of(one(lambda: Skip("nothing to pack")))

    assert isinstance(end, AttemptSkipped)
    assert end.reason == "nothing to pack"


async def test_snooze_gives_the_attempt_back_with_a_delay() -> None:
    end = await end_of(one(lambda: Snooze("5m", "the shop is closed")))

    assert isinstance(end, AttemptReturned)
    assert (end.delay_ms, end.reason) == (300_000, "the shop is closed")


async def test_jump_and_finish_carry_an_output_of_any_type() -> None:
    jump = await end_of(one(lambda: Jump("b", Receipt(number="R-1"))))
    finish = await end_of(one(lambda: Finish([Receipt(number="R-2"), None])))

    assert isinstance(jump, AttemptJumped)
    assert (jump.to, value(jump.output)) == ("b", {"number": "R-1"})
    assert isinstance(finish, AttemptFinished)
    assert value(finish.output) == [{"number": "R-2"}, None]


async def test_expand_carries_what_each_added_step_is_made_for() -> None:
    flow = Workflow("flow")

    @flow.template
    async def scan(item: str) -> str:
        return item

    @flow.step
    async def a() -> Expand:
        first = scan.of("x", name="first")
        return Expand(
            [first, scan.of(Receipt(number="R"), after=first)], concurrency=2, on_error="complete_all"
        )

    end = await end_of(flow)

    assert isinstance(end, AttemptExpanded)
    assert [(s.of, s.name, value(s.item), s.after) for s in end.steps] == [
        ("scan", "first", "x", ()),
        ("scan", "", {"number": "R"}, ("first",)),
    ]
    assert (end.concurrency, end.complete_all) == (2, True)


async def test_an_answer_that_is_no_json_fails_the_attempt() -> None:
    end = await end_of(one(lambda: Finish(object())))

    assert isinstance(end, AttemptFailed)
    assert (end.failure.code, end.failure.retryable) == ("invalid_output", False)
    assert "the output of Finish does not fit: an object of type object is not JSON" in end.failure.message


async def test_an_output_that_would_pass_for_a_reference_is_refused() -> None:
    end = await end_of(one(lambda: {"$blob": [0, 0, 1, "00"]}))

    assert (end.failure.code, end.failure.retryable) == ("invalid_output", False)


@pytest.mark.parametrize("condition", [lambda given: given > 0, None])
async def test_a_step_whose_condition_says_no_is_skipped_without_being_called(condition: Any) -> None:
    called: list[int] = []

    async def slow(input: int) -> bool:  # noqa: A002
        return input > 0

    flow = one(lambda given: called.append(given) or None, when=condition or slow)
    async with working(flow) as site:
        site.ask("a", input=0)
        assert isinstance(await site.end(), AttemptSkipped)
        site.ask("a", input=1, attempt=2)
        skipped, completed = await site.ends(2)

    assert skipped.reason == "its condition is not met"
    assert isinstance(completed, AttemptCompleted)
    assert called == [1]


async def test_a_condition_that_fails_fails_the_attempt() -> None:
    end = await end_of(one(lambda given: None, when=lambda given: given["there"]), input={})

    assert (end.failure.code, end.failure.retryable) == ("KeyError", True)


async def test_a_timeout_that_a_function_decides() -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    end = await end_of(one(slow, timeout=lambda given: f"{given}ms"), input=20)

    assert (end.failure.code, end.failure.message) == ("timeout", "the attempt did not end within 20 ms")


async def test_a_timeout_that_is_no_duration() -> None:
    end = await end_of(one(lambda given: None, timeout=lambda given: given), input="soon")

    assert (end.failure.code, end.failure.retryable) == ("bad_timeout", False)
    assert "'soon' is not a duration" in end.failure.message


async def test_the_authors_own_backoff_gets_the_attempt_and_its_failure() -> None:
    def fails() -> None:
        raise Fail("rate_limited", details={"wait": 7})

    def backoff(attempt: int, failure: Any) -> str:
        return f"{attempt}h{failure.details['wait']}m"

    flow = one(fails, retry=Retry(9, backoff=backoff))
    async with working(flow) as site:
        site.ask("a", attempt=5, ordinal=2)
        end = await site.end()

    assert isinstance(end, AttemptFailed)
    assert end.delay_ms == 2 * 3_600_000 + 7 * 60_000


async def test_a_backoff_that_fails_hides_no_failure() -> None:
    def fails() -> None:
        raise ConnectionError("away")

    end = await end_of(one(fails, retry=Retry(9, backoff=lambda attempt, failure: 1 / 0)))

    assert (end.failure.code, end.delay_ms) == ("ConnectionError", None)
    assert [(line.level, line.text) for line in end.logs] == [
        ("error", "the policy's own delay is taken: backoff= failed: division by zero")
    ]


async def test_a_failure_that_is_not_tried_again_needs_no_delay() -> None:
    def fails() -> None:
        raise Fail("no", retryable=False)

    end = await end_of(one(fails, retry=Retry(9, backoff=lambda attempt, failure: 1 / 0)))

    assert (end.delay_ms, end.logs) == (None, ())


async def test_a_row_names_its_function() -> None:
    flow = Workflow("flow")

    @flow.step
    async def charge() -> str:
        return "R-1"

    @charge.compensate
    async def refund(charge: str, ctx: Context) -> str:
        return f"{ctx.idempotency_key} {charge}"

    end = await end_of(flow, "charge~compensate", function="charge~compensate", outputs={"charge": "R-1"})

    assert (end.step, value(end.output)) == ("charge~compensate", "run/charge~compensate/1 R-1")


async def test_a_member_gets_its_item() -> None:
    flow = Workflow("flow", input=list[str])

    @flow.each("input")
    async def resize(item: str) -> str:
        return item.upper()

    end = await end_of(flow, "resize[3]", function="resize", item="x")

    assert (end.step, value(end.output)) == ("resize[3]", "X")


async def test_a_hook_is_told_what_happened() -> None:
    flow, told = one(lambda: None), []

    @flow.on_failure
    async def tell(event: Happened) -> None:
        told.append(event)

    await end_of(flow, "~on_failure", happened={"status": "failed", "failure": {"code": "away"}})

    assert told == [Happened(run="run", workflow="flow", status="failed", failure=Failure("away"))]


async def test_what_an_attempt_changes_of_the_context_travels_with_its_answer() -> None:
    def counts(ctx: Context) -> Any:
        ctx.increment("n", ctx.get("by"))
        assert (ctx.tags, ctx.metadata) == (("vip",), {"by": "tom"})
        return ctx.get("n")

    end = await end_of(one(counts), context={"n": 40, "by": 2}, tags=("vip",), metadata={"by": "tom"})

    assert value(end.output) == 42
    assert [(c.kind, c.key, value(c.value)) for c in end.changes] == [("increment", "n", 2)]


async def test_changes_of_a_snoozed_attempt_are_said_and_those_of_a_failed_one_are_not() -> None:
    def snoozes(ctx: Context) -> Snooze:
        ctx.put("seen", 1)
        return Snooze("1m")

    def fails(ctx: Context) -> None:
        ctx.put("seen", 1)
        raise ValueError

    assert len((await end_of(one(snoozes))).changes) == 1
    assert (await end_of(one(fails))).changes == ()


async def test_an_output_that_was_not_asked_for_is_an_error_that_says_how_to() -> None:
    def reads(ctx: Context) -> Any:
        return ctx.output("y") + ctx.output("z", 1) + ctx.output("z")

    end = await end_of(one(reads), outputs={"y": 1})

    assert (end.failure.code, end.failure.retryable) == ("no_output", False)
    assert "name it in the step's reads=" in end.failure.message


async def test_progress_travels_with_the_next_heartbeat() -> None:
    release = asyncio.Event()

    async def works(ctx: Context) -> None:
        ctx.progress(50, "packed")
        await release.wait()

    async with working(one(works), started_after_ms=10, heartbeat_ms=100, lease_ms=1_000) as site:
        site.ask("a")
        while not any(isinstance(said, AttemptHeartbeat) for said in site.said):
            await site.changed()
        release.set()
        await site.end()

    started, beat = site.said[:2]
    assert isinstance(started, AttemptStarted)
    assert isinstance(beat, AttemptHeartbeat)
    assert (beat.percent, beat.label) == (50, "packed")


async def test_the_higher_priority_goes_first_and_within_one_the_older() -> None:
    order: list[str] = []
    begun, release = asyncio.Event(), asyncio.Event()

    async def works(ctx: Context) -> None:
        order.append(ctx.run_id)
        begun.set()
        if ctx.run_id == "first":
            await release.wait()

    async with working(one(works), concurrency=1) as site:
        site.ask("a", run="first")
        await begun.wait()
        # A worker takes no more from the log than it has places for, beyond what came together.
        for run, priority in [
            ("low", -5),
            ("b", 0),
            ("high", 9),
            ("c", 0),
            ("higher", 10),
            ("d", 0),
            ("high2", 9),
        ]:
            site.ask("a", run=run, priority=priority)
        for _ in range(20):
            await asyncio.sleep(0)
        release.set()
        await site.ends(8)

    assert order == ["first", "higher", "high", "high2", "b", "c", "d", "low"]


async def test_a_cancelled_attempt_says_nothing_unless_it_must() -> None:
    cancelled, begun = asyncio.Event(), asyncio.Event()

    async def works() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with working(one(works)) as site:
        site.ask("a")
        await begun.wait()
        site.cancel("a")
        await cancelled.wait()
        await site.all_done()
        assert site.said == []

        begun.clear()
        site.ask("a", attempt=2)
        await begun.wait()
        site.cancel("a", attempt=2, must_answer=True)
        site.cancel("a", attempt=2, must_answer=True)
        end = await site.end()
        await site.all_done()

    assert site.said == [end]
    assert (end.attempt, end.failure.code, end.failure.retryable) == (2, "cancelled", False)


@pytest.mark.parametrize(
    ("again", "calls"),
    [({}, 1), ({"redriven": True}, 2), ({"returns": 1}, 2), ({"losses": 1}, 2), ({"generation": 1}, 2)],
)
async def test_a_command_that_comes_again_before_its_result_is_acknowledged(
    again: dict[str, Any], calls: int
) -> None:
    called: list[str] = []
    flow = Workflow("flow")
    flow.add("a", lambda: called.append("a"))
    flow.add("b", lambda: called.append("b"))

    async def is_next_called() -> bool:
        return "b" in called

    async def is_called_so_often() -> bool:
        return called.count("a") >= calls

    async with working(flow) as site:
        site.publisher.is_holding = True
        site.ask("a")
        await site.end()
        site.publisher.is_holding = False
        site.ask("a", **again)
        site.ask("b")
        try:
            await eventually(is_next_called, "the command after the repeated one is executed", seconds=20)
        finally:
            site.publisher.acknowledge()
        # After a loss it is announced first, and its announcement waits behind the result.
        await eventually(is_called_so_often, f"{calls} calls", seconds=20)
        await site.all_done()

    assert called.count("a") == calls


async def test_a_queued_attempt_that_is_cancelled_answers_without_being_called() -> None:
    begun, release, called = asyncio.Event(), asyncio.Event(), []

    async def works(ctx: Context) -> None:
        called.append(ctx.run_id)
        begun.set()
        await release.wait()

    async with working(one(works), concurrency=1) as site:
        site.ask("a", run="r1")
        await begun.wait()
        site.ask("a", run="r2")
        site.cancel("a", run="r2", must_answer=True)
        first = await site.end()
        release.set()
        _, second = await site.ends(2)
        await site.all_done()

    assert (first.key, first.failure.code, called) == ("r2", "cancelled", ["r1"])
    assert (second.key, type(second)) == ("r1", AttemptCompleted)


async def test_nobody_answers_for_an_attempt_that_another_worker_may_be_at() -> None:
    async with working(one(lambda: None)) as site:
        site.cancel("a", attempt=7, must_answer=True)
        await site.all_done()
        site.ask("a")
        end = await site.end()

    # The first that was said is about the attempt that is known.
    assert end.attempt == 1


async def test_a_function_in_a_thread_is_asked_to_stop_and_its_own_answer_counts() -> None:
    begun = threading.Event()

    def charges(ctx: Context) -> str:
        begun.set()
        while not ctx.cancelled:
            pass
        return "went through"

    async with working(one(charges)) as site:
        site.ask("a")
        await asyncio.to_thread(begun.wait)
        site.cancel("a", must_answer=True)
        end = await site.end()

    assert isinstance(end, AttemptCompleted)
    assert value(end.output) == "went through"


async def test_a_function_that_survives_its_cancellation_is_heard_and_the_next_is_not_harmed() -> None:
    begun = asyncio.Event()

    async def stubborn(input: str) -> str:  # noqa: A002
        if input == "stay":
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "went through"
        raise asyncio.CancelledError

    async with working(one(stubborn), concurrency=1) as site:
        site.ask("a", input="stay")
        await begun.wait()
        site.ask("a", attempt=2, input="raise")
        site.cancel("a", must_answer=True)
        first, second = await site.ends(2)

    assert value(first.output) == "went through"
    assert (second.attempt, second.failure.code) == (2, "CancelledError")


async def test_a_condition_in_a_thread_is_the_last_that_a_cancelled_attempt_calls() -> None:
    begun, release, called = threading.Event(), threading.Event(), []

    def condition() -> bool:
        begun.set()
        return release.wait(20)

    async def works() -> None:
        called.append(1)

    async with working(one(works, when=condition)) as site:
        site.ask("a")
        await asyncio.to_thread(begun.wait)
        site.cancel("a", must_answer=True)
        for _ in range(20):
            await asyncio.sleep(0)
        release.set()
        end = await site.end()

    assert (end.failure.code, called) == ("cancelled", [])


async def test_added_steps_and_changes_have_to_fit_into_one_message() -> None:
    flow = Workflow("flow")

    @flow.template
    async def scan(item: str) -> str:
        return item

    @flow.step
    async def a(ctx: Context) -> Expand:
        ctx.put("much", "y" * 500_000)
        return Expand([scan.of("x" * 500_000)])

    end = await end_of(flow)

    assert (end.failure.code, end.failure.retryable) == ("output_too_large", False)
    assert "of steps to be added" in end.failure.message
