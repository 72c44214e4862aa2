"""Generates an example input from a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

_FORMATS: Final = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T09:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "time": "09:00:00Z",
    "uri": "https://example.com",
    "uuid": "0190a1b2-0000-7000-8000-000000000000",
}
_DEEPEST: Final = 8


def example_of(kind: Any) -> Any:
    """Return an example value for a type as JSON, or None for types without an example."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        schema = adapter.json_schema()
        found = _Example(schema.get("$defs", {})).value(schema, "", 0)
        adapter.validate_json(json.dumps(found))
    except (ValidationError, PydanticSchemaGenerationError, PydanticUserError, TypeError, ValueError):
        return None
    return found


class _Example:
    """Creates example values from the definitions of one schema."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def value(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("it contains itself without end")
        if "$ref" in schema:
            return self.value(self._definitions[schema["$ref"].rpartition("/")[2]], name, depth + 1)
        for said in ("examples", "enum"):
            if schema.get(said):
                return schema[said][0]
        for said in ("const", "default"):
            if said in schema:
                return schema[said]
        if choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
            return self.value(choices[0], name, depth + 1)
        return self._of_type(schema, name, depth)

    def _of_type(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        match schema.get("type"):
            case "object":
                wanted = schema.get("required", ())
                properties = schema.get("properties", {})
                return {one: self.value(properties.get(one, {}), one, depth + 1) for one in wanted}
            case "array":
                return self._items(schema, name, depth)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return True
            case "null":
                return None
            case "string":
                return _text(schema, name)
            case _:
                return {}

    def _items(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        if "prefixItems" in schema:
            return [self.value(one, name, depth + 1) for one in schema["prefixItems"]]
        item = self.value(schema.get("items", {}), name.removesuffix("s"), depth + 1)
        return [item] * max(1, schema.get("minItems", 1))


def _number(schema: Mapping[str, Any]) -> int | float:
    low: float = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    high: float = schema.get("maximum", schema.get("exclusiveMaximum", low + 2) - 1)
    step: float = schema.get("multipleOf", 1)
    found = min(max(1, low), high)
    return found if step == 1 else -(-found // step) * step


def _text(schema: Mapping[str, Any], name: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    text = "1" if name == "id" or name.endswith("_id") else name or "text"
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]
