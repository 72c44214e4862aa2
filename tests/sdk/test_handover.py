"""Values reach a step, and leave it, in the types that are written there."""

# ruff: noqa: A002 - `input` is what authors write

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, NoReturn

import msgspec
import pytest
from msgspec import Raw
from pydantic import AfterValidator, BaseModel, Field, SecretStr, computed_field
from typing_extensions import TypedDict

from stream_durable import Context, Workflow
from stream_durable.sdk.errors import HandoverError
from stream_durable.sdk.handler import Given, Handler


class Order(BaseModel):
    id: str
    total: float


class Camel(BaseModel):
    order_id: str = Field(alias="orderId")
    net: float = 1.0

    @computed_field
    def gross(self) -> float:
        return self.net * 2


class Login(BaseModel):
    name: str
    password: SecretStr


class Line(TypedDict):
    item: str


@dataclass
class Point:
    x: int


class Colour(StrEnum):
    RED = "red"


def handler_of(function: Callable[..., Any], input: Any = None, **others: Callable[..., Any]) -> Handler:
    flow = Workflow("order", input=input)
    flow.add("work", function)
    for name, other in others.items():
        flow.add(name, other)
    return flow.handlers()["work"]


def encoder(returned: Any) -> Callable[[Any], bytes]:
    def work() -> Any: ...

    work.__annotations__["return"] = returned
    return handler_of(work).encode


def given(taken: Any, data: bytes) -> Any:
    def work(input: Any) -> None: ...

    work.__annotations__["input"] = taken
    return handler_of(work).arguments(Given(data, {}, Context))[0]


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(HandoverError) as caught:
        call()
    assert caught.value.__suppress_context__
    prefix = "workflow 'order', step 'work': the "
    assert str(caught.value).startswith(prefix)
    return f"{caught.value.code}: {str(caught.value).removeprefix(prefix)}"


def test_a_step_gets_its_input_and_the_outputs_it_names_in_their_types() -> None:
    def work(order: Order, points: list[Point], note) -> None: ...  # type: ignore[no-untyped-def]

    handler = handler_of(work, Order, points=lambda: 1, note=lambda: 1)

    outputs = {"points": Raw(b'[{"x":1}]'), "note": Raw(b'{"any":[null]}')}
    values = handler.arguments(Given(Raw(b'{"id":"42","total":9}'), outputs, Context))
    assert values == [Order(id="42", total=9.0), [Point(1)], {"any": [None]}]
    assert (handler.takes_input, handler.takes) == (True, ("points", "note"))


def test_positional_and_named_parameters_and_defaults_all_find_their_place() -> None:
    def work(a: int, /, unit: str = "EUR", *, input: int, b: int, scale: int = 3) -> list[Any]:
        return [a, unit, input, b, scale]

    handler = handler_of(work, a=lambda: 1, b=lambda: 1)

    values = handler.arguments(Given(b"1", {"a": b"2", "b": b"4"}, Context))
    assert handler.call(values) == [2, "EUR", 1, 4, 3]


def test_a_lambda_takes_the_input_by_its_only_parameter() -> None:
    handler = handler_of(lambda order: order["id"])

    assert handler.call(handler.arguments(Given(b'{"id":"42"}', {}, Context))) == "42"


def test_a_context_is_made_with_the_input_in_the_type_it_names() -> None:
    def typed(ctx: Context[Point]) -> None: ...
    def untyped(ctx: Context) -> None: ...
    def both(ctx: Context, order: Order) -> None: ...

    order = b'{"id":"42","total":9.5}'
    [context] = handler_of(typed, Point).arguments(Given(b'{"x":1}', {}, Context))
    assert context.input == Point(1)
    [context] = handler_of(untyped, Order).arguments(Given(order, {}, Context))
    assert context.input == Order(id="42", total=9.5)
    [context] = handler_of(untyped).arguments(Given(order, {}, Context))
    assert context.input == {"id": "42", "total": 9.5}
    context, same = handler_of(both, Order).arguments(Given(order, {}, Context))
    assert context.input is same


def test_an_optional_parameter_is_bound_as_if_it_were_not() -> None:
    def work(order: Order | None = None, ctx: Context[Annotated[Order, "?"]] | None = None) -> None: ...

    order, context = handler_of(work, Order).arguments(Given(b'{"id":"42","total":9.5}', {}, Context))

    assert order == context.input == Order(id="42", total=9.5)


def test_a_context_is_not_made_for_a_step_that_takes_none() -> None:
    def never(_: object) -> Context[Any]:
        raise AssertionError

    assert handler_of(lambda: 1).arguments(Given(b"null", {}, never)) == []


