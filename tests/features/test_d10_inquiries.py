"""D10, end to end: a program asks a run something, and a function beside the graph answers."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from stream_durable import Context, Fail, Retry, Workflow
from stream_durable.client import NoAnswer
from stream_durable.core.definition.nodes import encode_definition
from stream_durable.core.errors import RejectedError
from stream_durable.sdk.errors import DefinitionError
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str


class Question(BaseModel):
    items: int
    discount: float = 0.0


class Price(BaseModel):
    total: float
    count: int


def shop(asked: list[str] | None = None, **options: Any) -> Workflow[Order, Any]:
    flow = Workflow("order", input=Order)
    seen = asked if asked is not None else []

    @flow.step
    def reserve(ctx: Context[Order]) -> None:
        ctx.put("price", 5)

    flow.wait_signal("go", after=reserve)

    @flow.answers("quote", **options)
    async def quote(ctx: Context[Order], request: Question) -> Price:
        seen.append(ctx.idempotency_key)
        if request.items > 100:
            raise Fail("too_many", "we have a hundred", retryable=False)
        ctx.increment("quotes")
        return Price(total=request.items * ctx.get("price") * (1 - request.discount), count=ctx.get("quotes"))

    return flow


async def started(engine: Engine, flow: Workflow[Order, Any], **options: Any) -> Any:
    run = await engine.start(flow, Order(id="42"), **options)
    await engine.until_waiting(run)
    return run


async def test_a_function_answers_while_the_run_goes_on(engine: Engine) -> None:
    run = await started(engine, shop())

    assert await engine.inquire(run, "quote", Question(items=2)) == {"total": 10.0, "count": 1}
    assert await run.ask("quote", {"items": 3, "discount": 0.5}) == {"total": 7.5, "count": 2}
    assert run.status == "waiting"
    await engine.signal(run, "go", "on")
    assert await run.result() == "on"
    assert run.context["quotes"] == 2


async def test_each_id_is_asked_once(engine: Engine) -> None:
    asked: list[str] = []
    run = await started(engine, shop(asked))
    first = await engine.inquire(run, "quote", {"items": 2}, id="q1")

    assert await engine.inquire(run, "quote", {"items": 9}, id="q1") == first
    engine.redeliver()
    await engine.until_idle()
    assert await engine.inquire(run, "quote", {"items": 2}, id="q1") == first
    assert len(asked) == 1 and run.context["quotes"] == 1


async def test_a_refusal_is_for_the_one_who_asks(engine: Engine) -> None:
    run = await started(engine, shop())
    with pytest.raises(NoAnswer, match="we have a hundred") as caught:
        await engine.inquire(run, "quote", {"items": 101})
    assert caught.value.code == "too_many"
    assert run.status == "waiting" and "quotes" not in run.context
    assert (await engine.inquire(run, "quote", {"items": 1}))["count"] == 1


async def test_the_form_is_judged_before_anything_is_sent(engine: Engine) -> None:
    asked: list[str] = []
    run = await started(engine, shop(asked))
    with pytest.raises(RejectedError, match=r"what is asked of 'quote' does not fit: items: ") as caught:
        await engine.inquire(run, "quote", {"items": "many"})
    assert caught.value.code == "invalid_input"
    with pytest.raises(RejectedError, match="is 'quote' meant") as caught:
        await engine.inquire(run, "quot", {"items": 1})
    assert caught.value.code == "unknown_answer"
    with pytest.raises(RejectedError, match="there is no run") as caught:
        await engine.inquire("nobody", "quote", {"items": 1})
    assert asked == []


async def test_an_ended_run_answers_nothing(engine: Engine) -> None:
    run = await started(engine, shop())
    answer = await engine.inquire(run, "quote", {"items": 1}, id="q1")
    await engine.signal(run, "go")
    with pytest.raises(RejectedError, match="has ended as completed") as caught:
        await engine.inquire(run, "quote", {"items": 1})
    assert caught.value.code == "has_ended"
    assert await engine.inquire(run, "quote", {"items": 1}, id="q1") == answer


async def test_the_run_may_be_started_first(engine: Engine) -> None:
    flow = shop()
    await started(engine, flow, id="other")
    flow_of = (flow, Order(id="43"))

    with pytest.raises(NoAnswer) as caught:
        # The step that puts the price has not ended when the function is called.
        await engine.inquire("order-43", "quote", {"items": 2}, start=flow_of, id="early")
    assert caught.value.code == "TypeError"
    run = engine.run("order-43")
    await engine.until_waiting(run)
    assert run.input == {"id": "43"}
    again = await engine.inquire("order-43", "quote", {"items": 2}, start=(flow, Order(id="44")))
    assert again == {"total": 10.0, "count": 1}
    assert run.input == {"id": "43"}
    with pytest.raises(RejectedError, match="answers no"):
        await engine.inquire("order-44", "price", start=flow_of)


async def test_a_paused_run_answers_when_it_goes_on(engine: Engine) -> None:
    run = await started(engine, shop())
    await run.pause()
    with pytest.raises(TimeoutError, match="ask again with id='q1'"):
        await engine.inquire(run, "quote", {"items": 2}, id="q1", timeout="1s")
    assert run.step("~quote.0").status == "pending"
    await run.resume()
    assert (await engine.inquire(run, "quote", {"items": 2}, id="q1"))["total"] == 10.0


async def test_a_crash_of_a_worker_or_a_reconciler_loses_no_inquiry(engine: Engine) -> None:
    run = await started(engine, shop())
    engine.crash_after("~quote")
    assert (await engine.inquire(run, "quote", {"items": 2}, timeout="10m"))["count"] == 1
    engine.restart()
    assert (await engine.inquire(run, "quote", {"items": 2}))["count"] == 2


async def test_a_failed_attempt_is_made_again(engine: Engine) -> None:
    run = await started(engine, shop(retry=Retry(3, base="1s")))
    engine.fail("~quote", times=2)
    assert (await engine.inquire(run, "quote", {"items": 2}))["count"] == 1


async def test_retries_by_hand_leave_answers_alone(engine: Engine) -> None:
    asked: list[str] = []
    run = await started(engine, shop(asked))
    answer = await engine.inquire(run, "quote", {"items": 1}, id="q1")
    await run.retry("reserve")
    await engine.until_waiting(run)
    await run.retry(whole=True)
    await engine.until_waiting(run)
    assert await engine.inquire(run, "quote", {"items": 1}, id="q1") == answer
    assert len(asked) == 1


async def test_what_waits_when_the_run_ends_is_given_up(engine: Engine) -> None:
    run = await started(engine, shop())
    await run.pause()
    with pytest.raises(TimeoutError):
        await engine.inquire(run, "quote", {"items": 2}, id="q1", timeout="1s")
    await run.cancel()
    with pytest.raises(NoAnswer, match="cancelled"):
        await engine.inquire(run, "quote", {"items": 2}, id="q1")
    assert run.status == "cancelled"


def test_names_and_parameters_that_make_no_sense_are_refused() -> None:
    flow = Workflow("odd")
    flow.wait_signal("go")

    @flow.answers("on_failure")
    def one() -> None: ...

    @flow.answers("a.b")
    def two(request: int) -> None: ...

    @flow.answers("quote")
    def three(question: int) -> None: ...

    @flow.answers("same")
    def four() -> None: ...

    @flow.answers("same")
    def five() -> None: ...

    with pytest.raises(DefinitionError) as caught:
        flow.definition()
    text = str(caught.value)
    assert "'on_failure' is not a name for an answer" in text and "'a.b' is not a name for an answer" in text
    assert "called 'request'" in text
    assert "two functions answer 'same'" in text


def test_a_definition_with_answers_has_the_second_format_and_others_are_as_before() -> None:
    assert shop().definition().format == 2
    plain = Workflow("plain")
    plain.sleep("a", "1s")
    assert plain.definition().format == 1
    assert b"beside" not in encode_definition(plain.definition())
