"""Decides whether values of one type can ever be read as another, to reject definitions early.

Reports only certain mismatches: if some values could be read, such as an empty list as a list of anything,
the item types decide, since nobody declares an always empty list.
"""

from __future__ import annotations

from stream_durable.core.definition.schema import DEPTH_MAX, Kind, Misfit, Schema, values_of

#: Types readable as other types, leniently and strictly.
_LENIENT: dict[str, frozenset[str]] = {
    "integer": frozenset({"integer", "number", "string", "boolean"}),
    "number": frozenset({"integer", "number", "string", "boolean"}),
    "boolean": frozenset({"boolean", "integer", "number", "string"}),
    "string": frozenset({"string"}),
    "array": frozenset({"array"}),
    "object": frozenset({"object"}),
    "null": frozenset({"null"}),
}
_STRICT: dict[str, frozenset[str]] = {
    **{name: frozenset({name}) for name in _LENIENT},
    "number": frozenset({"integer", "number"}),
    "integer": frozenset({"integer", "number"}),
}


def type_misfit(given: Schema, wanted: Schema, *, strict: bool = False) -> Misfit | None:
    """Say why no value of a type can be read as another; None: some can, as far as is known.

    A `strict` reader takes no text for a number.
    """
    return _misfit(given, wanted, _STRICT if strict else _LENIENT, 0)


def _misfit(given: Schema, wanted: Schema, table: dict[str, frozenset[str]], depth: int) -> Misfit | None:
    if depth > DEPTH_MAX or given == wanted:
        return None
    found: list[Misfit] = []
    these, those = given.kinds(), wanted.kinds()
    for one in these:
        for other in those:
            misfit = _of_kinds(one, other, table, depth)
            if misfit is None:
                return None
            found.append(misfit)
    inner = [each for each in found if each.field]
    if len(inner) == 1 or len(found) == 1:
        return (inner or found)[0]
    return Misfit("", f"is {_listed(these)}, not {_listed(those)}") if found else None


def _of_kinds(one: Kind, other: Kind, table: dict[str, frozenset[str]], depth: int) -> Misfit | None:
    if one.name is None or other.name is None:
        return None
    if one.name not in table.get(other.name, {one.name}) and not _has_other_form(one, other):
        return Misfit("", f"is {in_words(one)}, not {in_words(other)}")
    values, allowed = values_of(one), values_of(other)
    if values is not None and allowed is not None and not {*map(str, values)} & {*map(str, allowed)}:
        return Misfit("", "is none of the values that are allowed")
    if one.name == other.name == "object":
        return _fields(one, other, table, depth)
    if one.name == other.name == "array":
        return _items(one, other, table, depth)
    return None


def _has_other_form(one: Kind, other: Kind) -> bool:
    """Say whether it may be written in another form: a moment as a number, a named tuple as an object."""
    if other.name == "string":
        return other.get("format") is not None and one.name in ("integer", "number")
    return other.name == "array" and one.name == "object" and other.get("prefixItems") is not None


def _fields(one: Kind, other: Kind, table: dict[str, frozenset[str]], depth: int) -> Misfit | None:
    required, always = set(other.required), set(one.required)
    for field, schema in other.fields.items():
        there = [found for name in other.names_of(field) if (found := one.field(name)) is not None]
        if not there:
            if field in required:
                return Misfit(field, "is not there")
        elif field in required or field in always:
            misfit = _misfit(there[0], other.schema.at(schema), table, depth + 1)
            if misfit is not None:
                return misfit.inside(field)
    return _other_fields(one, other, table, depth)


def _other_fields(one: Kind, other: Kind, table: dict[str, frozenset[str]], depth: int) -> Misfit | None:
    """Compare fields without a name in the other type."""
    more = other.other_fields
    known = {name for field in other.fields for name in other.names_of(field)}
    for field in one.required:
        there = one.field(field)
        if field in known or there is None:
            continue
        if more is None:
            if other.get("additionalProperties") is False:
                return Misfit(field, "is not taken")
        elif (misfit := _misfit(there, more, table, depth + 1)) is not None:
            return misfit.inside(field)
    values = one.other_fields
    if more is None or values is None or one.fields or other.fields:
        return None
    misfit = _misfit(values, more, table, depth + 1)
    return None if misfit is None else misfit.inside("*")


def _items(one: Kind, other: Kind, table: dict[str, frozenset[str]], depth: int) -> Misfit | None:
    if one.get("prefixItems") is not None or other.get("prefixItems") is not None:
        return None
    item, wanted = one.item(None), other.item(None)
    if item is None or wanted is None:
        return None
    misfit = _misfit(item, wanted, table, depth + 1)
    return None if misfit is None else misfit.inside("*")


def in_words(kind: Kind) -> str:
    """Return the word for a kind of value."""
    return "anything" if kind.name is None else _NAMES.get(kind.name, kind.name)


def _listed(kinds: list[Kind]) -> str:
    return " or ".join(dict.fromkeys(map(in_words, kinds)))


_NAMES: dict[str, str] = {
    "null": "null", "integer": "a whole number", "number": "a number", "string": "a text",
    "boolean": "true or false", "array": "a list", "object": "an object",
}  # fmt: skip
