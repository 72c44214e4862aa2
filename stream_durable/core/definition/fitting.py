"""Compiled JSON Schemas: the fast answer for fitting values.

A compiled schema accepts a value only where `misfit` finds nothing. For any other value `misfit` decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from stream_durable.core.definition.schema import (
    LIMITS,
    Kind,
    Misfit,
    Schema,
    matches_pattern,
    misfit,
    values_of,
)

_Check = Callable[[Any], bool]

#: Schemas that were compiled, by identity; each is kept, so that no other one gets it.
_compiled: dict[int, tuple[Any, _Check]] = {}
_COMPILED_MAX: Final = 500


def misfits(node: Any, value: Any) -> list[Misfit]:
    """Return the reasons for a misfit, none for a fit. The schema must not change later."""
    known = _compiled.get(id(node))
    if known is None:
        if len(_compiled) >= _COMPILED_MAX:
            _compiled.clear()
        known = _compiled[id(node)] = node, _of(Schema(node), {})
    try:
        if known[1](value):
            return []
    except RecursionError:
        pass
    return misfit(Schema(node), value)


def _anything(_: Any) -> bool:
    return True


def _undecided(_: Any) -> bool:
    return False


def _of(schema: Schema, known: dict[tuple[int, str], list[_Check]]) -> _Check:
    """Return the check of a schema; `known` holds begun checks, for recursive schemas."""
    kinds = schema.kinds()
    if any(kind.name is None for kind in kinds):
        return _anything
    checks = [_of_kind(kind, known) for kind in kinds]
    if len(checks) == 1:
        return checks[0]
    return lambda value: any(check(value) for check in checks)


def _of_kind(kind: Kind, known: dict[tuple[int, str], list[_Check]]) -> _Check:
    name = kind.name or ""
    if values_of(kind) is not None:
        return _of_values(kind)
    if name in _PLAIN:
        return _PLAIN[name](kind)
    if name not in ("object", "array"):
        return _undecided
    key = id(kind.schema.node), name
    if key in known:
        # It contains itself: its check is there when the first value comes.
        later = known[key]
        return lambda value: later[0](value)  # noqa: PLW0108 - by then it is another one
    begun = known[key] = [_undecided]
    begun[0] = _of_object(kind, known) if name == "object" else _of_list(kind, known)
    return begun[0]


def _of_values(kind: Kind) -> _Check:
    if any(kind.get(keyword) is not None for keyword in _BOUNDS):
        return _undecided
    # With the type: a 1 is no `true`.
    values = {(type(each), each) for each in values_of(kind) or () if isinstance(each, str | int)}
    types = {"string": str, "integer": int, "boolean": bool}
    wanted = types.get(kind.name or "")
    return lambda value: type(value) is wanted and (wanted, value) in values


def _of_text(kind: Kind) -> _Check:
    least, most, pattern = kind.get("minLength"), kind.get("maxLength"), kind.get("pattern")
    if kind.get("format") or (least is None and most is None and pattern is None):
        return lambda value: type(value) is str

    def check(value: Any) -> bool:
        return (
            type(value) is str
            and not (isinstance(least, int) and len(value) < least)
            and not (isinstance(most, int) and len(value) > most)
            and not (isinstance(pattern, str) and not matches_pattern(pattern, value))
        )

    return check


def _of_number(kind: Kind) -> _Check:
    types = (int,) if kind.name == "integer" else (int, float)
    limits = [
        (holds, limit)
        for keyword, (_, holds) in LIMITS.items()
        if isinstance(limit := kind.get(keyword), int | float)
    ]
    if not limits:
        return lambda value: type(value) in types
    return lambda value: type(value) in types and all(holds(value, limit) for holds, limit in limits)


_PLAIN: Final[dict[str, Callable[[Kind], _Check]]] = {
    "string": _of_text,
    "number": _of_number,
    "integer": _of_number,
    "boolean": lambda _: lambda value: value is True or value is False,
    "null": lambda _: lambda value: value is None,
}
_BOUNDS: Final = ("minLength", "maxLength", "pattern", *LIMITS)


def _of_object(kind: Kind, known: dict[tuple[int, str], list[_Check]]) -> _Check:
    required = set(kind.required)
    if any(len(kind.names_of(field)) > 1 for field in kind.fields):
        return _undecided
    fields = [
        (field, _of(kind.schema.at(node), known), field in required) for field, node in kind.fields.items()
    ]
    others = kind.other_fields
    others_check = None if others is None else _of(others, known)
    is_closed = kind.get("additionalProperties") is False
    # Then more fields than those are no matter.
    takes_all = others_check is _anything or (others is None and not is_closed)
    names = frozenset(kind.fields)

    def check(value: Any) -> bool:
        if type(value) is not dict:
            return False
        met = 0
        for field, fits, must in fields:
            if field in value:
                met += 1
                if not fits(value[field]):
                    return False
            elif must:
                return False
        if takes_all or met == len(value):
            return True
        if others_check is None:
            return False
        return all(others_check(each) for name, each in value.items() if name not in names)

    return check


def _of_list(kind: Kind, known: dict[tuple[int, str], list[_Check]]) -> _Check:
    least, most = kind.get("minItems"), kind.get("maxItems")
    if kind.get("prefixItems") is not None:
        return _undecided
    item = kind.item(None)
    fits = _anything if item is None else _of(item, known)

    def check(value: Any) -> bool:
        return (
            type(value) is list
            and not (isinstance(least, int) and len(value) < least)
            and not (isinstance(most, int) and len(value) > most)
            and (fits is _anything or all(map(fits, value)))
        )

    return check
