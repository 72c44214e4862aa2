"""A7: `when=` skips a step; the steps after it go on and see no output."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel
from refusals import refusal

from stream_durable import Context, Fail, Retry, Workflow
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str
    total: float


@pytest.mark.parametrize(
    ("total", "status", "output"), [(1.0, "completed", "boss asked"), (0.0, "skipped", None)]
)
async def test_a_condition_on_the_input(
    engine: Engine, total: float, status: str, output: str | None
) -> None:
    flow = Workflow("order", input=Order)

    @flow.step(when=lambda order: order.total > 0)
    def ask(order: Order) -> str:
        return "boss asked"

    @flow.step
    def end(ask: str | None) -> str | None:
        return ask

    run = await engine.start(flow, Order(id="1", total=total))
    await engine.until_idle()
    assert run.step("ask").status == status
    assert (run.status, run.output) == ("completed", output)
    assert engine.calls(ask) == (1 if output else 0)


async def test_why_it_was_skipped_is_on_record_and_said_publicly(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: 1, when=lambda: False)
    run = await engine.start(flow)
    await engine.until_idle()
    failure = run.step("a").failure
    assert failure is not None
    assert failure.message == "its condition is not met"
    assert [event.type for event in run.events] == ["run.started", "step.skipped", "run.completed"]
    assert run.output is None


async def test_what_has_no_output_is_none_the_default_or_a_failure_that_says_so(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: 1, when=lambda: False)

    @flow.step
    def none(a: int | None) -> Any:
        return a

    @flow.step
    def default(a: int = 7) -> Any:
        return a

    @flow.step
    def both(a: int | None = 8) -> Any:
        return a

    @flow.step
    def untyped(a) -> Any:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return a

    @flow.step(on_error="continue")
    def needs(a: int) -> Any:
        return a

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == {"none": None, "default": 7, "both": 8, "untyped": None, "needs": None}
    failure = run.step("needs").failure
    assert failure is not None
    assert (failure.code, failure.retryable, failure.message) == (
        "invalid_input", False,
        ("workflow 'order', step 'needs': the parameter 'a' does not fit: step 'a' has no output "
        "(it was skipped, "
        "failed or not waited for): give the parameter a default or allow None"),
    )  # fmt: skip


async def test_a_condition_takes_outputs_and_the_context_and_may_be_async(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def classify(ctx: Context) -> str:
        ctx.put("vip", True)
        return "large"

    async def is_large(classify: str, ctx: Context, input: int) -> bool:
        return classify == "large" and ctx.get("vip") and input == 3

    @flow.step(when=is_large)
    def special() -> str:
        return "special"

    run = await engine.start(flow, 3)
    await engine.until_idle()
    assert run.output == "special"
    nodes = {node.name: node for node in flow.definition().nodes}
    assert nodes["special"].after == ("classify",), "what the condition takes is waited for"


@pytest.mark.parametrize("answer", [0, "", [], None, {}], ids=repr)
async def test_whatever_is_not_true_skips(engine: Engine, answer: Any) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: 1, when=lambda: answer)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.step("a").status == "skipped"


async def test_a_condition_that_fails_is_a_failed_attempt_of_the_step(engine: Engine) -> None:
    flow = Workflow("order")

    def when(ctx: Context) -> bool:
        if ctx.attempt == 1:
            raise Fail("busy", "ask again")
        return True

    flow.add("a", lambda: "well", when=when, retry=Retry(2))
    flow.add("b", lambda: 1, when=lambda input: input["nothing"], on_error="continue")
    run = await engine.start(flow, {})
    await engine.until_idle()
    assert (run.step("a").output, run.step("a").attempts) == ("well", 2)
    failure = run.step("b").failure
    assert failure is not None
    assert (failure.code, failure.message) == ("KeyError", "'nothing'")
    assert engine.calls("b") == 0


async def test_a_condition_is_asked_again_in_each_attempt(engine: Engine) -> None:
    flow = Workflow("order")
    asked: list[int] = []

    def when(ctx: Context) -> bool:
        asked.append(ctx.attempt)
        return True

    @flow.step(when=when, retry=Retry(3))
    def a(ctx: Context) -> None:
        if ctx.attempt < 3:
            raise Fail("busy")

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert asked == [1, 2, 3]


async def test_skipping_goes_no_further_than_the_step(engine: Engine) -> None:
    flow = Workflow("order")
    flow.add("a", lambda: 1, when=lambda: False)
    flow.add("b", lambda: "b", after="a")
    flow.add("c", lambda b: f"{b}c")
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == "bc"


async def test_members_of_groups_and_of_each_have_conditions(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.each("input", when=lambda item: item % 2)
    def odd(item: int) -> int:
        return item

    flow.add("never", lambda: 1, when=lambda: False)
    flow.add("well", lambda: 2)
    flow.parallel("group", ["never", "well"])

    @flow.step
    def end(odd: list[int | None], group: Any) -> list[Any]:
        return [odd, group.ok, group.skipped]

    run = await engine.start(flow, [1, 2, 3])
    await engine.until_idle()
    assert run.output == [[1, None, 3], {"well": 2}, ["never"]]


async def test_a_skipped_step_is_not_undone(engine: Engine) -> None:
    flow = Workflow("order")
    undone: list[str] = []
    a = flow.add("a", lambda: 1, when=lambda: False)
    a.compensate(lambda: undone.append("a"))

    @flow.step(after=a)
    def b() -> None:
        raise Fail("down", retryable=False)

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, undone) == ("failed", [])


def test_a_condition_is_a_function_that_can_be_bound() -> None:
    flow = Workflow("order", input=Order)
    flow.add("a", lambda: 1, when="order.total")  # type: ignore[arg-type]
    flow.add("b", lambda: 1, when=lambda totl, order: 1)
    assert refusal(flow) == [
        "step 'a': when= takes a function, not 'order.total'",
        "step 'b', when=: parameter 'totl' is neither a step nor Order, the input, nor a Context",
        "step 'b', when=: parameter 'order' is neither a step nor Order, the input, nor a Context",
    ]
