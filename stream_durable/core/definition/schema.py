"""JSON Schemas of values, as far as definitions need them: the schema at a path, and whether a value fits.

Readers may be lenient (numeric text passes for a number), so these functions are too: they refuse only values
no reader accepts, and unknown keywords refuse nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

#: Other names under which a field may be written, by its own name. No keyword of JSON Schema.
ALIASES = "x-aliases"
#: Deeper values are not looked into.
DEPTH_MAX = 50

_INTEGER = re.compile(r"\s*[+-]?\d[\d_]*(\.0*)?\s*\Z")
_TRUE_OR_FALSE = frozenset({"true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0"})


def _mapping(node: Any) -> Mapping[str, Any]:
    return node if isinstance(node, dict) else {}


class Misfit(NamedTuple):
    """The place and the reason of a misfit of a value or a type, without the value."""

    #: Such as `items.0.price`; empty: the whole.
    field: str
    text: str

    def inside(self, part: str | int) -> Misfit:
        """Return the misfit as seen from one level above."""
        return self._replace(field=f"{part}.{self.field}" if self.field else str(part))


class Schema:
    """A place in a JSON Schema, with the definitions in scope."""

    __slots__ = ("_defs", "node")

    def __init__(self, node: Any, defs: Mapping[str, Any] | None = None) -> None:
        """Wrap a schema; a top-level schema brings its definitions."""
        self.node: Any = node
        self._defs: Mapping[str, Any] = defs if defs is not None else _mapping(node).get("$defs", {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schema) and self.node == other.node and self._defs == other._defs

    __hash__ = None  # type: ignore[assignment]  # nobody keeps them in a set

    def at(self, node: Any) -> Schema:
        """Return another place in the same schema."""
        return Schema(node, self._defs)

    def or_null(self) -> Schema:
        """Return the same where there may be nothing, too."""
        if any(kind.name in (None, "null") for kind in self.kinds()):
            return self
        inner = {key: value for key, value in _mapping(self.node).items() if key != "$defs"}
        return self.at({"anyOf": [inner, {"type": "null"}]})

    def whole(self) -> dict[str, Any]:
        """Return a standalone schema including referenced definitions."""
        node = dict(_mapping(self.node))
        return {**node, "$defs": dict(self._defs)} if self._defs else node

    def kinds(self, depth: int = 0) -> list[Kind]:
        """Return the alternatives of a schema, one per type; without a type, any value."""
        node = _mapping(self.node)
        if (ref := node.get("$ref")) is not None:
            found = self._defs.get(str(ref).rpartition("/")[2])
            return [_ANYTHING] if found is None or depth > DEPTH_MAX else self.at(found).kinds(depth + 1)
        either = node.get("anyOf") or node.get("oneOf")
        if isinstance(either, Sequence) and not isinstance(either, str):
            return [kind for each in either for kind in self.at(each).kinds(depth + 1)]
        if isinstance(every := node.get("allOf"), list):
            return self.at(every[0]).kinds(depth + 1) if len(every) == 1 else [_ANYTHING]
        name = node.get("type")
        names = name if isinstance(name, list) else [name]
        return [Kind(each if isinstance(each, str) else _type_of_values(node), self) for each in names]


class Kind:
    """An alternative for a value."""

    __slots__ = ("name", "schema")

    def __init__(self, name: str | None, schema: Schema) -> None:
        #: A type of JSON Schema; None: anything.
        self.name = name
        self.schema = schema

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return the value of a keyword."""
        return _mapping(self.schema.node).get(keyword, default)

    @property
    def fields(self) -> Mapping[str, Any]:
        """The named fields of an object."""
        return _mapping(self.get("properties", {}))

    @property
    def required(self) -> Sequence[str]:
        """The required fields of an object."""
        return list(self.get("required", ()))

    @property
    def other_fields(self) -> Schema | None:
        """The schema of fields without a name here; None: not allowed."""
        more = self.get("additionalProperties", None if "properties" in _mapping(self.schema.node) else True)
        return None if more is None or more is False else self.schema.at(more)

    def names_of(self, field: str) -> tuple[str, ...]:
        """Return the accepted names of a field."""
        other = _mapping(self.get(ALIASES, {})).get(field)
        return (field,) if other is None else (field, other)

    def field(self, name: str) -> Schema | None:
        """Return the schema of the field with a name, or None."""
        for own, found in self.fields.items():
            if name in self.names_of(own):
                # A text computed for display need not be stored.
                return ANYTHING if _mapping(found).get("readOnly") else self.schema.at(found)
        return self.other_fields

    def item(self, at: int | None) -> Schema | None:
        """Return what an item of a list is; None as a position means any."""
        first = self.get("prefixItems")
        if isinstance(first, list) and first:
            if at is None:
                return ANYTHING
            if at < len(first):
                return self.schema.at(first[at])
            return None if self.get("maxItems") == len(first) else self.schema.at(self.get("items", True))
        items = self.get("items", True)
        return None if items is False else self.schema.at(items)


