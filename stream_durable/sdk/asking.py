"""Turns an author's options into a question: whom to ask, and the form of the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

import msgspec
from pydantic import TypeAdapter
from pydantic.errors import PydanticUserError
from pydantic_core import SchemaError

from stream_durable.core.definition.nodes import AnswerKind, InputNode
from stream_durable.json_schema import schema_fault
from stream_durable.sdk.options import Options
from stream_durable.sdk.signature import shown

_APPROVAL: Final[Mapping[str, Any]] = {"type": "boolean"}
#: How people are asked for a value of a plain type.
_PLAIN: Final[Mapping[Any, AnswerKind]] = {
    bool: "approval",
    str: "text",
    int: "number",
    float: "number",
    date: "date",
}
_CHOICE_LENGTH_MAX: Final = 200


def input_node(options: Options, name: str, given: Mapping[str, Any], order: Mapping[str, Any]) -> InputNode:
    """Return the node of a question; `given` are the options of `ask`."""
    answer, schema = _asked_for(options, given.get("choices"), given.get("several", False), given.get("form"))
    text = msgspec.json.encode(schema, order="sorted").decode()
    if (fault := schema_fault(text)) is not None:
        options.fault("bad_schema", f"form= is no JSON Schema: {fault}")
        text = "{}"
    limit_ms, output = options.time_limit(given.get("timeout"), given.get("on_timeout", "fail"))
    metadata = options.an_object("metadata=", given.get("metadata"))
    return InputNode(
        name=name,
        answer=answer,
        schema=text,
        prompt=options.text("prompt=", given.get("prompt")),
        role=options.text("role=", given.get("role")),
        assignee=options.text("assignee=", given.get("assignee")),
        metadata=msgspec.json.encode(metadata).decode() if metadata else None,
        timeout_ms=limit_ms,
        on_timeout=output,
        **order,
    )


def _asked_for(
    options: Options, choices: object, several: object, form: object
) -> tuple[AnswerKind, Mapping[str, Any]]:
    if choices is not None and form is not None:
        options.fault("contradiction", "a question has choices= or a form=, not both")
    if choices is not None:
        return _chosen(options, choices, is_several=options.flag("several=", several))
    if options.flag("several=", several):
        options.fault("contradiction", "several= has no effect without choices=")
    if form is None:
        return "approval", _APPROVAL
    if isinstance(form, Mapping):
        return "form", _plain(options, form)
    try:
        kind = _PLAIN.get(form, "form")
    except TypeError:  # what cannot be hashed
        kind = "form"
    return kind, _of_type(options, form)


def _chosen(options: Options, choices: object, *, is_several: bool) -> tuple[AnswerKind, Mapping[str, Any]]:
    found = options.texts("choices=", choices) if isinstance(choices, Iterable) else ()
    if not isinstance(choices, Iterable):
        options.fault("bad_option", f"choices= takes several texts, not {choices!r}")
    elif not found or len(set(found)) < len(found):
        options.fault("bad_choices", "choices= takes one text or more, each of them once")
    for choice in found:
        if not 0 < len(choice) <= _CHOICE_LENGTH_MAX:
            text = f"choices= takes texts of 1 to {_CHOICE_LENGTH_MAX} characters, not {choice[:50]!r}"
            options.fault("bad_choices", text)
    one = {"enum": list(found)} if found else {}
    if is_several:
        return "choices", {"type": "array", "items": one, "uniqueItems": True}
    return "choice", one


def _of_type(options: Options, form: Any) -> Mapping[str, Any]:
    try:
        schema: Mapping[str, Any] = TypeAdapter(form).json_schema(mode="validation")
    except (PydanticUserError, SchemaError, TypeError, NameError, KeyError, RecursionError) as error:
        said = str(error).partition("\n")[0]
        text = "form= takes a type that has a JSON Schema, such as a pydantic model, or a JSON Schema"
        options.fault("bad_form", f"{text}; {shown(form)} has none: {said}")
        return {}
    return schema


def _plain(options: Options, form: Mapping[Any, Any]) -> Mapping[str, Any]:
    return options.an_object("form=", form)
