"""Asks at a terminal for an answer: a value for a plain question, field by field for a form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from stream_durable.client import Question

_NUMBERS: Final = frozenset({"number", "integer"})
#: Stands for a field that is left out.
_NOTHING: Final = object()
#: So many references are followed to find out how a field is typed.
_DEPTH_MAX: Final = 10


def asked_for(question: Question) -> Any:
    """Return a fitting answer, typed by a person."""
    if question.prompt:
        typer.echo(question.prompt, err=True)
    schema = dict(question.schema)
    if question.answer != "form" or not isinstance(schema.get("properties"), dict):
        return _value("answer", schema, schema, is_required=True)
    found = {}
    required = schema.get("required", ())
    for name, node in schema["properties"].items():
        # A single field: references lead into the whole schema.
        value = _value(name, node, schema, is_required=name in required)
        if value is not _NOTHING:
            found[name] = value
    return found


def _value(name: str, node: Any, whole: Mapping[str, Any], *, is_required: bool) -> Any:
    """Ask until what is typed fits, or until nothing is typed where nothing is needed."""
    kind = _kind(node, whole)
    label = _label(name, kind, is_required=is_required)
    while True:
        typed = typer.prompt(label, default="", show_default=False, err=True).strip()
        if not typed and not is_required:
            return _NOTHING
        try:
            value = kind.read(typed)
        except ValueError as error:
            typer.echo(f"  {error}", err=True)
            continue
        found = _misfit(node, whole, value)
        if found is None:
            return value
        typer.echo(f"  {found}", err=True)


def _misfit(node: Any, whole: Mapping[str, Any], value: Any) -> str | None:
    from stream_durable.json_schema import misfits

    schema = node if node is whole else {"$defs": whole.get("$defs", {}), **_plain(node)}
    try:
        found = misfits(json.dumps(schema, sort_keys=True), value)
    except ValueError:
        return None  # it makes sense within the whole alone, which is judged at the end
    return (
        None
        if not found
        else "; ".join(f"{one.field}: {one.text}" if one.field else one.text for one in found)
    )


def _plain(node: Any) -> Mapping[str, Any]:
    return node if isinstance(node, dict) else {}


class _Kind:
    """How a value is typed."""

    def __init__(self, hint: str, read: Callable[[str], Any]) -> None:
        self.hint = hint
        self.read = read


def _kind(node: Any, whole: Mapping[str, Any]) -> _Kind:
    node = _resolved(_plain(node), whole)
    choices = node.get("enum")
    if isinstance(choices, list):
        shown = ", ".join(str(choice) for choice in choices)
        return _Kind(shown, lambda typed: _chosen(typed, choices))
    items = _resolved(_plain(node.get("items")), whole)
    if node.get("type") == "array" and isinstance(items.get("enum"), list):
        several = items["enum"]
        return _Kind(
            f"some of {', '.join(map(str, several))}, with commas",
            lambda typed: [_chosen(part.strip(), several) for part in typed.split(",") if part.strip()],
        )
    if node.get("type") == "boolean":
        return _Kind("yes or no", _yes_or_no)
    if node.get("type") in _NUMBERS:
        return _Kind(str(node["type"]), _number)
    if node.get("type") == "string":
        return _Kind("date, such as 2026-11-28" if node.get("format") == "date" else "text", str)
    return _Kind("JSON", _json)


def _resolved(node: Mapping[str, Any], whole: Mapping[str, Any], depth: int = 0) -> Mapping[str, Any]:
    """Return the schema of a field, after following a reference, and without None."""
    from stream_durable.core.definition.answer_misfit import resolved

    if depth > _DEPTH_MAX:
        return {}
    if isinstance(ref := node.get("$ref"), str):
        return _resolved(_plain(resolved(whole, ref)), whole, depth + 1)
    some = [each for each in node.get("anyOf", ()) if _plain(each).get("type") != "null"]
    return _resolved(_plain(some[0]), whole, depth + 1) if len(some) == 1 else node


def _label(name: str, kind: _Kind, *, is_required: bool) -> str:
    return f"{name} ({kind.hint}{'' if is_required else '; empty: none'})"


def _chosen(typed: str, choices: list[Any]) -> Any:
    for choice in choices:
        if typed.casefold() == str(choice).casefold():
            return choice
    raise ValueError(f"write one of {', '.join(map(str, choices))}")


def _yes_or_no(typed: str) -> bool:
    if typed.casefold() in ("yes", "y", "true"):
        return True
    if typed.casefold() in ("no", "n", "false"):
        return False
    raise ValueError("write yes or no")


def _number(typed: str) -> float:
    try:
        return int(typed) if typed.lstrip("+-").isdecimal() else float(typed)
    except ValueError:
        raise ValueError("write a number") from None


def _json(typed: str) -> Any:
    try:
        return json.loads(typed)
    except ValueError as error:
        raise ValueError(f"that is not JSON: {error}") from None
