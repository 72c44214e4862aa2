"""The Avro schema of a declared type, derived from the JSON Schema of what is written.

Values are the JSON of the type, so a field has the type of its JSON: a moment or a decimal is a text. What
has no counterpart in Avro is refused when the topic is declared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PRIMITIVES = {
    "string": "string",
    "integer": "long",
    "number": "double",
    "boolean": "boolean",
    "null": "null",
}


class NoAvroError(Exception):
    """No Avro schema represents this type; the text gives the reason."""


def avro_schema(topic: str, hint: Any) -> dict[str, Any]:
    """Return the schema of a record type, with a name space made of the topic's name."""
    try:
        schema = TypeAdapter(hint).json_schema(mode="serialization", by_alias=False)
    except (PydanticUserError, SchemaError, TypeError, NameError, KeyError) as error:
        raise NoAvroError(str(error).splitlines()[0]) from error
    derived = _Deriving(schema.get("$defs", {})).of(schema, "Value")
    if not isinstance(derived, dict) or derived.get("type") != "record":
        raise NoAvroError("Avro takes a class with fields: a model, a dataclass or a TypedDict")
    return {**derived, "namespace": _name_space(topic)}


class _Deriving:
    """One derivation, with names already given: Avro defines a name once, and refers to it after."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._named: dict[str, Any] = {}

    def of(self, node: Mapping[str, Any], name: str) -> Any:
        """Return the Avro type of a JSON Schema; `name` is for a record without a name of its own."""
        if "$ref" in node:
            target = node["$ref"].rpartition("/")[2]
            return target if target in self._named else self.of(self._definitions[target], target)
        if "allOf" in node and len(node["allOf"]) == 1:
            return self.of(node["allOf"][0], name)
        if "anyOf" in node:
            return self._union([self.of(each, f"{name}_{i}") for i, each in enumerate(node["anyOf"])])
        values = node["enum"] if "enum" in node else [node["const"]] if "const" in node else None
        if values is not None and "type" not in node:
            return self._union(list(dict.fromkeys(_of_value(each) for each in values)))
        kind = node.get("type")
        if kind == "object":
            return self._object(node, name)
        if kind == "array" and "items" in node and "prefixItems" not in node:
            return {"type": "array", "items": self.of(node["items"], f"{name}_item")}
        if isinstance(kind, str) and kind in _PRIMITIVES:
            return _PRIMITIVES[kind]
        raise NoAvroError(
            f"{name} has no type of Avro: give it one type, such as str, int, a list or a model"
        )

    def _object(self, node: Mapping[str, Any], name: str) -> Any:
        if "properties" not in node:
            others = node.get("additionalProperties")
            if not isinstance(others, dict):
                raise NoAvroError(f"{name} is an object of anything: say dict[str, int], or name its fields")
            return {"type": "map", "values": self.of(others, f"{name}_value")}
        own = _checked(node.get("title", name).replace(" ", "") if name == "Value" else name)
        self._named[own] = None
        required = node.get("required", ())
        fields = [
            self._field(field, each, own, is_required=field in required)
            for field, each in node["properties"].items()
        ]
        return {"type": "record", "name": own, "fields": fields}

    def _field(self, field: str, node: Mapping[str, Any], owner: str, *, is_required: bool) -> dict[str, Any]:
        kind = self.of(node, f"{owner}_{field}")
        if is_required:
            return {"name": _checked(field), "type": kind}
        # A TypedDict may leave a field out.
        if not isinstance(kind, list):
            kind = [kind]
        return {"name": _checked(field), "type": ["null", *(k for k in kind if k != "null")], "default": None}

    def _union(self, kinds: list[Any]) -> Any:
        flat = [each for kind in kinds for each in (kind if isinstance(kind, list) else [kind])]
        ordered = sorted(flat, key=lambda kind: kind != "null")
        return ordered[0] if len(ordered) == 1 else ordered


def _of_value(value: Any) -> str:
    kinds = {bool: "boolean", int: "long", float: "double", str: "string", type(None): "null"}
    return kinds[type(value)]


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise NoAvroError(f"{name[:100]!r} is not a name in Avro: letters, digits and _ only")
    return name


def _name_space(topic: str) -> str:
    parts = [re.sub(r"[^A-Za-z0-9_]", "_", part) for part in topic.split(".")]
    return ".".join(part if _NAME.match(part) else f"_{part}" for part in parts)
