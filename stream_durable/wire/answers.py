"""Checks answers against questions on arrival, by all of JSON Schema, field by field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import InputNode
from stream_durable.core.errors import RejectedError
from stream_durable.core.names import is_inner
from stream_durable.core.run.inputs import check_answer
from stream_durable.json_schema import misfits
from stream_durable.wire.events import Answer

_SHOWN: Final = 5


def judge(node: InputNode, data: bytes) -> None:
    """Refuse an unfit answer, naming fields and problems."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RejectedError("invalid_answer", f"the answer to {node.name!r} is no JSON") from error
    found = misfits(node.schema, value)
    if found:
        said = [f"{one.field}: {one.text}" if one.field else one.text for one in found]
        more = "" if len(said) <= _SHOWN else f"; and {len(said) - _SHOWN} more"
        text = f"the answer to {node.name!r} does not fit: {'; '.join(said[:_SHOWN])}{more}"
        raise RejectedError("invalid_answer", f"{text}. `stream-durable inputs list` has the questions")
    # Answers the run would refuse are refused here.
    check_answer(node, data)


def judge_for_some(answer: Answer, graphs: Iterable[Graph]) -> None:
    """Refuse an answer without any asking workflow, or unfit for all questions of this name.

    Only the run knows the version of its workflow, and the questions inside its steps, and checks again.
    """
    if is_inner(answer.wait):
        return
    asking = [node for graph in graphs if (node := question_of(graph, answer.wait)) is not None]
    if not asking:
        text = f"no registered workflow asks people in a step {answer.wait[:128]!r}"
        raise RejectedError("unknown_wait", f"{text}: write the name of the step that asks")
    refusal: RejectedError | None = None
    for node in reversed(asking):
        try:
            judge(node, bytes(answer.answer))
        except RejectedError as error:
            refusal = refusal or error
        else:
            return
    assert refusal is not None
    raise refusal


def question_of(graph: Graph, wait: str) -> InputNode | None:
    """Return the step of a name if the step asks people."""
    i = graph.index.get(wait)
    node = None if i is None else graph.nodes[i]
    return node if isinstance(node, InputNode) else None
