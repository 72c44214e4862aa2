"""Faults of a question: texts, and the schema of the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from stream_durable.core.definition.answer_misfit import resolved
from stream_durable.core.definition.nodes import InputNode
from stream_durable.core.definition.reads import holes_of, metadata_texts
from stream_durable.core.definition.templates import is_balanced

#: A schema, and the metadata, in bytes of JSON; a text, in characters; and paths in all texts together.
SCHEMA_BYTES_MAX: Final = 50_000
METADATA_BYTES_MAX: Final = 10_000
TEXT_LENGTH_MAX: Final = 4_000
HOLES_MAX: Final = 50
_NOWHERE: Final = object()


def input_faults(node: InputNode) -> Iterator[tuple[str, str]]:
    """Return codes, and what follows the name of the node in the sentence."""
    for option, text in (("prompt", node.prompt), ("role", node.role), ("assignee", node.assignee)):
        yield from _text(option, text)
    for text in metadata_texts(node):
        yield from _text("metadata", text)
    if len(holes_of(node)) > HOLES_MAX:
        yield "too_many_paths", f": its texts hold more than {HOLES_MAX} paths"
    yield from _metadata(node)
    yield from _schema(node.schema)


def _text(option: str, text: str) -> Iterator[tuple[str, str]]:
    if len(text) > TEXT_LENGTH_MAX:
        yield "too_long", f": {option}= has {len(text)} characters, {TEXT_LENGTH_MAX} are the most"
    if "\x00" in text:
        yield "bad_text", f": {option}= holds a NUL character"
    if not is_balanced(text):
        remedy = "write a path in braces, as in {input.id}, and a brace itself twice, as in {{"
        yield "bad_text", f": {option}= has a brace that belongs to no path: {remedy}"


def _metadata(node: InputNode) -> Iterator[tuple[str, str]]:
    if node.metadata is None:
        return
    if len(node.metadata.encode()) > METADATA_BYTES_MAX:
        yield "too_long", f": metadata= has more than {METADATA_BYTES_MAX} bytes of JSON"
    if not isinstance(_decoded(node.metadata), dict):
        yield "not_json", ": metadata= is no JSON object"


def _schema(text: str) -> Iterator[tuple[str, str]]:
    if len(text.encode()) > SCHEMA_BYTES_MAX:
        yield "bad_schema", f": the schema of its answer has more than {SCHEMA_BYTES_MAX} bytes of JSON"
        return
    schema = _decoded(text)
    if not isinstance(schema, dict):
        yield "bad_schema", ": the schema of its answer is no JSON object"
        return
    for ref in _references(schema):
        if not isinstance(ref, str) or resolved(schema, ref, _NOWHERE) is _NOWHERE:
            shown = str(ref)[:128]
            text = "write what it means below $defs of the same schema"
            yield "bad_schema", f": the schema of its answer refers to {shown!r}, which is not in it: {text}"


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return _NOWHERE


def _references(schema: Any) -> Iterator[Any]:
    pending = [schema]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield from (node[key] for key in ("$ref", "$dynamicRef", "$recursiveRef") if key in node)
            # Values under these keys are data, or named by the author.
            pending += [
                held for key, held in node.items() if key not in ("const", "enum", "default", "examples")
            ]
        elif isinstance(node, list):
            pending += node
