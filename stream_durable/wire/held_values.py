"""Checks values for held steps on arrival, by the types of the steps, if known."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stream_durable.core.definition.about import About
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import AnyNode, InputNode
from stream_durable.core.errors import RejectedError
from stream_durable.core.names import defined_name
from stream_durable.wire.answers import judge
from stream_durable.wire.reviews import Completion


def judge_value(node: AnyNode, about: About, data: bytes) -> None:
    """Refuse a value in place of a step's output that is not of the step's type, if known."""
    if isinstance(node, InputNode):
        judge(node, data)
    elif (refusal := about.refusal_of_output(node.name, data)) is not None:
        raise refusal


def judge_value_for_some(
    completion: Completion, graphs: Iterable[Graph], about: Callable[[str], About]
) -> None:
    """Refuse a value that fits no step of the name in any workflow; for an added step the template counts.

    Only the run knows the version of its workflow, and whether the step is held.
    """
    name = defined_name(completion.step)
    refusal: RejectedError | None = None
    for graph in graphs:
        i = graph.index.get(name)
        if i is None:
            continue
        try:
            judge_value(graph.nodes[i], about(graph.fingerprint), bytes(completion.value))
        except RejectedError as error:
            refusal = refusal or error
        else:
            return
    if refusal is not None:
        raise refusal
