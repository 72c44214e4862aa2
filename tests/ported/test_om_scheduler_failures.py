"""What users of a scheduler's workflow module rely on when something fails, or takes too long.

Left out: dead letters with a time to live (C8) and handlers of telemetry (H7).
"""

# ruff: noqa: A002, A006 - `input` is what authors write

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from stream_durable import (
    Breaker,
    Context,
    Fail,
    Failure,
    Happened,
    Retry,
    Workflow,
)
from stream_durable.testing.engine import Engine


async def waits_between_attempts(engine: Engine, retry: Retry) -> list[int]:
    """Return the seconds between the attempts of a step that never succeeds."""
    flow = Workflow("backing_off")
    begun: list[float] = []

    @flow.step(retry=retry)
    async def never() -> None:
        begun.append(asyncio.get_running_loop().time())
        raise Fail("down")

    run = await engine.start(flow, id="backing-off")
    await engine.until(run, "failed")
    assert len(begun) == run.step("never").attempts
    return [round(later - sooner) for sooner, later in zip(begun, begun[1:], strict=False)]


# Retries


async def test_a_fixed_wait(engine: Engine) -> None:
    assert await waits_between_attempts(engine, Retry(4, backoff="fixed", base="5s")) == [5, 5, 5]


async def test_a_linear_wait(engine: Engine) -> None:
    retry = Retry(6, backoff="linear", base="10s", cap="40s")
    assert await waits_between_attempts(engine, retry) == [10, 20, 30, 40, 40]


async def test_an_exponential_wait(engine: Engine) -> None:
    retry = Retry(7, backoff="exponential", base="1s", cap="10s")
    assert await waits_between_attempts(engine, retry) == [1, 2, 4, 8, 10, 10]


async def test_a_wait_that_a_function_decides(engine: Engine) -> None:
    """There the function gets the base; here it gets the failure, from which a server's wish can be read."""

    def backoff(attempt: int, failure: Failure) -> str:
        assert failure.code == "down"
        return f"{attempt * attempt}s"

    assert await waits_between_attempts(engine, Retry(4, backoff=backoff)) == [1, 4, 9]


async def test_jitter_makes_waits_shorter(engine: Engine) -> None:
    retry = Retry(4, backoff="fixed", base="100s", cap="5m", jitter=0.5)
    waits = await waits_between_attempts(engine, retry)
    assert all(50 <= wait <= 101 for wait in waits)
    assert len(set(waits)) > 1


@pytest.mark.parametrize(
    ("retry", "error", "attempts"),
    [
        (Retry(3, base="1s", on=("timeout", ConnectionError)), ConnectionError("reset"), 3),
        (Retry(3, base="1s", on=("timeout", ConnectionError)), ValueError("bad"), 1),
        (Retry(3, base="1s", not_on=("not_found", ValueError)), Fail("not_found"), 1),
        (Retry(3, base="1s", not_on=("not_found", ValueError)), Fail("busy"), 3),
        (Retry(3, base="1s"), Fail("final", retryable=False), 1),
        (None, Fail("busy"), 1),
    ],
)
async def test_which_failures_are_tried_again(
    engine: Engine, retry: Retry | None, error: Exception, attempts: int
) -> None:
    flow = Workflow("selective")

    @flow.step(retry=retry)
    async def step() -> None:
        raise error

    run = await engine.start(flow)
    await engine.until(run, "failed")

    assert run.step("step").attempts == attempts


async def test_a_workflow_sets_the_retry_of_steps_that_have_none(engine: Engine) -> None:
    flow = Workflow("defaults", retry=Retry(3, base="1s"))

    async def work(ctx: Context) -> int:
        if ctx.attempt < 2:
            raise Fail("busy")
        return ctx.attempt

    flow.add("by_default", work)
    flow.add("own", work, retry=Retry(1), on_error="continue")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.step("by_default").output == 2
    assert run.step("own").status == "failed"


# Time-outs


async def test_a_time_out_that_depends_on_the_work(engine: Engine) -> None:
    flow = Workflow("sized")

    @flow.step
    async def measure(input: int) -> int:
        return input

    def limit(measure: int) -> str:
        return "10m" if measure > 100 else "10s"

    @flow.step(timeout=limit, on_error="continue")
    async def transform(measure: int) -> int:
        await asyncio.sleep(60)
        return measure

    small = await engine.start(flow, 1)
    large = await engine.start(flow, 1_000)
    await engine.until_idle()

    failure = small.step("transform").failure
    assert failure is not None
    assert failure.code == "timeout"
    assert large.step("transform").output == 1_000


