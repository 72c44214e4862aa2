"""Finds cycles of dependencies, in time linear in the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stream_durable.core.definition.nodes import AnyNode, BranchNode, Definition, ParallelNode

#: Prefix of a group's name for the beginning of the group, which members wait for; the end waits for them. No
#: name begins with it.
_BEGINNING = "["


def find_cycles(definition: Definition) -> list[list[str]]:
    """Return cycles, each in execution order; removing them leaves an acyclic graph.

    One cycle per back edge, so removing one edge of each is enough. Steps waiting for themselves are not
    included. Iterative: graphs may be deep.
    """
    upstream = _upstream(definition.nodes)
    cycles: list[list[str]] = []
    settled: set[str] = set()
    for start in upstream:
        if start in settled:
            continue
        trail: list[str] = [start]
        on_trail = {start: 0}
        pending = [iter(upstream[start])]
        while pending:
            following = next(pending[-1], None)
            if following is None:
                pending.pop()
                done = trail.pop()
                del on_trail[done]
                settled.add(done)
            elif following in on_trail:
                cycles.append(trail[on_trail[following] :][::-1])
            elif following in upstream and following not in settled:
                on_trail[following] = len(trail)
                trail.append(following)
                pending.append(iter(upstream[following]))
    position = {node.name: i for i, node in enumerate(definition.nodes)}
    named = (tuple(_from_first(_without_beginnings(cycle), position)) for cycle in cycles)
    # Groups that are inside of each other wait for one another's beginning, and for one another's end.
    return [list(cycle) for cycle in dict.fromkeys(named)]


def _upstream(nodes: Iterable[AnyNode]) -> Mapping[str, list[str]]:
    """Return what each step, and each beginning of a group, waits for."""
    upstream: dict[str, list[str]] = {}
    members: list[tuple[str, str]] = []
    for node in nodes:
        waits_for = [name for name in node.after if name != node.name]
        waits_for += [name for join in node.joins for name in join.of if name != node.name]
        if node.member_of is not None:
            waits_for.append(_BEGINNING + node.member_of)
            members.append((node.name, node.member_of))
        if isinstance(node, ParallelNode | BranchNode):
            upstream[node.name] = [_BEGINNING + node.name]
            upstream[_BEGINNING + node.name] = waits_for
        else:
            upstream[node.name] = waits_for
    for name, group in members:
        if group in upstream and group != name:
            upstream[group].append(name)
    return upstream


def _without_beginnings(cycle: list[str]) -> list[str]:
    names = [name.removeprefix(_BEGINNING) for name in cycle]
    return [name for i, name in enumerate(names) if name != names[i - 1]] or names[:1]


def _from_first(cycle: list[str], position: dict[str, int]) -> list[str]:
    """Rotate a cycle to begin with the step defined first."""
    first = min(range(len(cycle)), key=lambda i: position[cycle[i]])
    return cycle[first:] + cycle[:first]
