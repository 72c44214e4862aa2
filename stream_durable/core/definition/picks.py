"""What is read in the outputs of steps, so that a worker hands it on beside a large value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import assert_never

from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    ChildNode,
    Definition,
    EachNode,
    GroupNode,
    ParallelNode,
)
from stream_durable.core.definition.paths import rest_of, root_of
from stream_durable.core.definition.reads import reads_of


def picks(definition: Definition) -> dict[str, tuple[str, ...]]:
    """Return, by step, the paths in the output read by the fold."""
    found: dict[str, dict[str, None]] = {}
    nodes = {node.name: node for node in definition.nodes}
    for node in definition.nodes:
        for path in _paths(node):
            for name, rest in sources(nodes, root_of(path), rest_of(path)):
                found.setdefault(name, {})[rest] = None
    return {name: tuple(paths) for name, paths in found.items()}


def sources(nodes: Mapping[str, AnyNode], name: str, rest: str) -> Iterator[tuple[str, str]]:
    """Return the steps read by a path, and the parts read: a group's output consists of its members'."""
    node = nodes.get(name)
    first, _, more = rest.partition(".")
    if not isinstance(node, GroupNode):
        yield name, rest
        return
    match node:
        case ParallelNode():
            yield from sources(nodes, first, rest_of(more))
        case EachNode():
            yield name, more
        case BranchNode():
            for one in nodes.values():
                if one.member_of == name:
                    # This may be the only last step of a clause, or one of several, output by name.
                    yield from sources(nodes, one.name, rest)
                    if one.name == first:
                        yield from sources(nodes, one.name, more)
        case _:
            assert_never(node)


def _paths(node: AnyNode) -> Sequence[str]:
    found = reads_of(node).paths
    if not isinstance(node, ChildNode):
        return found
    every = (*found, *node.again.values(), node.until or "")
    # A value as a whole is handed on by reference.
    return [path for path in every if rest_of(path) and not path.startswith("=")]