async def test_a_step_has_a_time_for_all_its_attempts(engine: Engine) -> None:
    flow = Workflow("in_total")

    @flow.step(retry=Retry(100, backoff="fixed", base="10s"), total="1m")
    async def never() -> None:
        raise Fail("down")

    run = await engine.start(flow)
    await engine.advance("2m")
    await engine.until_idle()

    assert run.status == "failed"
    assert 5 <= run.step("never").attempts <= 7


# What a failure does to the run


def with_optional(on_error: Literal["fail", "skip", "continue"]) -> Workflow:
    flow = Workflow("optional")

    @flow.step(on_error=on_error, retry=Retry(2, base="1s"))
    async def optional() -> str:
        raise Fail("down", "no answer")

    @flow.step
    async def then(optional: str | None) -> str:
        return f"went on with {optional}"

    return flow


async def test_a_critical_step_fails_the_run(engine: Engine) -> None:
    run = await engine.start(with_optional("fail"))
    await engine.until_idle()

    assert run.status == "failed"
    assert run.step("then").attempts == 0


async def test_an_optional_step_is_skipped(engine: Engine) -> None:
    run = await engine.start(with_optional("skip"))
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "went on with None")
    assert run.step("optional").status == "skipped"
    assert run.step("optional").attempts == 2
    failure = run.step("optional").failure
    assert failure is not None
    assert (failure.code, failure.message) == ("down", "no answer")


async def test_a_step_that_may_fail_is_on_record_as_failed(engine: Engine) -> None:
    run = await engine.start(with_optional("continue"))
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "went on with None")
    assert run.step("optional").status == "failed"


# Handlers


def robust() -> tuple[Workflow, list[str]]:
    flow = Workflow("robust", retry=Retry(2, base="1s"))
    told: list[str] = []

    @flow.step(into="file")
    async def prepare() -> str:
        return "/tmp/x"

    @flow.step(after=prepare)
    async def risky(input: dict[str, Any] | None, ctx: Context) -> str:
        if input is None:
            raise ValueError(f"attempt {ctx.attempt}")
        await asyncio.sleep(input["seconds"])
        return "well"

    @flow.on_attempt_fail
    async def attempt(happened: Happened) -> None:
        assert happened.failure is not None
        told.append(f"{happened.step} {happened.attempt}: {happened.failure.message}")

    @flow.on_success
    async def success(ctx: Context) -> None:
        told.append(f"success with {ctx.get('file')}")

    @flow.on_failure
    async def failure(happened: Happened, ctx: Context) -> None:
        assert happened.failure is not None
        assert happened.failure.trace is not None
        assert "raise ValueError" in happened.failure.trace
        told.append(f"{happened.step} failed with {happened.failure.code}; clean up {ctx.get('file')}")

    @flow.on_cancel
    async def cancel(happened: Happened, ctx: Context) -> None:
        told.append(f"{happened.status}: {happened.reason}; clean up {ctx.get('file')}")

    return flow, told


async def test_handlers_are_told_of_each_attempt_and_of_the_failure(engine: Engine) -> None:
    flow, told = robust()
    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert told == [
        "risky 1: attempt 1",
        "risky 2: attempt 2",
        "risky failed with ValueError; clean up /tmp/x",
    ]


async def test_a_handler_is_told_of_success(engine: Engine) -> None:
    flow, told = robust()
    run = await engine.start(flow, {"seconds": 1})
    await engine.until_idle()

    assert run.status == "completed"
    assert told == ["success with /tmp/x"]


async def test_a_handler_is_told_of_a_cancel_and_its_reason(engine: Engine) -> None:
    flow, told = robust()
    run = await engine.start(flow, {"seconds": 3600})
    await engine.advance("10s")
    await run.cancel("user_requested")
    await engine.until_idle()

    assert run.status == "cancelled"
    assert told == ["cancelled: user_requested; clean up /tmp/x"]


