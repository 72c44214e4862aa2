"""A5: one function in two places, its parameters given the outputs of steps that are called otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from stream_durable import DefinitionError, Workflow
from stream_durable.testing import Engine


def pay(amount: int) -> str:
    return f"paid {amount}"


def number() -> int:
    return 7


async def test_a_function_is_a_step_in_two_places(engine: Engine) -> None:
    flow = Workflow("order")
    first = flow.add("first", number)
    second = flow.add("second", lambda: 8, after=first)
    flow.add("pay_first", pay, takes={"amount": first})
    flow.add("pay_second", pay, takes={"amount": "second"}, when=lambda amount: amount == 8)
    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert run.output == {"pay_first": "paid 7", "pay_second": "paid 8"}
    assert [(node.name, node.after) for node in flow.definition().nodes[2:]] == [
        ("pay_first", ("first",)), ("pay_second", ("second",)),
    ]  # fmt: skip
    assert second.name == "second"


async def test_parameters_that_are_only_keywords_are_given_too(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def first() -> int:
        return 1

    @flow.step(takes={"a": first, "b": first})
    def both(a: int, *, b: int, first: int) -> list[int]:
        return [a, b, first]

    run = await engine.start(flow)
    await engine.until(run, "completed")
    assert run.output == [1, 1, 1]


@pytest.mark.parametrize(
    ("takes", "says"),
    [
        ({"amount": "nobody"}, "takes= names step 'nobody', which does not exist"),
        ({"amout": "first"}, "takes= names 'amout', and there is no such parameter"),
        (["first"], "takes= takes steps by parameter, such as {\"charge\": second_charge}, not ['first']"),
        ({"amount": 7}, "takes= takes steps and their names, not 7"),
    ],
)
def test_what_cannot_be_taken(takes: Any, says: str) -> None:
    flow = Workflow("order")
    flow.add("first", number)
    flow.add("pay", pay, takes=takes)
    with pytest.raises(DefinitionError) as refused:
        flow.definition()
    assert f"step 'pay': {says}" in [fault.message for fault in refused.value.faults]


def test_types_are_held_against_each_other_there_too() -> None:
    flow = Workflow("order")
    flow.add("text", lambda_text)
    flow.add("pay", pay, takes={"amount": "text"})
    with pytest.raises(DefinitionError, match=r"step 'text' returns str .*it is a text, not a whole number"):
        flow.definition()


def lambda_text() -> str:
    return "seven"