ANYTHING = Schema({})
_ANYTHING = Kind(None, ANYTHING)


def step_into(schema: Schema, part: str) -> Schema | None:
    """Return the schema at one path segment; None without any value there."""
    found = [there for kind in schema.kinds() if (there := _part(kind, part)) is not None]
    if len(found) > 1:
        return ANYTHING
    return found[0] if found else None


def _part(kind: Kind, part: str) -> Schema | None:
    if kind.name is None:
        return ANYTHING
    if kind.name == "object":
        return kind.field(part)
    return kind.item(int(part)) if kind.name == "array" and part.isdecimal() else None


def fields_of(schema: Schema) -> list[str]:
    """Return the names of the fields that a value may have, for a hint."""
    return [name for kind in schema.kinds() if kind.name == "object" for name in kind.fields]


def misfit(schema: Schema, value: Any, depth: int = 0) -> list[Misfit]:
    """Return the reason for a value's misfit, or None for a fit."""
    best: list[Misfit] | None = None
    kinds = schema.kinds()
    for kind in kinds if depth <= DEPTH_MAX else ():
        found = list(_of_kind(kind, value, depth))
        if not found:
            return []
        if best is None or _weight(found) < _weight(best):
            best = found
    return best or []


def _weight(found: list[Misfit]) -> tuple[bool, int]:
    """Rank alternatives: the best fits as a whole, except for some fields."""
    return any(not each.field for each in found), len(found)


def _of_kind(kind: Kind, value: Any, depth: int) -> Iterator[Misfit]:
    if kind.name is None:
        return
    if not takes(kind, value):
        yield Misfit("", _WANTED.get(kind.name, f"Input should be a valid {kind.name}"))
        return
    if (values := values_of(kind)) is not None and not any(_is_same(value, each) for each in values):
        yield Misfit("", "Input is none of the values that are allowed")
    elif kind.name == "object" and isinstance(value, dict):
        yield from _fields(kind, value, depth)
    elif kind.name == "array" and isinstance(value, list):
        yield from _items(kind, value, depth)
    else:
        yield from _bounds(kind, value)


def _fields(kind: Kind, value: Mapping[str, Any], depth: int) -> Iterator[Misfit]:
    required, known = set(kind.required), set[str]()
    for field, schema in kind.fields.items():
        names = kind.names_of(field)
        known.update(names)
        there = next((name for name in names if name in value), None)
        if there is not None:
            found = misfit(kind.schema.at(schema), value[there], depth + 1)
            yield from (each.inside(field) for each in found)
        elif field in required:
            yield Misfit(field, "Field required")
    others = kind.other_fields
    for name in value if others is not None or kind.get("additionalProperties") is False else ():
        if name in known:
            continue
        if others is None:
            yield Misfit(name, "Extra inputs are not permitted")
        else:
            yield from (each.inside(name) for each in misfit(others, value[name], depth + 1))


def _items(kind: Kind, value: list[Any], depth: int) -> Iterator[Misfit]:
    least, most = kind.get("minItems"), kind.get("maxItems")
    if isinstance(least, int) and len(value) < least:
        yield Misfit("", f"List should have at least {least} items, not {len(value)}")
    if isinstance(most, int) and len(value) > most and not kind.get("uniqueItems"):
        yield Misfit("", f"List should have at most {most} items, not {len(value)}")
    for i, each in enumerate(value):
        if (wanted := kind.item(i)) is not None:
            yield from (found.inside(i) for found in misfit(wanted, each, depth + 1))


