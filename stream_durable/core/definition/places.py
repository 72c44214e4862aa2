"""Detects groups waiting for one another's places: a member group keeps a place until the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from stream_durable.core.definition.node_faults import Fault, label_of
from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    Definition,
    EachNode,
    ParallelNode,
    gate_of,
)


def place_faults(definition: Definition) -> Iterator[Fault]:
    """Report steps waiting for a step possibly waiting for a place held by their group."""
    nodes = {node.name: node for node in definition.nodes}
    limited = {n.name for n in definition.nodes if isinstance(n, ParallelNode) and n.concurrency is not None}
    holders = [
        node
        for node in definition.nodes
        if node.member_of in limited and isinstance(node, ParallelNode | BranchNode | EachNode)
    ]
    if not holders:
        return
    members: dict[str, list[str]] = {}
    for node in definition.nodes:
        if node.member_of is not None:
            members.setdefault(node.member_of, []).append(node.name)
    for holder in holders:
        inside = _and_inside([holder.name], members)
        before = _upstream(_waited_for(holder), nodes, members)
        for name in inside - {holder.name}:
            for other in _waited_for(nodes[name]):
                beyond = _upstream([other], nodes, members) - before - inside
                place = next((one for one in sorted(beyond) if _is_limited(one, nodes, limited)), None)
                if place is not None:
                    yield Fault(name, "deadlock", _sentence(nodes, name, other, place, holder))


def section_faults(definition: Definition) -> Iterator[Fault]:
    """Report steps passing the gate whose place a group keeps while the group may wait for the steps."""
    nodes = {node.name: node for node in definition.nodes}
    members: dict[str, list[str]] = {}
    for node in definition.nodes:
        if node.member_of is not None:
            members.setdefault(node.member_of, []).append(node.name)
    for group in definition.nodes:
        if not isinstance(group, ParallelNode) or group.gate is None:
            continue
        before = _upstream(_waited_for(group), nodes, members)
        within = _upstream(_and_inside([group.name], members), nodes, members) - before - {group.name}
        called = [(label_of(nodes[name]), nodes[name]) for name in sorted(within)]
        called += [(f"template {template.name!r}", template) for template in definition.templates]
        for label, node in called:
            if (gate := gate_of(node)) is not None and gate.name == group.gate.name:
                text = f"{label} passes gate {group.gate.name!r}, of which {group.name!r} keeps a place"
                yield Fault(node.name, "deadlock", f"{text} meanwhile: take another gate for one of the two")


def _sentence(nodes: Mapping[str, AnyNode], name: str, other: str, place: str, holder: AnyNode) -> str:
    needs = "which" if place == other else f"and so for {place!r}, which"
    return (
        f"{label_of(nodes[name])} waits for {other!r}, {needs} may wait in turn for the place that "
        f"{holder.name!r} holds in a group with concurrency=: let {holder.name!r} come after {other!r}"
    )


def _waited_for(node: AnyNode) -> list[str]:
    return [*node.after, *(name for join in node.joins for name in join.of)]


def _and_inside(names: Iterable[str], members: Mapping[str, list[str]]) -> set[str]:
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        found.add(name)
        pending += (m for m in members.get(name, ()) if m not in found)
    return found


def _upstream(
    names: Iterable[str], nodes: Mapping[str, AnyNode], members: Mapping[str, list[str]]
) -> set[str]:
    """Return the named steps with all steps required to end, or begin, before their end."""
    found: set[str] = set()
    pending = [name for name in names if name in nodes]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        pending += (one for one in (*_waited_for(nodes[name]), *members.get(name, ())) if one in nodes)
        owner = nodes[name].member_of
        if owner is not None and owner in nodes:
            pending += (one for one in _waited_for(nodes[owner]) if one in nodes)
    return found


def _is_limited(name: str, nodes: Mapping[str, AnyNode], limited: set[str]) -> bool:
    owner = nodes[name].member_of
    while owner is not None and owner in nodes:
        if owner in limited:
            return True
        owner = nodes[owner].member_of
    return False
