"""A3: typed input and output, validated at the start, between steps and at the end."""

# ruff: noqa: A002, A006, PLW0108 - values are bound by the names of parameters

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field
from refusals import refusal
from typing_extensions import TypedDict

from stream_durable import Context, Results, Workflow
from stream_durable.core.errors import RejectedError
from stream_durable.testing import Engine


class Item(BaseModel):
    name: str
    price: Annotated[float, Field(gt=0)]


class Order(BaseModel):
    id: str
    items: list[Item]
    placed: date | None = None


@dataclass
class Parcel:
    weight: float
    to: str


class Address(TypedDict):
    city: str


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


TEA = {"id": "42", "items": [{"name": "tea", "price": 9.5}]}


async def test_models_go_from_hand_to_hand_as_models(engine: Engine) -> None:
    flow = Workflow("order", input=Order)

    @flow.step
    def cheapest(order: Order) -> Item:
        assert isinstance(order, Order)
        return min(order.items, key=lambda item: item.price)

    @flow.step
    def halve(cheapest: Item) -> Item:
        assert isinstance(cheapest, Item)
        return Item(name=cheapest.name, price=cheapest.price / 2)

    run = await engine.start(flow, TEA)
    await engine.until_idle()
    assert run.output == {"name": "tea", "price": 4.75}
    assert run.input == {"id": "42", "items": [{"name": "tea", "price": 9.5}], "placed": None}


