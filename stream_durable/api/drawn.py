"""A run for a page: its steps in order with their place in the graph, and the graph in layers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import defstruct

from stream_durable.api.shown import SCALARS, plain
from stream_durable.client import RunState, StepState
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import AnyNode
from stream_durable.core.names import helper_kind
from stream_durable.explain.listed import word_of_status

_encode = msgspec.json.Encoder().encode
#: Steps that are made into JSON before others have their turn.
_IN_A_ROW: Final = 250


class DrawnNode(NamedTuple):
    """A step as a node of a picture."""

    name: str
    #: The kind of node: `step`, `sleep`, `event`, `input`, `child`, `parallel` and others.
    kind: str
    #: How many edges lead to it, on the longest way.
    layer: int
    #: The group that it is a member of.
    owner: str | None
    #: Empty in the graph of a definition.
    status: str


class DrawnEdge(NamedTuple):
    """A dependency between two steps."""

    source: str
    target: str


class Drawn(NamedTuple):
    """The graph of a run, or of a definition."""

    nodes: list[DrawnNode]
    edges: list[DrawnEdge]


async def shown_run(state: RunState, graph: Graph, *, may_see: bool) -> dict[str, Any]:
    """Return a run with its steps as a list, each with its place in the graph.

    Other requests have their turn in between.
    """
    shown: dict[str, Any] = plain(state._replace(steps={}, helpers={}), may_see=may_see)
    shown["steps"] = await _steps(state.steps.values(), graph, may_see=may_see)
    shown["helpers"] = await _steps(state.helpers.values(), graph, may_see=may_see)
    shown["word"] = word_of_status(
        state.status, is_held=bool(state.needs_review), is_reviewed=state.reviewed is not None
    )
    shown["current"] = list(state.current)
    shown["answers"] = [name for name, node in graph.beside.items() if node.on == "inquiry"]
    return shown


def drawn_graph(state: RunState, graph: Graph) -> Drawn:
    """Return the nodes and edges of a run's graph; hooks and compensations are no part of it."""
    return _drawn(graph, {name: step.status for name, step in state.steps.items()})


def drawn_definition(graph: Graph) -> Drawn:
    """Return the nodes and edges of a definition's graph."""
    return _drawn(graph, dict.fromkeys(graph.names, ""))


def _drawn(graph: Graph, statuses: Mapping[str, str]) -> Drawn:
    layers = layers_of(graph)
    nodes, edges = [], []
    for name, status in statuses.items():
        kind, owner, after = _place(graph, name)
        nodes.append(DrawnNode(name, kind, layers.get(name, 0), owner, status))
        edges += [DrawnEdge(before, name) for before in after]
    return Drawn(nodes, edges)


def layers_of(graph: Graph) -> dict[str, int]:
    """Return the layer of each step: one more than the highest layer of its dependencies.

    A member of a group begins where its group does.
    """
    found: dict[int, int] = {}
    # Without recursion: a chain may be longer than the stack.
    for first in range(graph.size):
        stack = [first]
        while stack:
            i = stack[-1]
            before = [*graph.dependencies[i]]
            owner = graph.owner(i)
            if owner >= 0:
                before.append(owner)
            missing = [j for j in before if j not in found and j not in stack]
            if missing:
                stack += missing
                continue
            stack.pop()
            found[i] = max(
                [found.get(j, 0) + 1 for j in graph.dependencies[i]]
                + ([found.get(owner, 0)] if owner >= 0 else []),
                default=0,
            )
    return {graph.names[i]: layer for i, layer in found.items()}


#: Kind, owner, and the steps before it.
_Place = tuple[str, str | None, tuple[str, ...]]


def _place(graph: Graph, name: str) -> _Place:
    """Return where a step stands in the graph."""
    i = graph.index.get(name)
    if i is None:
        return helper_kind(name), None, ()
    owner, names = graph.owner(i), graph.names
    after = tuple([names[j] for j in graph.dependencies[i]])
    return _kind(type(graph.nodes[i])), names[owner] if owner >= 0 else None, after


@cache
def _kind(node: type[AnyNode]) -> str:
    return str(node.__struct_config__.tag)


#: The same as the dictionary of these fields, made in a fraction of its time.
_ShownStep: Final[Any] = defstruct("ShownStep", [*StepState._fields, "kind", "owner", "after"])


async def _steps(steps: Iterable[StepState], graph: Graph, *, may_see: bool) -> msgspec.Raw:
    """Return steps as a list in JSON, so that few of them are objects at a time."""
    parts, left = [], iter(steps)
    while portion := [_step(step, graph, may_see=may_see) for step in islice(left, _IN_A_ROW)]:
        parts.append(_encode(portion)[1:-1])
        await asyncio.sleep(0)
    return msgspec.Raw(b"[%b]" % b",".join(parts))


def _step(step: StepState, graph: Graph, *, may_see: bool) -> Any:
    place = _place(graph, step.name)
    if may_see:
        # What is empty is JSON's already, as most of a step is, and so is the output.
        name, status, attempt, output, *others = step
        others = [plain(one, may_see=True) if one and type(one) not in SCALARS else one for one in others]
        return _ShownStep(name, status, attempt, output, *others, *place)
    shown: dict[str, Any] = plain(step, may_see=False)
    shown["kind"], shown["owner"], shown["after"] = place
    return shown


def definition_of(graph: Graph) -> Any:
    """Return a definition as JSON."""
    return msgspec.to_builtins(graph.definition)
