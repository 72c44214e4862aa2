"""Whether an answer fits the schema of its question: what the fold judges, without a library.

The edge has judged by all of JSON Schema before. Here is a closed set of keywords, whose meaning never
changes: type, const, enum, required, properties, additionalProperties, items, the bounds of numbers, texts
and lists, uniqueItems, format of dates, anyOf, oneOf, allOf and references within the schema. Others pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

import msgspec

from stream_durable.core.definition.schema import DEPTH_MAX, Misfit

#: Number of places checked; further ones pass.
CHECKS_MAX = 5_000
#: The schema that every value fits.
ANYTHING: Any = True


def answer_misfit(schema: str, value: Any) -> Misfit | None:
    """Return the first reason why a decoded answer does not fit the JSON text of a schema; None: it fits."""
    node = _parsed(schema)
    return next(_Judge(node).faults(node, value, 0), None)


@lru_cache(256)
def _parsed(schema: str) -> Any:
    return msgspec.json.decode(schema)


class _Judge:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = CHECKS_MAX

    def faults(self, node: Any, value: Any, depth: int) -> Iterator[Misfit]:
        self._left -= 1
        if self._left < 0 or depth > DEPTH_MAX:
            return
        if node is False:
            yield Misfit("", "nothing is allowed here")
        if not isinstance(node, dict):
            return
        if isinstance(ref := node.get("$ref"), str):
            yield from self.faults(resolved(self._root, ref), value, depth + 1)
        yield from self._combined(node, value, depth)
        if not _is_of_types(node.get("type"), value):
            yield Misfit("", f"has to be {_types_in_words(node['type'])}")
            return
        yield from _values(node, value)
        if isinstance(value, dict):
            yield from self._fields(node, value, depth)
        elif isinstance(value, list):
            yield from self._items(node, value, depth)
        elif isinstance(value, str):
            yield from _text(node, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from _number(node, value)

    def _combined(self, node: Mapping[str, Any], value: Any, depth: int) -> Iterator[Misfit]:
        for each in _list(node, "allOf"):
            yield from self.faults(each, value, depth + 1)
        if any_of := _list(node, "anyOf"):
            found = [next(self.faults(each, value, depth + 1), None) for each in any_of]
            if None not in found:
                yield found[0] if len(found) == 1 and found[0] else Misfit("", "fits none of what is allowed")
        if one_of := _list(node, "oneOf"):
            fitting = sum(next(self.faults(each, value, depth + 1), None) is None for each in one_of)
            if fitting != 1:
                yield Misfit("", "has to fit one of what is allowed, and only one")

    def _fields(self, node: Mapping[str, Any], value: Mapping[str, Any], depth: int) -> Iterator[Misfit]:
        for name in _list(node, "required"):
            if isinstance(name, str) and name not in value:
                yield Misfit(name, "is missing")
        known = node.get("properties")
        known = known if isinstance(known, dict) else {}
        others = node.get("additionalProperties", True) if "patternProperties" not in node else True
        for name, held in value.items():
            if name in known:
                yield from (fault.inside(name) for fault in self.faults(known[name], held, depth + 1))
            elif others is False:
                yield Misfit(name, "is no field of it")
            else:
                yield from (fault.inside(name) for fault in self.faults(others, held, depth + 1))

    def _items(self, node: Mapping[str, Any], value: list[Any], depth: int) -> Iterator[Misfit]:
        yield from _bounded(node, len(value), "minItems", "maxItems", "items")
        if node.get("uniqueItems") is True and len({_plain(each) for each in value}) < len(value):
            yield Misfit("", "holds an item twice")
        first = _list(node, "prefixItems")
        rest = node.get("items", True)
        for i, each in enumerate(value):
            of = first[i] if i < len(first) else rest
            yield from (fault.inside(i) for fault in self.faults(of, each, depth + 1))


def resolved(root: Any, ref: str, nowhere: object = ANYTHING) -> Any:
    """Return what a reference within a schema leads to, or `nowhere`: by default what anything fits."""
    node = root
    for part in ref.removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, dict) or name not in node:
            return nowhere
        node = node[name]
    return node if ref.startswith("#") and (ref == "#" or "/" in ref) else nowhere


def _is_of_types(types: Any, value: Any) -> bool:
    names = types if isinstance(types, list) else [types]
    return any(_is_of_type(name, value) for name in names)


def _is_of_type(name: Any, value: Any) -> bool:
    test = _TYPES.get(name) if isinstance(name, str) else None
    return test is None or test(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
_WORDS: Mapping[str, str] = {
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "an object",
}


def _types_in_words(types: Any) -> str:
    names = types if isinstance(types, list) else [types]
    return " or ".join(_WORDS.get(name, str(name)) for name in names)


def _values(node: Mapping[str, Any], value: Any) -> Iterator[Misfit]:
    allowed = [node["const"]] if "const" in node else node.get("enum")
    if isinstance(allowed, list) and _plain(value) not in {_plain(each) for each in allowed}:
        shown = ", ".join(msgspec.json.encode(each).decode() for each in allowed)
        yield Misfit("", f"has to be one of {shown[:300]}")


def _text(node: Mapping[str, Any], value: str) -> Iterator[Misfit]:
    yield from _bounded(node, len(value), "minLength", "maxLength", "characters")
    if node.get("format") == "date" and not _is_date(value):
        yield Misfit("", "has to be a date such as 2026-11-28")


def _is_date(value: str) -> bool:
    try:
        return date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _number(node: Mapping[str, Any], value: float) -> Iterator[Misfit]:
    for keyword, (word, holds) in _LIMITS.items():
        limit = node.get(keyword)
        if isinstance(limit, int | float) and not holds(value, limit):
            yield Misfit("", f"has to be {word} {limit}")


_LIMITS: Mapping[str, tuple[str, Callable[[float, float], bool]]] = {
    "minimum": ("at least", lambda value, limit: value >= limit),
    "maximum": ("at most", lambda value, limit: value <= limit),
    "exclusiveMinimum": ("more than", lambda value, limit: value > limit),
    "exclusiveMaximum": ("less than", lambda value, limit: value < limit),
}


def _bounded(node: Mapping[str, Any], size: int, least: str, most: str, unit: str) -> Iterator[Misfit]:
    low, high = node.get(least), node.get(most)
    if isinstance(low, int) and size < low:
        yield Misfit("", f"has {size} {unit}, {low} are the least")
    if isinstance(high, int) and size > high:
        yield Misfit("", f"has {size} {unit}, {high} are the most")


def _plain(value: Any) -> bytes:
    """Return equal values for equal JSON: 1 and 1.0, and objects in any order."""
    return msgspec.json.encode(_whole(value), order="sorted")


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {name: _whole(each) for name, each in value.items()}
    return value


def _list(node: Mapping[str, Any], keyword: str) -> list[Any]:
    found = node.get(keyword)
    return found if isinstance(found, list) else []