@pytest.mark.parametrize(
    ("taken", "data", "expected"),
    [
        (Any, b'{"a":[1,null]}', {"a": [1, None]}),
        (object, b"1", 1),
        (dict[str, object], b'{"a":1}', {"a": 1}),
        (int | None, b"null", None),
        (list[dict[str, float]], b'[{"a":1}]', [{"a": 1.0}]),
        (list[int] | list[str], b'["a"]', ["a"]),
        (dict[int, str], b'{"1":"a"}', {1: "a"}),
        (tuple[int, str], b'[1,"a"]', (1, "a")),
        (Literal["a", "b"], b'"a"', "a"),
        (Annotated[int, Field(gt=0)], b"1", 1),
        (Line, b'{"item":"tea"}', {"item": "tea"}),
        (Order | Point, b'{"x":1}', Point(1)),
        (datetime, b'"2030-01-01T00:00:00Z"', datetime(2030, 1, 1, tzinfo=UTC)),
        (Camel, b'{"orderId":"1"}', Camel(orderId="1")),
        (Camel, b'{"order_id":"1"}', Camel(orderId="1")),
    ],
)
def test_any_type_that_json_can_stand_for_can_be_taken(taken: Any, data: bytes, expected: object) -> None:
    assert given(taken, data) == expected


def _refused(number: int) -> int:
    raise ValueError(f"{number} is not one of 1, 2")


