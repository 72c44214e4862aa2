"""C12, end to end: a step that has failed for good is held until a person decides."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Context, Expand, Fail, Retry, Workflow
from stream_durable.client import RunFilter
from stream_durable.core.definition.nodes import encode_definition
from stream_durable.core.errors import RejectedError
from stream_durable.sdk.errors import DefinitionError
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str


class Receipt(BaseModel):
    number: str
    amount: float


def shop(**options: Any) -> Workflow[Order, Any]:
    flow = Workflow("order", input=Order, **options)

    @flow.step(on_error="hold", retry=Retry(2, base="1s"))
    def charge(order: Order) -> Receipt:
        return Receipt(number=f"R-{order.id}", amount=9.5)

    @flow.step
    def ship(charge: Receipt) -> str:
        return f"shipped for {charge.number}"

    return flow


async def held(engine: Engine, flow: Workflow[Order, Any], times: int = 2) -> Any:
    engine.fail("charge", times=times, error=Fail("declined", "the bank says no"))
    run = await engine.start(flow, Order(id="42"))
    await engine.until_idle()
    return run


async def test_after_its_last_attempt_a_step_needs_review(engine: Engine) -> None:
    run = await held(engine, shop())
    assert (run.status, run.state.needs_review) == ("waiting", ("charge",))
    step = run.step("charge")
    assert (step.status, step.attempts, step.failure.code) == ("held", 2, "declined")
    assert step.waits_for == ("a person's review, for it has failed: the bank says no",)
    assert run.step("ship").status == "pending"
    await engine.advance("30d")
    assert run.step("charge").status == "held"
    assert [event.type for event in run.events] == ["run.started", "step.retrying", "step.held"]


async def test_a_person_retries_with_all_attempts(engine: Engine) -> None:
    run = await held(engine, shop(), times=3)
    await engine.advance("1m")
    await run.retry("charge", reason="the bank is back", by="tom")
    await engine.until_idle()
    assert run.output == "shipped for R-42" and run.step("charge").attempts == 4
    [review] = run.state.reviews
    assert (review.step, review.decision, review.by, review.reason) == (
        "charge", "retry", "tom", "the bank is back",
    )  # fmt: skip
    assert review.failure is not None and review.failure.code == "declined" and review.held < review.at
    assert run.state.requests.retry.by == "tom"


async def test_a_person_completes_with_a_value_of_the_steps_type(engine: Engine) -> None:
    run = await held(engine, shop())
    with pytest.raises(RejectedError, match="the output of step 'charge' does not fit: number") as caught:
        await run.complete_step("charge", {"amount": 9.5})
    assert caught.value.code == "invalid_output" and run.step("charge").status == "held"
    await run.complete_step("charge", Receipt(number="R-7", amount=1.0), by="tom", reason="paid in cash")
    await engine.until_idle()
    assert run.output == "shipped for R-7"
    assert [(one.decision, one.by) for one in run.state.reviews] == [("complete", "tom")]


async def test_a_person_fails_skips_or_cancels(engine: Engine) -> None:
    flow = shop()
    failed = await held(engine, flow)
    await failed.fail_step("charge", by="tom")
    assert failed.status == "failed" and failed.failure.code == "declined"
    other = await held(engine, flow)
    await other.fail_step("charge", Fail("stolen", "the card is stolen"), by="tom")
    assert other.failure.code == "stolen"
    cancelled = await held(engine, flow)
    await cancelled.cancel("enough", by="tom")
    assert cancelled.status == "cancelled"
    [review] = cancelled.state.reviews
    assert (review.decision, review.by, review.reason) == ("cancel", "tom", "enough")


async def test_a_skipped_step_is_passed_over(engine: Engine) -> None:
    flow = Workflow("w")
    first = flow.add("first", lambda: 1, on_error="hold")
    flow.add("second", lambda: 2, after=first)
    engine.fail("first")
    run = await engine.start(flow)
    await run.skip_step("first", "not needed", by="tom")
    await engine.until_idle()
    assert run.output == 2 and run.state.reviews[0].decision == "skip"


async def test_the_time_of_the_run_stands_still(engine: Engine) -> None:
    run = await held(engine, shop(timeout="1h"))
    assert run.state.due is None
    await engine.advance("5h")
    assert run.status == "waiting"
    engine.fail("charge", times=2)
    await run.retry("charge")
    due = run.state.due
    assert due is not None and 3_590 < (due - engine.now).total_seconds() <= 3_600


async def test_the_time_of_another_wait_goes_on(engine: Engine) -> None:
    flow = shop()
    flow.wait_signal("go", timeout="1h", on_timeout="late")
    run = await held(engine, flow)
    await engine.advance("1h")
    assert run.step("go").output == "late" and run.step("charge").status == "held"


async def test_kept_calls_are_kept(engine: Engine) -> None:
    calls = []
    flow = Workflow("w")

    @flow.step(on_error="hold")
    async def work(ctx: Context[None]) -> str:
        paid = await ctx.once("pay", lambda: calls.append(1) or "paid")
        if len(calls) == 1 and ctx.attempt == 1:
            raise Fail("broken", "after paying")
        return paid

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("work").status == "held"
    await run.retry()
    await engine.until_idle()
    assert run.output == "paid" and calls == [1]


async def test_kept_calls_are_kept_however_often_somebody_tries_again(engine: Engine) -> None:
    calls = []
    flow = Workflow("w")

    @flow.step(on_error="hold")
    async def work(ctx: Context[None]) -> str:
        paid = await ctx.once("pay", lambda: calls.append(1) or "paid")
        if ctx.attempt < 3:
            raise Fail("broken", "after paying")
        return paid

    run = await engine.start(flow)
    for attempt in (1, 2):
        await engine.until_idle()
        assert (run.step("work").status, run.step("work").attempts) == ("held", attempt)
        engine.restart()
        await run.retry("work")
    await engine.until_idle()
    assert run.output == "paid" and calls == [1]


async def test_waits_questions_and_children(engine: Engine) -> None:
    small = Workflow("small", output=int)
    small.add("only", lambda: 3)
    flow = Workflow("w")
    flow.wait_signal("go", timeout="1h", on_error="hold")
    flow.ask("stars", choices=["one", "two"], timeout="1h", on_error="hold")
    flow.child("kid", small, on_error="hold")
    engine.fail("only")
    run = await engine.start(flow)
    await engine.advance("1h")
    assert run.state.needs_review == ("go", "stars", "kid")
    with pytest.raises(RejectedError, match="is held, for example since its time-out") as caught:
        await engine.answer(run, "stars", "two")
    assert caught.value.code == "not_waiting"
    with pytest.raises(RejectedError, match="stars"):
        await run.complete_step("stars", "three")
    await run.complete_step("stars", "two")
    with pytest.raises(RejectedError, match="kid"):
        await run.complete_step("kid", "three")
    await run.retry("kid")
    await engine.until_idle()
    await run.retry("go")
    await engine.signal(run, "go", 1)
    assert await run.result() == {"go": 1, "stars": "two", "kid": 3}


async def test_members_of_groups(engine: Engine) -> None:
    flow = Workflow("w", input=list[int])

    @flow.each("input", on_error="hold")
    def double(item: int) -> int:
        return 2 * item

    one = flow.add("one", lambda: 1)
    two = flow.add("two", lambda: 2, on_error="skip")
    flow.parallel("both", [one, two], on_error="hold")
    engine.fail("double[1]")
    engine.fail("one")
    engine.fail("two")
    run = await engine.start(flow, [1, 2, 3])
    await engine.until_idle()
    assert run.state.needs_review == ("one", "double[1]")
    with pytest.raises(RejectedError, match="invalid|does not fit"):
        await run.complete_step("double[1]", "four")
    await run.complete_step("double[1]", 5)
    await run.retry("one")
    await engine.until_idle()
    assert run.output["double"] == [2, 5, 6]


async def test_a_template_is_held(engine: Engine) -> None:
    flow = Workflow("w")

    @flow.template(on_error="hold")
    def leaf(item: int) -> int:
        return item

    @flow.step
    def spread() -> Expand:
        return Expand([leaf.of(1), leaf.of(2)])

    engine.fail("spread[1]")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.state.needs_review == ("spread[1]",)
    await run.retry()
    await engine.until_idle()
    assert run.output == [1, 2]


async def test_lists_and_requests_to_many_runs(engine: Engine) -> None:
    flow = shop()
    run = await held(engine, flow)
    other = await engine.start(flow, Order(id="43"))
    await engine.until_idle()
    page = await engine.list(RunFilter(needs_review=True))
    assert [(one.id, one.needs_review) for one in page.runs] == [(run.id, 1)]
    assert await engine.retry_all(RunFilter(needs_review=True), by="tom", reason="all") == 1
    await engine.until_idle()
    assert run.status == other.status == "completed"
    assert [one.by for one in run.state.reviews] == ["tom"]
    assert (await engine.list(RunFilter(needs_review=True))).runs == []


async def test_only_a_held_step_is_decided_about(engine: Engine) -> None:
    run = await engine.start(shop(), Order(id="42"))
    await engine.until_idle()
    with pytest.raises(RejectedError, match="charge"):
        await run.complete_step("charge", {"number": "R", "amount": 1})


async def test_a_person_changes_the_run_before_it_goes_on(engine: Engine) -> None:
    flow = Workflow("order", input=Order)
    seen: list[str] = []

    @flow.step(on_error="hold", timeout="10s", retry=Retry(1, backoff="fixed", base="30s"))
    async def charge(order: Order, ctx: Context[Order]) -> str:
        seen.append(f"{order.id} {ctx.get('account', 'none')}")
        if order.id != "43":
            raise Fail("declined", "no such order")
        return order.id

    run = await engine.start(flow, Order(id="42"))
    await engine.until_idle()
    with pytest.raises(RejectedError, match="the input of workflow 'order' does not fit: id") as caught:
        await run.change(input={"id": 7})
    assert caught.value.code == "invalid_input" and run.state.changes == ()
    order = await run.change(input=Order(id="43"), context={"account": "DE1"}, by="tom", reason="wrong")
    assert await run.change(step="charge", attempts=4, timeout="2m", total="1h", by="tom", id="c2") == "c2"
    assert run.status == "waiting"
    await run.retry("charge")
    await engine.until_idle()
    assert (run.output, seen, run.input) == ("43", ["42 none", "43 DE1"], {"id": "43"})
    first, second = run.state.changes
    assert (first.id, first.by, first.reason, first.step) == (order, "tom", "wrong", "")
    assert (first.before, first.after) == (
        {"input": {"id": "42"}, "context": {}}, {"input": {"id": "43"}, "context": {"account": "DE1"}},
    )  # fmt: skip
    assert second.before["timeout_ms"] == 10_000 and second.before["retry"]["base_ms"] == 30_000
    assert second.after["retry"] == {"attempts": 4, "backoff": "fixed", "base_ms": 30_000}
    course = [
        (one.what, one.step, one.by, one.text) for one in engine.ask(lambda: engine._target.history(run.id))
    ]
    assert ("changed", "", "tom", "input, context: wrong") in course
    assert ("changed", "charge", "tom", "retry, timeout, total") in course
    other = await engine.start(flow, Order(id="41"))
    await engine.until_idle()
    assert other.input == {"id": "41"} and other.step("charge").status == "held"


async def test_a_change_without_sense_is_refused_before_it_is_sent(engine: Engine) -> None:
    run = await held(engine, shop())
    for options, code in (
        ({}, "nothing_to_change"),
        ({"attempts": 3}, "no_step"),
        ({"step": "ship", "attempts": 3}, "not_held"),
        ({"step": "nobody", "attempts": 3}, "unknown_step"),
        ({"step": "charge", "timeout": "0s"}, "bad_duration"),
        ({"step": "charge", "retry": Retry(2, backoff=lambda attempt, failure: "1s")}, "bad_change"),
        ({"context": {"a..b": 1}}, "bad_change"),
        ({"input": Order(id="x" * 900_000)}, "too_large"),
    ):
        with pytest.raises(RejectedError) as caught:
            await run.change(**options)  # type: ignore[arg-type]  # by name
        assert caught.value.code == code, options
    assert run.state.changes == ()
    await run.retry("charge")
    await engine.until_idle()
    with pytest.raises(RejectedError, match="no held step"):
        await run.change(context={"a": 1})


async def test_a_changed_input_is_that_of_another_start(engine: Engine) -> None:
    run = await held(engine, shop())
    await run.change(input=Order(id="43"))
    engine.tell(lambda: engine._target.run(run.id).start_again(id="again"))
    await engine.until_idle()
    assert engine.run("again").output == "shipped for R-43"


async def test_a_member_that_runs_out_of_time_during_a_pause_keeps_its_place(engine: Engine) -> None:
    flow = Workflow("flow")
    engine.fail("a")
    flow.add("a", lambda: 1, retry=Retry(2, base="1m"), total="10m", on_error="hold")
    flow.add("b", lambda: 2)
    flow.parallel("both", ["a", "b"], concurrency=1)
    run = await engine.start(flow)
    await engine.advance("1s")
    assert (run.step("a").status, run.step("b").status) == ("retrying", "pending")
    await run.pause()
    await engine.advance("1h")
    assert run.step("a").status == "held"
    await run.resume()
    await engine.until_idle()
    assert (run.step("a").status, run.step("b").status) == ("held", "pending")
    await run.retry("a")
    await engine.until(run, "completed")
    assert (run.step("a").output, run.step("b").output) == (1, 2)


async def test_waits_and_reactions_that_have_begun_keep_their_key(engine: Engine) -> None:
    flow, heard = Workflow("flow", input=dict[str, str]), list[Any]()
    flow.add("wrong", lambda: 1, on_error="hold")
    engine.fail("wrong")
    flow.wait_event("paid", "paid", key="input.id")
    flow.wait_event("job", "job", key="input.id", take=True)
    flow.wait_event("late", "paid", key="input.id", after="wrong")

    @flow.on_event("news", key="input.id")
    def news(event: int) -> None:
        heard.append(event)

    run = await engine.start(flow, {"id": "a"})
    await engine.until_idle()
    await engine.publish("news", key="a", data=1)
    await run.change(input={"id": "b"})
    engine.restart()
    assert "key a" in str(await run.why("paid"))
    assert run.state.reactions["news"].key == "a"
    for key, data in (("a", 2), ("b", 3), ("a", 4)):
        await engine.publish("news", key=key, data=data)
    await engine.publish("paid", key="a", data="of a", ttl="0s")
    await engine.publish("paid", key="b", data="of b")
    await engine.publish("job", key="b", data="of b")
    assert (heard, run.step("paid").output, run.step("job").status) == ([1, 2, 4], "of a", "waiting")
    await engine.publish("job", key="a", data="of a")
    await run.skip_step("wrong")
    await engine.until(run, "completed")
    assert (run.step("job").output, run.step("late").output) == ("of a", "of b")
    await engine.advance("2d")
    assert engine.ask(engine._target.events).events == []  # nobody keeps them beyond their time


async def test_the_language_of_it() -> None:
    plain, holding = Workflow("w"), Workflow("w")
    plain.add("a", lambda: 1)
    holding.add("a", lambda: 1, on_error="hold")
    assert (plain.definition().format, holding.definition().format) == (1, 2)
    assert b"hold" not in encode_definition(plain.definition())
    assert holding.about.outputs == {}
    assert shop().about.outputs["charge"]["required"] == ["number", "amount"]
    flow = Workflow("w", input=Order)
    flow.add("a", lambda: 1)
    with pytest.raises(DefinitionError, match="on_error= takes one of fail, skip, continue"):
        flow.on_signal("s", on_error="hold")(lambda ctx: None)  # type: ignore[arg-type]
        flow.definition()
