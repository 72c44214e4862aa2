"""Inputs that are made up for a workflow are inputs that it takes."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from stream_durable.sdk.example import example_of


class Size(Enum):
    SMALL = "small"


class Line(BaseModel):
    sku: Annotated[str, Field(min_length=8, max_length=12)]
    count: Annotated[int, Field(gt=10, le=12)]
    price: Decimal


class Order(BaseModel):
    id: str
    customer_id: UUID
    at: datetime
    size: Size
    kind: Literal["gift"]
    lines: Annotated[list[Line], Field(min_length=2)]
    note: str | None
    extra: dict[str, int]
    pair: tuple[int, str]
    left_out: int = 3


class Loop(BaseModel):
    again: Loop


class Odd(BaseModel):
    code: Annotated[str, Field(pattern="^[0-9]{4}$")]


@pytest.mark.parametrize("kind", [Order, Line, int, list[Line], dict[str, Any], None, str | None, bool])
def test_it_is_valid(kind: Any) -> None:
    TypeAdapter(kind).validate_python(example_of(kind))


def test_only_what_is_required_is_made_up() -> None:
    found = example_of(Order)

    assert (found["id"], found["size"], "left_out" in found) == ("1", "small", False)


@pytest.mark.parametrize("kind", [Loop, Odd, object()])
def test_what_cannot_be_made_up_is_not(kind: Any) -> None:
    assert example_of(kind) is None