@pytest.mark.parametrize(
    ("taken", "data", "expected"),
    [
        (
            Order,
            b'{"id":"42","total":"x"}',
            "total: Input should be a valid number, unable to parse string as a number",
        ),
        (Order, b"null", "Input should be an object"),
        (Order, b"{}", "id: Field required; total: Field required"),
        (list[Order], b'[{"id":"1","total":1},{"id":2,"total":1}]', "1.id: Input should be a valid string"),
        (Annotated[int, Field(gt=0)], b"0", "Input should be greater than 0"),
        (Annotated[int, AfterValidator(_refused)], b"7", "7 is not one of 1, 2"),
        (int, b'"1"', "Expected `int`, got `str`"),
        (int, b"true", "Expected `int`, got `bool`"),
        (dict, b"[]", "Expected `object`, got `array`"),
        (list[dict[str, int]], b'[{"a":"b"}]', "[0][...]: Expected `int`, got `str`"),
        (dict, b"{", "Input data was truncated"),
        (Order, b"{", "Invalid JSON: EOF while parsing an object at line 1 column 1"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_by_field(taken: Any, data: bytes, expected: str) -> None:
    assert refusal(lambda: given(taken, data)) == f"invalid_input: parameter 'input' does not fit: {expected}"


def test_many_problems_are_counted() -> None:
    data = msgspec.json.encode(["x"] * 9)

    assert refusal(lambda: given(list[Literal["a"]], data)).endswith("; 4: Input should be 'a'; and 4 more")


def test_what_a_step_without_an_output_leaves_is_the_default_or_none() -> None:
    def work(a: int = 7, b: int | None = None, *, c: Order | None, d: Any) -> None: ...

    flow = handler_of(work, a=lambda: 1, b=lambda: 1, c=lambda: 1, d=lambda: 1)

    assert flow.arguments(Given(b"null", {}, Context)) == [7, None, None, None]
    assert flow.arguments(Given(b"null", {"a": b"1", "b": b"2"}, Context)) == [1, 2, None, None]


def test_an_output_that_is_not_there_is_refused_where_none_does_not_fit() -> None:
    def work(a: Any, b: int) -> None: ...

    handler = handler_of(work, a=lambda: 1, b=lambda: 1)

    assert refusal(lambda: handler.arguments(Given(b"null", {"a": b"1"}, Context))) == (
        "invalid_input: parameter 'b' does not fit: step 'b' has no output (it was skipped, failed or not "
        "waited for): give the parameter a default or allow None"
    )


def test_an_error_in_a_validator_of_the_author_is_their_own() -> None:
    class Broken:
        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
            from pydantic_core import core_schema

            return core_schema.no_info_plain_validator_function(lambda value: {}[value])

    def work(input: int, order: Any) -> None: ...

    work.__annotations__["order"] = Broken
    handler = handler_of(work, order=lambda: 1)
    with pytest.raises(KeyError):
        handler.arguments(Given(b"1", {"order": b"1"}, Context))


@pytest.mark.parametrize(
    ("returned", "value", "expected"),
    [
        (Any, {"a": (1, None, 1.5, True, "x")}, b'{"a":[1,null,1.5,true,"x"]}'),
        (Any, Colour.RED, b'"red"'),
        (Any, [Colour.RED, 2**70], b'["red",1180591620717411303424]'),
        (Any, None, b"null"),
        (None, None, b"null"),
        (NoReturn, None, b"null"),
        (object, 1, b"1"),
        (dict, defaultdict(int, a=1), b'{"a":1}'),
        (dict[str, Any], {"a": 1}, b'{"a":1}'),
        (list, [1], b"[1]"),
        (list[str], ["a"], b'["a"]'),
        (float, 1, b"1"),
        (int | None, None, b"null"),
        (Order, Order(id="1", total=1), b'{"id":"1","total":1.0}'),
        (Order, {"id": "1", "total": 1}, b'{"id":"1","total":1.0}'),
        (Order | None, None, b"null"),
        (list[Order], [Order(id="1", total=1)], b'[{"id":"1","total":1.0}]'),
        (Point, Point(1), b'{"x":1}'),
        (set[int], {1}, b"[1]"),
        (bytes, b"x", b'"x"'),
        (datetime, datetime(2030, 1, 1, tzinfo=UTC), b'"2030-01-01T00:00:00Z"'),
        (Decimal, Decimal("1.10"), b'"1.10"'),
        (Camel, Camel(orderId="1"), b'{"order_id":"1","net":1.0}'),
        (Login, Login(name="null", password=SecretStr("x")), b'{"name":"null","password":"**********"}'),
    ],
)
def test_what_a_step_answers_is_written_in_the_type_it_names(
    returned: Any, value: Any, expected: bytes
) -> None:
    assert encoder(returned)(value) == expected


NOT_CONVERTED = "is not JSON: annotate what the function returns to have it converted"
ITSELF: list[Any] = []
ITSELF.append({"again": ITSELF})
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]
UNCHECKED = Order.model_construct(id="1", total="hunter2")


@pytest.mark.parametrize(
    ("returned", "value", "expected"),
    [
        (Any, {"a": [1, math.nan]}, "a.1: nan is not a number in JSON"),
        (Any, math.inf, "inf is not a number in JSON"),
        (dict, {"at": datetime(2030, 1, 1, tzinfo=UTC)}, f"at: an object of type datetime {NOT_CONVERTED}"),
        (Any, b"x", f"an object of type bytes {NOT_CONVERTED}"),
        (Any, {"a": {1}}, f"a: an object of type set {NOT_CONVERTED}"),
        (Any, [Order(id="1", total=1)], f"0: an object of type Order {NOT_CONVERTED}"),
        (Any, {"a": {1: 2}}, "a: a key of type int is not JSON: keys are texts"),
        (Any, ITSELF, "it contains itself, or is nested more than 100 deep"),
        (list[Any], DEEP, "it contains itself, or is nested more than 100 deep"),
        (Any, "\ud800", "a text in it is not valid Unicode"),
        (None, 1, "Expected `null`, got `int`"),
        (dict, [1], "Expected `dict`, got `list`"),
        (str, 1, "Expected `str`, got `int`"),
        (int, True, "Expected `int`, got `bool`"),
        (list[float], [math.nan], "0: nan is not a number in JSON"),
        (list[str], [1], "[0]: Expected `str`, got `int`"),
        (Order, None, "Input should be a valid dictionary or instance of Order"),
        (Order, {"id": "1"}, "total: Field required"),
        (Order, Order(id="1", total=math.nan), "total: nan is not a number in JSON"),
        (list[Order], [Order(id="1", total=-math.inf)], "0.total: -inf is not a number in JSON"),
        (Order, UNCHECKED, "total: a value is not of the type that is declared for it"),
        (set[float], {math.nan}, "0: nan is not a number in JSON"),
        (list[Order], ITSELF, "0.id: Field required; 0.total: Field required"),
    ],
)
def test_what_cannot_be_written_is_refused_by_field(returned: Any, value: Any, expected: str) -> None:
    message = refusal(lambda: encoder(returned)(value))

    assert message == f"invalid_output: output does not fit: {expected}"


def test_a_forgotten_async_is_named() -> None:
    async def later() -> None: ...

    coroutine = later()
    message = refusal(lambda: encoder(Any)(coroutine))
    coroutine.close()
    assert message.endswith("a coroutine is not JSON: define the function with `async def`")


def test_no_message_shows_a_secret() -> None:
    data = msgspec.json.encode({"password": "hunter2"})
    messages = [
        refusal(lambda: given(Login, data)),
        refusal(lambda: given(dict[str, int], data)),
        refusal(lambda: encoder(Login)({"password": "hunter2"})),
        refusal(lambda: encoder(Login)(Login.model_construct(name="x", password="hunter2"))),
        refusal(lambda: encoder(dict[str, int])({"password": "hunter2"})),
        refusal(lambda: encoder(Order)(UNCHECKED)),
    ]

    assert not [message for message in messages if "hunter2" in message]