@pytest.mark.parametrize(
    ("hint", "value", "wire"),
    [
        (int, 3, 3),
        (float, 1.5, 1.5),
        (bool, True, True),
        (str, "ä\u0000€😀", "ä\u0000€😀"),
        (None, None, None),
        (list[int], [1, 2], [1, 2]),
        (dict[str, list[float]], {"a": [1.0]}, {"a": [1.0]}),
        (int | None, None, None),
        (Parcel, Parcel(1.5, "Rome"), {"weight": 1.5, "to": "Rome"}),
        (Address, {"city": "Rome"}, {"city": "Rome"}),
        (Size, Size.LARGE, "l"),
        (Literal["a", "b"], "b", "b"),
        (tuple[int, str], (1, "a"), [1, "a"]),
        (set[int], {1}, [1]),
        (datetime, datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (Decimal, Decimal("1.10"), "1.10"),
        (UUID, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (dict[int, str], {1: "a"}, {"1": "a"}),
        (list[Item], [Item(name="tea", price=1)], [{"name": "tea", "price": 1.0}]),
        (Item | Parcel, Parcel(1.0, "x"), {"weight": 1.0, "to": "x"}),
        (bytes, b"abc", "abc"),
    ],
    ids=str,
)
async def test_a_value_keeps_its_type_between_steps(engine: Engine, hint: Any, value: Any, wire: Any) -> None:
    flow = Workflow("typed")
    seen: list[Any] = []

    def make() -> Any:
        return value

    def take(make: Any) -> Any:
        seen.append(make)
        return make

    make.__annotations__ = {"return": hint}
    take.__annotations__ = {"make": hint, "return": hint}
    flow.step(make)
    flow.step(take)

    run = await engine.start(flow)
    await engine.until_idle()
    assert run.status == "completed"
    assert seen == [value]
    assert type(seen[0]) is type(value)
    assert run.step("make").output == run.output == wire


async def test_without_annotations_values_are_json_as_it_stands(engine: Engine) -> None:
    flow = Workflow("plain")
    flow.add("make", lambda: {"n": [1, None, True, 1.5, "x"]})
    flow.add("take", lambda make: make)
    run = await engine.start(flow)
    await engine.until_idle()
    assert run.output == {"n": [1, None, True, 1.5, "x"]}


# At the start


@pytest.mark.parametrize(
    ("input", "says"),
    [
        (
            {"id": "42", "items": [{"name": "tea", "price": 9.5}, {"name": 7}]},
            (
                "the input of workflow 'order' does not fit: items.1.name: Input should be a valid string; "
                "items.1.price: Field required"
            ),
        ),
        ({"items": []}, "the input of workflow 'order' does not fit: id: Field required"),
        (
            {"id": "1", "items": [{"name": "tea", "price": -1}]},
            "the input of workflow 'order' does not fit: items.0.price: Input should be greater than 0",
        ),
        (
            None,
            (
                "the input of workflow 'order' does not fit: "
                "Input should be a valid dictionary or instance of Order"
            ),
        ),
    ],
)
async def test_an_input_that_does_not_fit_starts_nothing(engine: Engine, input: Any, says: str) -> None:
    flow = Workflow("order", input=Order)
    flow.add("a", lambda order: order.id)
    with pytest.raises(RejectedError) as caught:
        await engine.start(flow, input)
    assert (caught.value.code, str(caught.value)) == ("invalid_input", says)
    assert engine.runs == []


async def test_plain_input_types_are_strict(engine: Engine) -> None:
    flow = Workflow("count", input=int)
    flow.add("a", lambda input: input + 1)
    for wrong in ("3", 1.5, None, [3]):
        with pytest.raises(
            RejectedError, match="the input of workflow 'count' does not fit: Expected `int`, got "
        ):
            await engine.start(flow, wrong)
    run = await engine.start(flow, 3)
    await engine.until_idle()
    assert run.output == 4


async def test_an_input_that_a_run_is_given_by_name_is_judged_before_it_starts(engine: Engine) -> None:
    """The definition carries the schema of its input, so that whoever starts by name is told at once."""
    flow = Workflow("order", input=Order)
    flow.add("a", lambda order: order.id)
    await engine.start(flow, TEA)

    text = "the input of workflow 'order' does not fit: id: Input should be a valid string"
    with pytest.raises(RejectedError, match=text):
        await engine.start("order", {"id": 7, "items": []})


# Between steps


async def test_an_output_that_does_not_fit_its_annotation_names_workflow_step_and_field(
    engine: Engine,
) -> None:
    flow = Workflow("order")

    @flow.step
    def charge() -> Item:
        return {"name": "tea", "price": "much"}  # type: ignore[return-value]

    run = await engine.start(flow)
    await engine.until_idle()
    failure = run.step(charge).failure
    assert failure is not None
    assert (failure.code, failure.retryable, failure.message) == (
        "invalid_output", False,
        ("workflow 'order', step 'charge': the output does not fit: price: Input should be a valid number, "
        "unable to parse string as a number"),
    )  # fmt: skip
    assert run.status == "failed"


async def test_an_output_that_does_not_fit_a_parameter_names_it(engine: Engine) -> None:
    flow = Workflow("order")

    @flow.step
    def charge() -> dict[str, Any]:
        return {"name": "tea", "price": -1}

    @flow.step
    def ship(charge: Item) -> None: ...

    run = await engine.start(flow)
    await engine.until_idle()
    failure = run.failure
    assert failure is not None
    assert (failure.step, failure.code, failure.retryable, failure.message) == (
        "ship", "invalid_input", False,
        ("workflow 'order', step 'ship': the parameter 'charge' does not fit: "
        "price: Input should be greater than 0"),
    )  # fmt: skip
    assert run.step(charge).status == "completed"


async def test_many_faults_of_a_value_are_counted(engine: Engine) -> None:
    flow = Workflow("order", input=Order)
    flow.add("a", lambda order: order.id)
    with pytest.raises(RejectedError) as caught:
        await engine.start(flow, {"id": 1, "items": [{} for _ in range(30)]})
    assert str(caught.value).count("; ") < 30
    assert "; and " in str(caught.value)
    assert str(caught.value).endswith(" more")


async def test_a_value_that_does_not_fit_is_never_tried_again(engine: Engine) -> None:
    from stream_durable import Retry

    flow = Workflow("order", retry=Retry(5))

    @flow.step
    def charge() -> int:
        return "many"  # type: ignore[return-value]

    run = await engine.start(flow)
    await engine.until_idle()
    assert (run.status, run.step(charge).attempts) == ("failed", 1)


async def test_items_results_and_the_output_of_a_branch_are_read_in_their_type(engine: Engine) -> None:
    flow = Workflow("order", input=Order)

    @flow.each("input.items", name="price")
    def price(item: Item) -> Parcel:
        assert isinstance(item, Item)
        return Parcel(item.price, item.name)

    @flow.step
    def stock() -> Parcel:
        return Parcel(1, "stock")

    flow.parallel("checks", [stock])
    kind = flow.branch("kind", on="stock.to")

    @kind.otherwise
    def other() -> Item:
        return Item(name="x", price=1)

    @flow.step
    def end(price: list[Parcel], checks: Results[Parcel], kind: Item) -> list[Any]:
        assert isinstance(price[0], Parcel)
        assert isinstance(checks.ok["stock"], Parcel)
        assert isinstance(kind, Item)
        return [price[0].to, checks.ok["stock"].to, kind.name]

    run = await engine.start(flow, TEA)
    await engine.until_idle()
    assert run.output == ["tea", "stock", "x"]


# At the end


async def test_what_the_client_gets_at_the_end_is_what_the_last_step_answered(engine: Engine) -> None:
    flow = Workflow("order", input=Order)

    @flow.step
    def close(order: Order) -> Item:
        return order.items[0]

    run = await engine.start(flow, Order(id="1", items=[Item(name="tea", price=2)], placed=date(2026, 1, 2)))
    await engine.until_idle()
    assert run.output == {"name": "tea", "price": 2.0}
    assert run.input["placed"] == "2026-01-02"


async def test_numbers_that_json_cannot_hold_are_refused_on_the_way_in(engine: Engine) -> None:
    flow = Workflow("number")
    flow.add("a", lambda input: input)
    for number in (math.nan, math.inf, -math.inf):
        with pytest.raises(RejectedError, match=f"x: {number} is not a number in JSON"):
            await engine.start(flow, {"x": number})


@pytest.mark.parametrize(
    "number", [2**53 + 1, 2**64 - 1, -(2**63), 2**70, 10**400, 1e308, 5e-324, 0.1 + 0.2], ids=str
)
async def test_numbers_come_through_exactly(engine: Engine, number: float) -> None:
    flow = Workflow("number")
    flow.add("a", lambda input: input)
    flow.add("b", lambda a: a)
    run = await engine.start(flow, number)
    await engine.until_idle()
    assert run.output == run.input == number
    assert type(run.output) is type(number)


async def test_a_context_reads_the_input_in_its_type(engine: Engine) -> None:
    flow = Workflow("order", input=Order)

    @flow.step
    def a(ctx: Context[Order]) -> bool:
        return isinstance(ctx.input, Order)

    @flow.step
    def b(ctx: Context) -> bool:
        return isinstance(ctx.input, Order)

    run = await engine.start(flow, TEA)
    await engine.until_idle()
    assert run.output == {"a": True, "b": True}


class Socket:
    """Something that pydantic knows nothing of."""


def test_types_that_can_be_no_json_are_refused_when_defined() -> None:
    flow = Workflow("order", input=Socket)

    @flow.step
    def a() -> Socket:
        return Socket()

    @flow.step
    def b(a: Socket) -> Results: ...

    why = f"cannot be JSON as Socket: Unable to generate pydantic-core schema for {Socket}"
    assert refusal(flow) == [
        f"workflow 'order': the type given as input= {why}",
        f"step 'a': what it returns {why}",
        f"step 'b': parameter 'a' {why}",
        "step 'b': what it returns cannot be JSON as Results: return its `ok`, say",
    ]