async def test_a_handler_that_fails_is_tried_again(engine: Engine) -> None:
    flow = Workflow("flaky_handler")
    flow.add("a", lambda: 1)
    tries: list[int] = []

    @flow.on_success(retry=Retry(3, base="1m"))
    async def tell(ctx: Context) -> None:
        tries.append(ctx.attempt)
        if ctx.attempt < 3:
            raise ConnectionError("the pager is down")

    run = await engine.start(flow)
    await engine.until(run, "completed")

    assert tries == [1, 2, 3]


# Compensation


def payment(  # noqa: C901 - of its steps, each is simple
    fails_at: str, *, broken: tuple[str, ...] = ()
) -> tuple[Workflow, list[str]]:
    """Reserve, charge, order, and tell: a saga whose last step cannot be undone."""
    flow = Workflow("payment")
    done: list[str] = []

    def undone(what: str) -> None:
        done.append(f"undo {what}")
        if what in broken:
            raise Fail("cannot", f"cannot undo {what}")

    def check(name: str) -> None:
        if name == fails_at:
            raise Fail("broken", f"{name} is broken", retryable=False)
        done.append(name)

    @flow.step(into="reservation")
    async def reserve() -> str:
        check("reserve")
        return "r-1"

    @reserve.compensate
    async def release(reserve: str) -> None:
        assert reserve == "r-1"
        undone("reserve")

    @flow.step(after=reserve)
    async def charge() -> str:
        check("charge")
        return "p-1"

    @charge.compensate(retry=Retry(3, base="1s"))
    async def refund(charge: str, reserve: str, ctx: Context) -> str:
        assert ctx.get("reservation") == "r-1"
        undone("charge")
        return f"refunded {charge}"

    @flow.step(after=charge)
    async def order() -> str:
        check("order")
        return "o-1"

    @order.compensate
    async def cancel_order(order: str) -> None:
        undone("order")

    @flow.step(after=order)
    async def tell() -> None:
        check("tell")

    @flow.on_failure
    async def last(happened: Happened) -> None:
        done.append(f"handler: {happened.status}")

    return flow, done


async def test_what_was_done_is_undone_newest_first_and_then_the_handler_is_told(engine: Engine) -> None:
    flow, done = payment("tell")
    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "compensated"
    assert done[:3] == ["reserve", "charge", "order"]
    assert done[3:] == ["undo order", "undo charge", "undo reserve", "handler: compensated"]
    assert run.failure is not None
    assert (run.failure.code, run.failure.step) == ("broken", "tell"), "why it failed is still known"
    assert {run.step(name).status for name in ("reserve", "charge", "order")} == {"compensated"}
    assert run.step("charge~compensate").output == "refunded p-1"


async def test_only_what_completed_is_undone(engine: Engine) -> None:
    flow, done = payment("charge")
    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "compensated"
    assert done == ["reserve", "undo reserve", "handler: compensated"]
    assert run.step("charge").status == "failed"


async def test_a_run_with_nothing_to_undo_just_fails(engine: Engine) -> None:
    flow, done = payment("reserve")
    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "failed"
    assert done == ["handler: failed"]


async def test_one_thing_that_cannot_be_undone_does_not_stop_the_rest(engine: Engine) -> None:
    flow, done = payment("tell", broken=("charge",))
    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "compensation_failed"
    assert done[3:] == [
        "undo order", "undo charge", "undo charge", "undo charge", "undo reserve",
        "handler: compensation_failed",
    ]  # fmt: skip
    assert run.step("order").status == run.step("reserve").status == "compensated"
    assert run.step("charge").status == "completed"
    failure = run.step("charge~compensate").failure
    assert failure is not None
    assert failure.message == "cannot undo charge"


async def test_a_cancel_undoes_what_was_done_only_if_asked(engine: Engine) -> None:
    flow = Workflow("cancelled_saga")
    done: list[str] = []

    @flow.step
    async def reserve() -> str:
        return "r-1"

    @reserve.compensate
    async def release() -> None:
        done.append("released")

    flow.wait_signal("paid", after=reserve)
    plain = await engine.start(flow, id="plain")
    undoing = await engine.start(flow, id="undoing")
    await engine.until_waiting(plain)
    await engine.until_waiting(undoing)

    await plain.cancel("changed my mind")
    await engine.until_idle()
    assert (plain.status, done) == ("cancelled", [])

    await undoing.cancel("changed my mind", compensate=True)
    await engine.until_idle()
    assert (undoing.status, done) == ("compensated", ["released"])


