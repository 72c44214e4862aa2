"""Faults of groups and branches, and of dependencies into their members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from stream_durable.core.definition.node_faults import Fault, label_of
from stream_durable.core.definition.nodes import AnyNode, BranchNode, Definition, ParallelNode

#: So many groups and branches inside of each other, and so many children of children.
NESTING_MAX = 20

#: The clauses that a step is in, from the outside in, each as its branch and number.
_Clauses = tuple[tuple[str, int], ...]


def nesting_faults(definition: Definition) -> Iterator[Fault]:
    """Report faults of nesting."""
    nodes = {node.name: node for node in definition.nodes}
    counts = Counter((node.member_of, node.clause) for node in definition.nodes)
    clauses: dict[str, _Clauses] = {}
    for node in definition.nodes:
        yield from _empty(node, counts)
        yield from _place(node, nodes)
        found = _clauses(node, nodes)
        if found is None:
            text = f"{label_of(node)} is inside of itself, or nested deeper than {NESTING_MAX}"
            yield Fault(node.name, "nesting", text)
            return
        clauses[node.name] = found
    for node in definition.nodes:
        for upstream in (*node.after, *(name for join in node.joins for name in join.of)):
            if clauses.get(upstream):
                yield from _crossing(node, upstream, clauses)


def _empty(node: AnyNode, counts: Mapping[tuple[str | None, int], int]) -> Iterator[Fault]:
    if isinstance(node, ParallelNode) and not counts.get((node.name, 0)):
        yield Fault(node.name, "empty", f"{label_of(node)} has no members")
    if isinstance(node, BranchNode):
        for clause, case in enumerate(node.cases):
            if not counts.get((node.name, clause)):
                which = "all the rest" if case is None else case
                yield Fault(node.name, "empty", f"{label_of(node)}: its clause for {which} has no steps")


def _place(node: AnyNode, nodes: Mapping[str, AnyNode]) -> Iterator[Fault]:
    if node.member_of is None:
        return
    owner = nodes.get(node.member_of)
    if isinstance(owner, BranchNode):
        if not 0 <= node.clause < len(owner.cases):
            text = f"{label_of(node)} is in clause {node.clause} of branch {owner.name!r}, which has no such"
            yield Fault(node.name, "unknown_clause", text)
    elif not isinstance(owner, ParallelNode):
        text = f"{label_of(node)} is a member of {node.member_of!r}, which is no group and no branch"
        yield Fault(node.name, "unknown_group", text)


def _clauses(node: AnyNode, nodes: Mapping[str, AnyNode]) -> _Clauses | None:
    """Return the clauses around a node; None for nesting too deep."""
    if node.member_of is None:
        return ()
    found: list[tuple[str, int]] = []
    inner: AnyNode | None = node
    for _ in range(NESTING_MAX + 1):
        if inner is None or inner.member_of is None:
            return tuple(reversed(found))
        owner = nodes.get(inner.member_of)
        if isinstance(owner, BranchNode):
            found.append((owner.name, inner.clause))
        inner = owner
    return None


def _crossing(node: AnyNode, upstream: str, clauses: Mapping[str, _Clauses]) -> Iterator[Fault]:
    """Report dependencies on a step in a clause not enclosing the node."""
    own = clauses[node.name]
    for depth, (branch, clause) in enumerate(clauses[upstream]):
        if depth < len(own) and own[depth] == (branch, clause):
            continue
        if depth < len(own) and own[depth][0] == branch:
            text = f"which is in another clause of branch {branch!r}: only one of the two runs"
        else:
            text = f"which is inside of branch {branch!r}: wait for {branch!r} instead"
        yield Fault(node.name, "other_clause", f"{label_of(node)} waits for {upstream!r}, {text}")
        return