def _bounds(kind: Kind, value: Any) -> Iterator[Misfit]:
    """Return the bound exceeded by a value; numbers written as texts are not checked."""
    if isinstance(value, str) and kind.name == "string" and not kind.get("format"):
        least, most, pattern = kind.get("minLength"), kind.get("maxLength"), kind.get("pattern")
        if isinstance(least, int) and len(value) < least:
            yield Misfit("", f"String should have at least {least} characters")
        if isinstance(most, int) and len(value.strip()) > most:
            yield Misfit("", f"String should have at most {most} characters")
        if isinstance(pattern, str) and not (
            matches_pattern(pattern, value) or matches_pattern(pattern, value.strip())
        ):
            yield Misfit("", "String should match the pattern that is declared for it")
    elif isinstance(value, int | float) and not isinstance(value, bool) and kind.name in _NUMBERS:
        for keyword, (word, holds) in LIMITS.items():
            limit = kind.get(keyword)
            if isinstance(limit, int | float) and not holds(value, limit):
                yield Misfit("", f"Input should be {word} {limit}")


_NUMBERS = ("integer", "number")
#: By keyword: what is said of a number outside, and what holds inside.
LIMITS: dict[str, tuple[str, Any]] = {
    "minimum": ("greater than or equal to", lambda value, limit: value >= limit),
    "maximum": ("less than or equal to", lambda value, limit: value <= limit),
    "exclusiveMinimum": ("greater than", lambda value, limit: value > limit),
    "exclusiveMaximum": ("less than", lambda value, limit: value < limit),
}
_WANTED = {
    "integer": "Input should be a valid integer",
    "number": "Input should be a valid number",
    "string": "Input should be a valid string",
    "boolean": "Input should be a valid boolean",
    "array": "Input should be a valid list",
    "object": "Input should be an object",
    "null": "Input should be None",
}


def takes(kind: Kind, value: Any) -> bool:
    """Return whether a value can be of this type at all."""
    test = _TAKES.get(kind.name or "")
    return test is None or bool(test(kind, value))


def _is_object_or_list(kind: Kind, value: Any) -> bool:
    # A tuple with names may be written as an object.
    return isinstance(value, list) or (isinstance(value, dict) and kind.get("prefixItems") is not None)


def _is_text(kind: Kind, value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) or (is_number and kind.get("format") is not None)


def _is_true_or_false(_: Kind, value: Any) -> bool:
    return value.lower() in _TRUE_OR_FALSE if isinstance(value, str) else value in (0, 1)


def _is_number(_: Kind, value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and _reads_as_number(value))


def _is_integer(_: Kind, value: Any) -> bool:
    if isinstance(value, str):
        return _INTEGER.match(value) is not None
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


_TAKES: dict[str, Callable[[Kind, Any], bool]] = {
    "null": lambda _, value: value is None,
    "object": lambda _, value: isinstance(value, dict),
    "array": _is_object_or_list,
    "string": _is_text,
    "boolean": _is_true_or_false,
    "integer": _is_integer,
    "number": _is_number,
}


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def values_of(kind: Kind) -> list[Any] | None:
    """Return the only allowed values, or None for an open set."""
    node = _mapping(kind.schema.node)
    if "const" in node:
        return [node["const"]]
    values = node.get("enum")
    return values if isinstance(values, list) else None


def _is_same(value: Any, other: Any) -> bool:
    if isinstance(value, str) and isinstance(other, int | float):
        return _reads_as_number(value) and float(value) == other
    return bool(value == other) or str(value) == str(other)


def _type_of_values(node: Mapping[str, Any]) -> str | None:
    """Return the common type of listed values, if any."""
    values = [node["const"]] if "const" in node else node.get("enum")
    types = {_TYPES.get(type(value)) for value in values} if isinstance(values, list) else set()
    return types.pop() if len(types) == 1 else None


_TYPES: dict[type, str] = {str: "string", int: "integer", bool: "boolean", type(None): "null"}


def matches_pattern(pattern: str, text: str) -> bool:
    """Return whether a text contains a pattern; a pattern of another dialect counts as contained."""
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(text) is not None


@lru_cache(256)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern)
    except re.error:
        return None  # of another dialect
