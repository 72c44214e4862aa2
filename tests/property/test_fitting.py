"""A compiled schema refuses and accepts the same values, for the same reasons, as the schema itself."""

from __future__ import annotations

from typing import Any

import pytest
from budget import EXAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from stream_durable.core.definition.fitting import misfits
from stream_durable.core.definition.schema import ALIASES, Schema, misfit

NAMES = st.sampled_from(["a", "b", "c"])
ATOMS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.5, 1.0, -2.5]),
    st.sampled_from(["", "a", "ab", " a ", "1", "true", "0.5"]),
)  # fmt: skip
VALUES = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)


def some(**keywords: Any) -> Any:
    """Return dicts with some of these keywords."""
    return st.fixed_dictionaries({}, optional=keywords)


PLAIN = st.one_of(
    st.just({}), st.just({"type": "null"}), st.just({"type": "boolean"}),
    st.just({"type": ["string", "null"]}),
    some(
        minLength=st.integers(0, 2), maxLength=st.integers(0, 2), pattern=st.sampled_from(["^a", "(", "b$"]),
        format=st.just("date"),
    ).map(lambda found: {"type": "string", **found}),
    st.builds(
        lambda name, found: {"type": name, **found}, st.sampled_from(["integer", "number"]),
        some(
            minimum=st.integers(-2, 2), exclusiveMaximum=st.integers(-2, 2), enum=st.lists(ATOMS, max_size=3)
        ),
    ),
    st.lists(ATOMS, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    ATOMS.map(lambda value: {"const": value, "type": "string"}),
)  # fmt: skip


def around(inner: Any) -> Any:
    """Return schemas that contain others."""
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each}),
        some(
            items=inner | st.booleans(), minItems=st.integers(0, 2), maxItems=st.integers(0, 2),
            uniqueItems=st.just(True), prefixItems=st.lists(inner, max_size=2),
        ).map(lambda found: {"type": "array", **found}),
        some(
            properties=st.dictionaries(NAMES, inner, max_size=3), required=st.lists(NAMES, max_size=2),
            additionalProperties=inner | st.booleans(),
        ).flatmap(
            lambda found: some(**{ALIASES: st.just({"a": "c"})}).map(
                lambda other: {"type": "object", **found, **other}
            )
        ),
        st.just({"$ref": "#/$defs/Tree"}),
    )  # fmt: skip


TREE = {"type": "object", "properties": {"a": {"$ref": "#/$defs/Tree"}, "b": {"type": "integer"}}}


@settings(max_examples=EXAMPLES * 10, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(PLAIN, around, max_leaves=6), st.lists(VALUES, min_size=1, max_size=8))
def test_a_compiled_schema_is_the_schema(node: Any, values: list[Any]) -> None:
    node = {**node, "$defs": {"Tree": TREE}}
    for value in values:
        assert misfits(node, value) == misfit(Schema(node), value)


class Line(BaseModel):
    item: str = Field(min_length=1)
    parts: list[Line] = []


class Order(BaseModel):
    id: str
    lines: list[Line]
    total: float = Field(ge=0)


@pytest.mark.parametrize(
    "value",
    [
        {"id": "o", "lines": [{"item": "a", "parts": [{"item": "b"}]}], "total": 1},
        {"id": "o", "lines": [{"item": "a", "parts": [{"item": ""}]}], "total": 1},
        {"id": 1, "lines": [], "total": -1},
        {"id": "o", "lines": [{"item": "a", "more": 1}], "total": "1"},
    ],
)
def test_types_that_contain_themselves_are_compiled(value: Any) -> None:
    node = Order.model_json_schema()
    assert misfits(node, value) == misfit(Schema(node), value)


def test_what_is_nested_too_deep_for_the_compiled_one_is_left_to_the_other() -> None:
    node = {"$ref": "#/$defs/Tree", "$defs": {"Tree": TREE}}
    value: dict[str, Any] = {}
    for _ in range(5_000):
        value = {"a": value}
    assert misfits(node, value) == []