async def test_a_charge_under_way_when_the_run_fails_is_undone_if_it_went_through(engine: Engine) -> None:
    flow = Workflow("under_way")
    done: list[str] = []

    @flow.step
    async def charge() -> str:
        # An answer of the bank that is on its way cannot be called back.
        with_bank = asyncio.ensure_future(asyncio.sleep(5))
        try:
            await asyncio.shield(with_bank)
        except asyncio.CancelledError:
            await with_bank
        done.append("charged")
        return "p-1"

    @charge.compensate
    async def refund(charge: str) -> None:
        done.append(f"refunded {charge}")

    @flow.step
    async def stock() -> None:
        await asyncio.sleep(1)
        raise Fail("out_of_stock", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "compensated"
    assert done == ["charged", "refunded p-1"]


async def test_undoing_comes_before_the_graph_is_tried_again(engine: Engine) -> None:
    flow = Workflow("critical_saga", restart=Retry(2, base="1m"))
    done: list[str] = []

    @flow.step
    async def reserve() -> None:
        done.append("reserve")

    @reserve.compensate
    async def release() -> None:
        done.append("release")

    @flow.step(after=reserve)
    async def use() -> None:
        if done.count("reserve") < 2:
            raise Fail("broken", retryable=False)
        done.append("use")

    @flow.on_failure
    async def tell() -> None:
        done.append("told")

    run = await engine.start(flow)
    await engine.until(run, "completed")

    assert done == ["reserve", "release", "reserve", "use"], "only of the last failure anybody is told"


async def test_each_try_of_the_graph_has_all_attempts_of_its_steps(engine: Engine) -> None:
    flow = Workflow("tries_and_attempts", restart=Retry(3, base="1s"))
    calls: list[int] = []

    @flow.step(retry=Retry(2, base="1s"))
    async def step(ctx: Context) -> None:
        calls.append(ctx.attempt)
        raise Fail("down")

    run = await engine.start(flow)
    await engine.until(run, "failed")

    assert calls == [1, 2, 3, 4, 5, 6]
    assert run.state.attempt == 3


async def test_each_try_of_the_graph_has_children_and_waits_of_its_own(engine: Engine) -> None:
    flow = Workflow("tries_and_children", restart=Retry(2, base="1s"))
    child = Workflow("child_of_a_try")
    child.wait_signal("go")
    tries: list[str] = []
    flow.child("kid", child)

    @flow.step
    async def fail_once(kid: str) -> str:
        tries.append(kid)
        if len(tries) < 2:
            raise Fail("broken", retryable=False)
        return kid

    run = await engine.start(flow, id="p")
    await engine.until_idle()
    [first] = run.children
    await engine.signal(first.id, "go", "first")
    await engine.until_waiting(run)

    assert [each.status for each in run.children] == ["completed", "waiting"]
    second = run.children[1]
    await engine.signal(second.id, "go", "second")
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", "second")
    assert tries == ["first", "second"]


# Circuit breakers


async def test_a_breaker_holds_attempts_back_until_the_dependency_may_be_well_again(engine: Engine) -> None:
    flow = Workflow("guarded")
    bank = Breaker("bank", failures=3, window="1m", reset="30s")
    calls: list[float] = []

    @flow.step(breaker=bank, retry=Retry(10, backoff="fixed", base="1s"))
    async def charge() -> str:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) <= 3:
            raise ConnectionError("no answer")
        return "paid"

    run = await engine.start(flow)
    await engine.advance("10s")
    assert len(calls) == 3, "the breaker is open"

    await engine.advance("1m")
    await engine.until_idle()
    assert (run.status, run.output) == ("completed", "paid")
    assert calls[3] - calls[2] >= 29


async def test_a_breaker_is_shared_by_all_that_name_it(engine: Engine) -> None:
    bank = Breaker("shared_bank", failures=2, window="1m", reset="30s")
    failing, other = Workflow("failing"), Workflow("other")
    paid: list[str] = []

    def fails() -> None:
        raise ConnectionError("no answer")

    failing.add("charge", fails, breaker=bank, retry=Retry(2, base="1s"))
    other.add("refund", lambda: paid.append("refund"), breaker=bank)

    first = await engine.start(failing)
    await engine.until(first, "failed")
    second = await engine.start(other)
    await engine.advance("5s")
    assert (second.status, paid) == ("running", [])

    await engine.advance("30s")
    assert (second.status, paid) == ("completed", ["refund"])
