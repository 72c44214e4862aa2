"""Type faults of a workflow: paths leading nowhere, values their reader cannot decode.

Only certain faults are reported: without annotations, or with Any, everything passes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

import msgspec

from stream_durable.core.definition.nodes import AnyNode, ChildNode, EachNode, EventNode
from stream_durable.core.definition.paths import root_of
from stream_durable.core.definition.reads import reads_of
from stream_durable.core.definition.schema import (
    ANYTHING,
    Kind,
    Misfit,
    Schema,
    fields_of,
    misfit,
    step_into,
)
from stream_durable.core.definition.type_misfit import in_words, type_misfit
from stream_durable.sdk.known import Known, KnownValues
from stream_durable.sdk.options import Options

_KEYS = ("string", "integer", "number")


def judge_paths(values: KnownValues, node: AnyNode, options: Options) -> None:
    """Report paths of a node leading to nothing, or to an unusable type."""
    reads = reads_of(node)
    for path in reads.paths:
        there = _there(values, path, f"reads its {reads.what} at", options)
        if there is None:
            continue
        if isinstance(node, EventNode):
            _demand_key(there, path, options)
        elif isinstance(node, EachNode) and path == node.over:
            _demand(there, ("array",), path, "it needs a list", options)
    if isinstance(node, ChildNode):
        for path in _own_paths(node):
            _there(values, path, "reads its own output at", options)


def judge_key(values: KnownValues, path: str, options: Options) -> None:
    """Report a key in the input that leads to nothing, or to what is no key."""
    there = _there(values, path, "reads its key at", options)
    if there is not None:
        _demand_key(there, path, options)


def _demand_key(there: Known, path: str, options: Options) -> None:
    _demand(there, _KEYS, path, "its key has to be a text or a whole number", options)


def judge_child(values: KnownValues, node: ChildNode, wanted: Known, options: Options) -> None:
    """Report parts of a child's input unreadable for the child."""
    given = node.input
    if given is None:
        found: Iterable[tuple[str, Misfit]] = _of_value("", wanted.schema, None)
    elif isinstance(given, str):
        found = _of_path(values, "", given, wanted.schema)
    else:
        found = _of_fields(values, given, wanted.schema)
    for said, each in found:
        where = f"its input field {each.field!r}" if each.field else "its input"
        options.fault("unfit_input", f"{where} {_verb(each)}{said}, and {wanted.said}")


def _of_fields(values: KnownValues, given: dict[str, str], wanted: Schema) -> Iterable[tuple[str, Misfit]]:
    kind = _only_object(wanted)
    if kind is None:
        if not any(each.name in (None, "object") for each in wanted.kinds()):
            yield "", Misfit("", "is an object")
        return
    names = {name: field for field in kind.fields for name in kind.names_of(field)}
    for field in kind.required:
        if not any(name in given for name in kind.names_of(field)):
            yield "", Misfit(field, "is not there")
    for name, path in given.items():
        schema = kind.field(name)
        if schema is not None:
            yield from _of_path(values, name, path, schema)
        elif name not in names and kind.get("additionalProperties") is False:
            yield "", Misfit(name, "is not taken")


def _of_path(values: KnownValues, field: str, path: str, wanted: Schema) -> Iterable[tuple[str, Misfit]]:
    if path.startswith("="):
        with suppress(msgspec.DecodeError):  # which the core says
            yield from _of_value(field, wanted, msgspec.json.decode(path[1:]))
        return
    known = values.of(root_of(path))
    schema = None if known is None else _followed(known.schema, path)
    if known is not None and schema is not None and (found := type_misfit(schema, wanted)) is not None:
        yield f" at {path!r}, as {known.said}", _below(field, found)


def _of_value(field: str, wanted: Schema, value: Any) -> Iterable[tuple[str, Misfit]]:
    for each in misfit(wanted, value)[:1]:
        yield "", _below(field, each)


def _below(field: str, found: Misfit) -> Misfit:
    return found.inside(field) if field else found


def _verb(found: Misfit) -> str:
    return found.text if found.text.startswith("is ") else f"does not fit: {found.text}"


def _only_object(schema: Schema) -> Kind | None:
    """Return the only object type among alternatives, or None for several or none."""
    kinds = schema.kinds()
    if any(kind.name is None for kind in kinds):
        return None
    objects = [kind for kind in kinds if kind.name == "object"]
    return objects[0] if len(objects) == 1 else None


def _own_paths(node: ChildNode) -> list[str]:
    own = [] if node.until is None else [node.until]
    own += [path for path in node.again.values() if not path.startswith("=")]
    return [path for path in own if root_of(path) == node.name]


def _there(values: KnownValues, path: str, what: str, options: Options) -> Known | None:
    """Return the known type at a path, or report a missing field."""
    known = values.of(root_of(path))
    if known is None or not all(path.split(".")):
        return None
    schema = known.schema
    for part in path.split(".")[1:]:
        there = step_into(schema, part)
        if there is None:
            close = get_close_matches(part, fields_of(schema), 1)
            hint = f"; is {close[0]!r} meant?" if close else ""
            options.fault("unfit_path", f"it {what} {path!r}, but {known.said}: {part!r} is not there{hint}")
            return None
        schema = there
    return known._replace(schema=schema)


def _followed(schema: Schema, path: str) -> Schema | None:
    for part in path.split(".")[1:]:
        there = step_into(schema, part)
        if there is None:
            return None
        schema = there
    return schema


def _demand(there: Known, names: tuple[str, ...], path: str, rule: str, options: Options) -> None:
    """Report a type unfit for the use."""
    if all(type_misfit(there.schema, ANYTHING.at({"type": name}), strict=True) for name in names):
        kinds = " or ".join(dict.fromkeys(in_words(kind) for kind in there.schema.kinds()))
        options.fault("unfit_path", f"{rule}, and at {path!r} is {kinds}: {there.said}")
