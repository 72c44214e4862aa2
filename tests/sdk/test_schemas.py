"""What schemas say of types: never more than what really reads and writes their values."""

# ruff: noqa: E501 - tables are read more easily in long lines

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import re
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, NotRequired

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    TypeAdapter,
    computed_field,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from stream_durable.core.definition.schema import Schema, misfit, step_into
from stream_durable.core.definition.type_misfit import type_misfit
from stream_durable.sdk.handover import DOES_NOT_FIT, Codecs
from stream_durable.sdk.schemas import Schemas


class Order(BaseModel):
    id: str
    items: list[str]
    total: float = Field(ge=0)
    note: str | None = Field(default=None, max_length=5)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: str


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    id: str


class Aliased(BaseModel):
    order_id: str = Field(alias="orderId")
    line: Order | None = None


class Chosen(BaseModel):
    id: str = Field(validation_alias=AliasChoices("number", "no"))


class Stripped(BaseModel):
    model_config = ConfigDict(str_strip_whitespace=True)
    code: str = Field(max_length=3, pattern="^[a-z]+$")


class Coerced(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True)
    id: str


class Parsed(BaseModel):
    items: list[int]

    @field_validator("items", mode="before")
    @classmethod
    def split(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value


class Rewritten(BaseModel):
    id: int

    @model_validator(mode="before")
    @classmethod
    def rewrite(cls, value: Any) -> Any:
        return {"id": value["number"]} if isinstance(value, dict) and "number" in value else value


class Shown(BaseModel):
    cents: int

    @computed_field
    @property
    def euros(self) -> float:
        return self.cents / 100


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


@dataclass
class Point:
    x: int
    y: float = 0.0


class Line(TypedDict):
    item: str
    price: NotRequired[float]


class Pair(NamedTuple):
    a: int
    b: str = "b"


Length = Annotated[int, BeforeValidator(lambda value: len(value) if isinstance(value, str) else value)]
Hex = Annotated[int, PlainSerializer(hex)]

TYPES: list[Any] = [
    int, float, str, bool, None, dict, list, Any, dict[str, int], list[int], int | str, list[str] | None,
    Order, Order | None, list[Order], dict[str, Order], Strict, Open, Aliased, Chosen, Stripped, Coerced, Parsed,
    Rewritten, Shown, Annotated[Cat | Dog, Field(discriminator="kind")], Cat | Dog, Tree, Colour, Level, Point, Line,
    Pair, tuple[int, str], set[int], dt.datetime, dt.timedelta, dt.date, uuid.UUID,
    decimal.Decimal, SecretStr, bytes, Literal["a", "b"], Literal[1, 2], Length, Hex, Annotated[str, Field(min_length=2)],
    Annotated[int, Field(gt=3)],
]  # fmt: skip

VALUES: list[Any] = [
    None, True, False, 0, 1, 4, -1, 1.0, 1.5, 10**20, "", "a", "abc", " abc ", "1", "1.0", "1e3", "yes", "red", "cat",
    "2026-01-01", "2026-01-01T00:00:00Z", "P1D", "1,2,3", "12345678-1234-5678-1234-567812345678", [], [1], ["a"],
    [1, "a"], [None], {}, {"id": "1"}, {"id": 1}, {"id": "1", "more": 1}, {"x": 1}, {"x": "1", "y": "2.5"}, {"a": 1},
    {"number": 7}, {"no": "7"}, {"orderId": "1"}, {"order_id": "1"}, {"order_id": 1}, {"items": "1,2"}, {"items": [1]},
    {"item": "tea"}, {"item": "tea", "price": "1.5"}, {"kind": "cat", "lives": 9}, {"kind": "dog", "lives": 9},
    {"cents": 5}, {"cents": 5, "euros": 0.05}, {"value": 1, "children": [{"value": 2}]},
    {"value": 1, "children": [{"value": "x"}]}, {"code": " abc "}, {"code": "ABC"}, {"code": "abcd"},
    {"id": "1", "items": [], "total": 1}, {"id": "1", "items": ["x"], "total": "9.5"},
    {"id": "1", "items": ["x"], "total": -1}, {"id": "1", "items": ["x"], "total": 1, "note": "much too long"},
    [{"id": "1", "items": [], "total": 1}], {"one": {"id": "1", "items": [], "total": 1}},
]  # fmt: skip


def named(hint: Any) -> str:
    """Return the same name in every process: those of functions hold an address."""
    return re.sub(" at 0x[0-9a-f]+", "", str(hint))


def reads(hint: Any, data: bytes) -> bool:
    try:
        Codecs().of(hint).read(data)
    except DOES_NOT_FIT:
        return False
    return True


@pytest.mark.parametrize("hint", TYPES, ids=named)
def test_no_value_is_refused_that_would_have_been_read(hint: Any) -> None:
    schema = Schemas().of(hint, "read")
    wrongly = [value for value in VALUES if misfit(schema, value) and reads(hint, json.dumps(value).encode())]
    assert wrongly == []


def test_most_values_that_would_not_have_been_read_are_refused() -> None:
    """By the same table: a schema that says nothing refuses nothing."""
    unread = [
        (hint, v)
        for hint in TYPES
        for v in VALUES
        if hint is not Any and not reads(hint, json.dumps(v).encode())
    ]
    missed = [(hint, v) for hint, v in unread if not misfit(Schemas().of(hint, "read"), v)]
    assert len(missed) / len(unread) < 0.15


@pytest.mark.parametrize("given", TYPES, ids=named)
def test_no_types_are_refused_of_which_a_value_would_have_been_read(given: Any) -> None:
    schemas, codecs = Schemas(), Codecs()
    written = [data for value in VALUES if (data := _written(given, value)) is not None]
    telling = [data for data in written if json.loads(data) not in ([], {}, None)]
    refused = [
        wanted
        for wanted in TYPES
        if type_misfit(
            schemas.of(given, "written"), schemas.of(wanted, "read"), strict=codecs.of(wanted).is_strict
        )
        is not None
    ]
    assert [(wanted, data) for wanted in refused for data in telling if reads(wanted, data)] == []


def _written(hint: Any, value: Any) -> bytes | None:
    """Return what a function of this annotation would have returned as JSON."""
    try:
        made = TypeAdapter(hint).validate_python(value, by_alias=True, by_name=True)
        return Codecs().of(hint).write(made)
    except DOES_NOT_FIT:
        return None


@pytest.mark.parametrize(
    ("given", "wanted", "says"),
    [
        (int, str, ("", "is a whole number, not a text")),
        (list[int], list[str], ("*", "is a whole number, not a text")),
        (Point, Order, ("id", "is not there")),
        (Order, Strict, ("items", "is not taken")),
        (Order, dict[str, int], ("id", "is a text, not a whole number")),
        (Literal["c"], Colour, ("", "is none of the values that are allowed")),
        (None, int, ("", "is null, not a whole number")),
        (int | None, str | list[str], ("", "is a whole number or null, not a text or a list")),
    ],
)
def test_why_types_do_not_fit(given: Any, wanted: Any, says: tuple[str, str]) -> None:
    schemas = Schemas()
    found = type_misfit(schemas.of(given, "written"), schemas.of(wanted, "read"), strict=True)
    assert found == says


def test_what_is_wrong_with_a_value_names_its_fields_and_never_the_value() -> None:
    schema = Schemas().of(list[Order], "read")
    found = misfit(schema, [{"id": "secret", "items": ["secret", None], "total": -1, "note": "secret!"}, 7])
    assert found == [
        ("0.items.1", "Input should be a valid string"),
        ("0.total", "Input should be greater than or equal to 0"),
        ("0.note", "String should have at most 5 characters"),
        ("1", "Input should be an object"),
    ]


def test_what_is_at_a_path() -> None:
    schema = Schemas().of(Aliased, "read")
    line = step_into(schema, "line")
    assert line is not None
    items = step_into(line, "items")
    assert items is not None
    assert step_into(items, "7") == items.at({"type": "string"})
    assert (step_into(items, "x"), step_into(line, "idd")) == (None, None)
    assert step_into(schema, "orderId") is not None
    assert step_into(Schemas().of(Open, "written"), "anything") is not None
    assert step_into(Schema({}), "anything") is not None


def test_a_schema_that_refers_to_itself_has_an_end() -> None:
    schema = Schema({"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"})
    assert misfit(schema, 1) == []
    assert type_misfit(schema, Schema({"type": "string"})) is None
    tree = Schemas().of(Tree, "read")
    assert type_misfit(Schemas().of(Tree, "written"), tree) is None
    deep: Any = {"value": 1}
    for _ in range(80):
        deep = {"value": 1, "children": [deep]}
    assert misfit(tree, deep) == []
