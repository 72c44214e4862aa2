"""JSON Schemas of declared types, made by pydantic, for both sides of a hand-over.

A type reading more than its schema says, through a custom validator, has no schema: no check is better than
refusing readable values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import SchemaError

from stream_durable.core.definition.schema import ALIASES, ANYTHING, Schema

Side = Literal["read", "written"]

_MODES: Mapping[Side, JsonSchemaMode] = {"read": "validation", "written": "serialization"}
#: In a schema of pydantic's own: what is read in ways that JSON Schema has no words for.
_OPAQUE = {"coerce_numbers_to_str": True, "custom_init": True}


class Schemas:
    """The JSON Schemas of one workflow's types, each made once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Side, Any], Schema] = {}

    def of(self, hint: Any, side: Side) -> Schema:
        """Return the schema of a type for reading or for writing; anything goes for unknown types."""
        if hint is Any or hint is object:
            return ANYTHING
        key = (side, hint)
        try:
            known = self._known.get(key)
        except TypeError:  # what cannot be hashed is made anew
            return _schema(hint, side)
        if known is None:
            known = self._known[key] = _schema(hint, side)
        return known


def _schema(hint: Any, side: Side) -> Schema:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
        if side == "read" and _is_opaque(adapter.core_schema):
            return ANYTHING
        node = _generated(adapter, side, by_alias=False)
        aliased = _generated(adapter, side, by_alias=True) if side == "read" else node
    except (PydanticUserError, SchemaError, TypeError, NameError, KeyError, RecursionError):
        return ANYTHING
    if aliased != node:
        _note_aliases(node, aliased)
    return Schema(node)


def _generated(adapter: TypeAdapter[Any], side: Side, *, by_alias: bool) -> JsonSchemaValue:
    return adapter.json_schema(by_alias=by_alias, mode=_MODES[side], schema_generator=_Generator)


class _Generator(GenerateJsonSchema):
    """Leaves out types read or written by an author's function."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        return {} if self.mode == "validation" else super().function_before_schema(schema)

    def function_wrap_schema(self, schema: Any) -> JsonSchemaValue:
        return {} if self.mode == "validation" else super().function_wrap_schema(schema)

    def function_plain_schema(self, schema: Any) -> JsonSchemaValue:
        return {}

    def json_schema(self, schema: Any) -> JsonSchemaValue:
        return {}

    def ser_schema(self, schema: Any) -> JsonSchemaValue | None:
        found = super().ser_schema(schema)
        return {} if found is None and schema["type"] in ("function-plain", "function-wrap") else found

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {}


def _is_opaque(schema: Any) -> bool:
    """Return whether a type is read in ways missing from the JSON Schema."""
    pending = [schema]
    while pending:
        each = pending.pop()
        if isinstance(each, dict):
            if isinstance(each.get("validation_alias"), list):
                return True
            if any(each.get(key) is value for key, value in _OPAQUE.items()):
                return True
            pending += [value for key, value in each.items() if key != "metadata"]
        elif isinstance(each, list | tuple):
            pending += each
    return False


def _note_aliases(node: Any, aliased: Any) -> None:
    """Record further accepted names of fields, the only difference between both schemas."""
    if isinstance(node, dict) and isinstance(aliased, dict):
        names, others = node.get("properties"), aliased.get("properties")
        if isinstance(names, dict) and isinstance(others, dict) and list(names) != list(others):
            node[ALIASES] = {a: b for a, b in zip(names, others, strict=True) if a != b}
        for one, other in zip(node.values(), aliased.values(), strict=False):
            _note_aliases(one, other)
    elif isinstance(node, list) and isinstance(aliased, list):
        for one, other in zip(node, aliased, strict=True):
            _note_aliases(one, other)
