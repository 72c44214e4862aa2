"""A possible order of a graph's steps."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from stream_durable.core.definition.graph import Graph


def in_order(graph: Graph) -> list[int]:
    """Return steps in dependency order, otherwise in the order of definition."""
    need = [len(after) for after in graph.dependencies]
    following: list[list[int]] = [[] for _ in need]
    for i, after in enumerate(graph.dependencies):
        joined = [j for k in graph.nodes[i].joins for j in map(graph.index.__getitem__, k.of)]
        owner = graph.owner(i)
        need[i] += len(joined) + (owner >= 0)
        for j in (*after, *joined, *([owner] if owner >= 0 else ())):
            following[j].append(i)
    ready = [i for i, count in enumerate(need) if not count]
    heapify(ready)
    found = []
    while ready:
        i = heappop(ready)
        found.append(i)
        for j in following[i]:
            need[j] -= 1
            if not need[j]:
                heappush(ready, j)
    return found
