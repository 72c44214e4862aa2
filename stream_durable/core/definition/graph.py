"""The definition in the shape the fold needs: indices and counters instead of names and scans."""

from __future__ import annotations

from stream_durable.core.definition.nodes import AnyNode, Definition, SignalNode


class Graph:
    """A definition prepared once and shared by all its runs. Never changed after construction."""

    __slots__ = ("definition", "dependencies", "dependents", "entry", "fingerprint", "index",
                 "name", "names", "need", "nodes", "sinks", "size", "takers")  # fmt: skip

    def __init__(self, definition: Definition, fingerprint: str | None = None) -> None:
        """Index the nodes; the definition must have passed `validate`."""
        self.definition = definition
        self.name = definition.name
        self.fingerprint = fingerprint or definition.fingerprint()
        self.nodes: tuple[AnyNode, ...] = definition.nodes
        self.size = len(self.nodes)
        self.names = tuple(node.name for node in self.nodes)
        self.index = {name: i for i, name in enumerate(self.names)}
        self.dependencies = tuple(tuple(self.index[a] for a in n.after) for n in self.nodes)
        dependents: list[list[int]] = [[] for _ in self.nodes]
        for i, upstream in enumerate(self.dependencies):
            for j in upstream:
                dependents[j].append(i)
        self.dependents = tuple(map(tuple, dependents))
        #: How many steps each step waits for; a run copies this and counts down.
        self.need = tuple(map(len, self.dependencies))
        self.entry = tuple(i for i, n in enumerate(self.need) if not n)
        self.sinks = tuple(i for i, out in enumerate(self.dependents) if not out)
        #: The waits that each signal may end, in the order of the definition.
        self.takers: dict[str, list[int]] = {}
        for i, node in enumerate(self.nodes):
            for signal in node.signals if type(node) is SignalNode else ():
                self.takers.setdefault(signal, []).append(i)
