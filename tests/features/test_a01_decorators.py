"""A1: functions become steps by a decorator; a parameter named like a step receives its output."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from refusals import refusal

from stream_durable import Context, DefinitionError, Workflow
from stream_durable.testing import Engine


class Order(BaseModel):
    id: str
    total: float = 9.5


class Receipt(BaseModel):
    number: str


async def test_steps_are_bound_by_the_names_of_their_parameters(engine: Engine) -> None:
    flow = Workflow("order", input=Order)

    @flow.step
    async def reserve(order: Order) -> list[str]:
        return [f"tea for {order.id}"]

    @flow.step
    async def charge(order: Order, reserve: list[str]) -> Receipt:
        return Receipt(number=f"R-{order.id}-{len(reserve)}")

    @flow.step
    async def ship(charge: Receipt, reserve: list[str], ctx: Context[Order]) -> str:
        return f"{reserve[0]}, {charge.number}, {ctx.input.total}"

    run = await engine.start(flow, Order(id="42"))
    await engine.until_idle()

    assert run.output == "tea for 42, R-42-1, 9.5"
    assert {node.name: node.after for node in flow.definition().nodes} == {
        "reserve": (), "charge": ("reserve",), "ship": ("charge", "reserve"),
    }  # fmt: skip


async def test_a_decorated_function_is_still_the_plain_function() -> None:
    flow = Workflow("order", input=Order)

    @flow.step
    def price(order: Order) -> float:
        """Return what it costs."""
        return order.total

    @flow.step(timeout="5s")
    async def charge(price: float) -> Receipt:
        return Receipt(number=f"R-{price}")

    assert price(Order(id="1", total=2.0)) == 2.0
    assert price.__doc__ == "Return what it costs."
    assert price.__name__ == "price"
    assert await charge(3.0) == Receipt(number="R-3.0")


async def test_async_functions_and_plain_ones_are_steps_alike(engine: Engine) -> None:
    flow = Workflow("both")

    @flow.step
    async def on_the_loop() -> bool:
        await asyncio.sleep(0)
        return asyncio.get_running_loop().is_running()

    @flow.step
    def in_a_thread() -> int:
        return threading.get_ident()

    @flow.step
    async def both(on_the_loop: bool, in_a_thread: int) -> bool:
        return on_the_loop and in_a_thread > 0

    run = await engine.start(flow)
    await engine.until_idle()

    assert (run.status, run.output) == ("completed", True)


async def test_dependencies_are_steps_or_names_alone_or_several(engine: Engine) -> None:
    flow = Workflow("named")
    order: list[str] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    first = flow.add("first", note("first"))

    @flow.step(after=first)
    def by_object() -> None:
        order.append("by_object")

    @flow.step(after="by_object")
    def by_name() -> None:
        order.append("by_name")

    @flow.step(after=[by_name, "first"])
    def by_both() -> None:
        order.append("by_both")

    run = await engine.start(flow)
    await engine.until_idle()

    assert run.status == "completed"
    assert order == ["first", "by_object", "by_name", "by_both"]


async def test_a_step_may_be_named_before_it_is_defined(engine: Engine) -> None:
    flow = Workflow("backwards")

    @flow.step
    def last(middle: str) -> str:
        return f"{middle}, last"

    @flow.step
    def middle(first: str) -> str:
        return f"{first}, middle"

    @flow.step
    def first() -> str:
        return "first"

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == "first, middle, last"


async def test_a_step_has_another_name_if_it_is_given_one(engine: Engine) -> None:
    flow = Workflow("renamed")

    @flow.step(name="count:all")
    def count() -> int:
        return 3

    @flow.step(after="count:all", name="double")
    def twice(double_: int = 2) -> int:
        return double_

    run = await engine.start(flow)
    await engine.until_idle()
    assert list(run.steps) == ["count:all", "double"]
    assert run.output == 2


async def test_a_parameter_with_a_default_keeps_it_and_a_keyword_is_bound_too(engine: Engine) -> None:
    flow = Workflow("keywords")

    @flow.step
    def one() -> int:
        return 1

    @flow.step
    def add(one: int, by: int = 41, *, input: dict[str, int]) -> int:
        return one + by + input["more"]

    run = await engine.start(flow, {"more": 100})
    await engine.until_idle()
    assert run.output == 142


async def test_context_comes_first_then_steps_then_the_input(engine: Engine) -> None:
    """A parameter annotated with the input's type is a step's output all the same if it is named like one."""
    flow = Workflow("order", input=Order)

    @flow.step
    def discounted(order: Order) -> Order:
        return Order(id=order.id, total=1.0)

    @flow.step
    def compare(discounted: Order, anything: Order, input: Order, me: Context[Order]) -> list[float]:
        return [discounted.total, anything.total, input.total, me.input.total]

    run = await engine.start(flow, Order(id="1"))
    await engine.until_idle()
    assert run.output == [1.0, 9.5, 9.5, 9.5]


async def test_a_lambda_gets_typed_values_by_name_and_the_input_as_its_only_parameter(engine: Engine) -> None:
    flow = Workflow("order", input=Order)

    @flow.step
    def charge(order: Order) -> Receipt:
        return Receipt(number="R-1")

    flow.add("alone", lambda order: order.total)
    flow.add("named", lambda charge, input: f"{charge.number} of {input.id}")
    flow.add("kept", lambda name="tea": name)

    run = await engine.start(flow, Order(id="42"))
    await engine.until_idle()
    assert run.output == {"alone": 9.5, "named": "R-1 of 42", "kept": "tea"}


async def test_methods_partials_and_callable_objects_are_functions_too(engine: Engine) -> None:
    from functools import partial

    class Shop:
        def price(self, input: int) -> int:
            return input * 2

        async def __call__(self, price: int) -> int:
            return price + 1

    def add(price: int, by: int) -> int:
        return price + by

    flow = Workflow("callables")
    flow.add("price", Shop().price)
    flow.add("called", Shop())
    flow.add("partly", partial(add, by=10))

    run = await engine.start(flow, 4)
    await engine.until_idle()
    assert run.output == {"called": 9, "partly": 18}


async def test_steps_that_wait_for_none_begin_together_and_a_step_without_dependents_is_part_of_the_output(
    engine: Engine,
) -> None:
    flow = Workflow("side_by_side")

    @flow.step
    async def one(ctx: Context) -> str:
        await asyncio.sleep(10)
        return "one"

    @flow.step
    async def two() -> str:
        await asyncio.sleep(10)
        return "two"

    run = await engine.start(flow)
    begun = engine.now
    await engine.until_idle()
    assert run.output == {"one": "one", "two": "two"}
    assert 10 <= (engine.now - begun).total_seconds() < 12


async def test_outputs_that_a_step_needs_none_of_are_not_sent_to_it(engine: Engine) -> None:
    """Without a parameter and without `reads=` a step is handed nothing of what it waits for."""
    flow = Workflow("sparing")

    @flow.step
    def charge() -> str:
        return "R-1"

    @flow.step(after=charge)
    def other(input: int) -> int:
        return input

    nodes = {node.name: node for node in flow.definition().nodes}
    assert nodes["other"].takes == ()  # type: ignore[union-attr]
    run = await engine.start(flow, 7)
    await engine.until_idle()
    assert run.output == 7


def test_what_cannot_be_bound_is_said_with_what_may_be_meant() -> None:
    flow = Workflow("order", input=Order)

    @flow.step
    def charge(order: Order) -> Receipt:
        return Receipt(number="R-1")

    @flow.step
    def ship(chrage: Receipt, sum: float, *rest: Any, **more: Any) -> None: ...

    @flow.step
    def wrong(charge: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert refusal(flow) == [
        (
            "step 'ship': parameter 'chrage' (Receipt) is neither a step nor Order, the input, nor a "
            "Context; "
            "is 'charge' meant?"
        ),
        "step 'ship': parameter 'sum' (float) is neither a step nor Order, the input, nor a Context",
        "step 'ship': '*rest' cannot be bound: name each parameter",
        "step 'ship': '**more' cannot be bound: name each parameter",
        (
            "step 'wrong': the annotation 'Nowhere' of parameter 'charge' cannot be resolved: "
            "name 'Nowhere' is not defined"
        ),
    ]


def test_without_an_input_type_the_remedy_is_the_parameter_called_input() -> None:
    flow = Workflow("order")
    flow.add("a", lambda x, y: None)
    assert refusal(flow) == [
        f"step 'a': parameter {name!r} is neither a step nor a Context; "
        "the run's input goes to a parameter named 'input'"
        for name in "xy"
    ]


def test_generators_and_what_is_no_function_are_refused() -> None:
    flow = Workflow("order")

    @flow.step
    def items() -> Any:
        yield 1

    flow.add("seven", 7)  # type: ignore[arg-type]
    assert refusal(flow) == [
        "step 'items': a generator cannot be a step: return the values, as a list",
        "step 'seven': 7 is not a function",
    ]


def test_a_name_in_place_of_a_function_is_refused_where_it_is_written() -> None:
    flow = Workflow("order")
    with pytest.raises(DefinitionError, match=r"a name is given as step\(name='charge'\)"):
        flow.step("charge")  # type: ignore[call-overload]


def test_a_definition_that_was_taken_takes_no_further_steps() -> None:
    flow = Workflow("order")
    flow.add("a", lambda: 1)
    flow.definition()
    with pytest.raises(
        DefinitionError, match="step 'b' comes too late: an App, or another caller, has taken the definition"
    ):
        flow.add("b", lambda: 2)
