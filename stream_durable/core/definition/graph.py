"""The definition in the shape the fold needs: indices and counters instead of names and scans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    Definition,
    EachNode,
    InputNode,
    ParallelNode,
    SignalNode,
    StepNode,
    TokenNode,
    WaitNode,
    undo_of,
    work_of,
)
from stream_durable.core.definition.picks import picks, sources
from stream_durable.core.names import helped, helper_kind, hook_kind, is_undo


class Links(NamedTuple):
    """Consequences of a step's end beyond the steps waiting for success."""

    #: Steps waiting for any end of this step.
    followers: tuple[int, ...] = ()
    #: The joins it is a part of.
    joins: tuple[int, ...] = ()
    #: The group or branch it is a member of; -1: none.
    owner: int = -1
    #: Whether it is called when a thing of its run happens, and is no part of the graph proper.
    is_helper: bool = False
    #: The step that it is inside of; -1: none.
    outer: int = -1


NO_LINKS = Links()


class JoinPlan(NamedTuple):
    """A step waiting until enough of these have completed."""

    step: int
    of: tuple[int, ...]
    enough: int
    cancel_rest: bool


class Graph:
    """A definition prepared once and shared by all its runs. Never changed after construction."""

    __slots__ = ("asking", "beside", "clean_up", "definition", "definition_size", "dependencies",
                 "dependents", "entry", "fingerprint", "has_compensation", "hooks", "index", "is_dated",
                 "is_watched", "joins", "laned", "limit", "limited", "links", "listening", "members", "name",
                 "names", "need", "nodes", "own_weight", "picks", "racing", "reactions", "reads_events",
                 "sections", "sinks", "size", "takers", "templates", "tokens", "total", "work")  # fmt: skip

    def __init__(self, definition: Definition, fingerprint: str | None = None) -> None:
        """Index the nodes; the definition must have passed `validate`."""
        self.definition = definition
        self.name = definition.name
        self.fingerprint = fingerprint or definition.fingerprint()
        self.nodes: tuple[AnyNode, ...] | list[AnyNode] = definition.nodes
        #: How many steps of a run may be with workers at once; None: all.
        self.limit = definition.concurrency
        #: The gates of queues that are limited as a whole.
        self.limited = {rule.name: gate for rule in definition.queues if (gate := rule.gate) is not None}
        #: Queues with lanes by priority.
        self.laned = frozenset(rule.name for rule in definition.queues if rule.has_lanes)
        #: The functions called for the steps themselves.
        self.work: tuple[StepNode | None, ...] | list[StepNode | None] = tuple(map(work_of, self.nodes))
        self.size = self.definition_size = len(self.nodes)
        #: Steps of the graph proper, without helpers.
        self.total = self.size
        self.own_weight = 0
        self.names: tuple[str, ...] | list[str] = tuple(node.name for node in self.nodes)
        self.index = {name: i for i, name in enumerate(self.names)}
        self.dependencies: tuple[tuple[int, ...], ...] | list[tuple[int, ...]] = tuple(
            tuple(self.index[a] for a in n.after) for n in self.nodes
        )
        #: How many things each step waits for; a run copies this and counts down.
        self.need: tuple[int, ...] | list[int] = tuple(
            len(d) + len(n.joins) + (n.member_of is not None)
            for d, n in zip(self.dependencies, self.nodes, strict=True)
        )
        self.entry = tuple(i for i, n in enumerate(self.need) if not n)
        self._link()
        #: The waits that each signal may end, in the order of the definition.
        self.takers: dict[str, list[int]] = {}
        for i, node in enumerate(self.nodes):
            for signal in node.signals if type(node) is SignalNode else ():
                self.takers.setdefault(signal, []).append(i)
        #: The groups that keep a place at a gate.
        self.sections = {
            i for i, n in enumerate(self.nodes) if type(n) is ParallelNode and n.gate is not None
        }
        #: The steps that ask people.
        self.asking = frozenset(i for i, node in enumerate(self.nodes) if type(node) is InputNode)
        #: The waits for signals inside of steps: none, until a run adds to the graph.
        self.listening: frozenset[int] = frozenset()
        #: The names of the steps that end by a token.
        self.tokens = tuple(node.name for node in self.nodes if type(node) is TokenNode)
        #: Functions called beside the graph, by name, and reactions by their signal.
        self.beside = {each.name: each for each in definition.beside}
        self.reads_events = any(each.on == "event" for each in definition.beside)
        self.reactions = {each.signal: each for each in definition.beside if each.on == "signal"}
        self.hooks = {hook_kind(hook.name): hook for hook in definition.hooks}
        #: Whether anybody wants to be told that a step begins.
        self.is_watched = bool(self.hooks or definition.events)
        self.templates = {template.name: template for template in definition.templates}
        for node in self.nodes:
            if type(node) is EachNode:
                self.templates.setdefault(node.name, node.step)
            elif type(node) is StepNode:
                self.templates.setdefault(node.name, node)
        every = (*self.nodes, *self.templates.values())
        self.has_compensation = any(undo_of(node) is not None for node in every)
        #: Whether the end of some steps is expected by a moment.
        self.is_dated = any(node.is_expected for node in every)
        self.picks = picks(definition)

    def _link(self) -> None:
        """Compute the consequences of each step's end."""
        dependents: list[list[int]] = [[] for _ in self.nodes]
        followers: dict[int, list[int]] = {}
        joined: dict[int, list[int]] = {}
        owners: dict[int, int] = {}
        members: dict[int, list[int]] = {}
        joins: list[JoinPlan] = []
        for i, (node, upstream) in enumerate(zip(self.nodes, self.dependencies, strict=True)):
            for j in upstream:
                if node.ended and self.names[j] in node.ended:
                    followers.setdefault(j, []).append(i)
                else:
                    dependents[j].append(i)
            for join in node.joins:
                of = tuple(self.index[name] for name in join.of)
                for j in of:
                    joined.setdefault(j, []).append(len(joins))
                joins.append(JoinPlan(i, of, join.enough, join.cancel_rest))
            if node.member_of is not None:
                owners[i] = self.index[node.member_of]
                members.setdefault(owners[i], []).append(i)
        self.dependents: tuple[tuple[int, ...], ...] | list[tuple[int, ...]] = tuple(map(tuple, dependents))
        self.joins = tuple(joins)
        #: By group or branch.
        self.members: Mapping[int, tuple[int, ...] | range] = {i: tuple(m) for i, m in members.items()}
        linked = {*followers, *joined, *owners}
        #: Only of steps that have some.
        self.links: dict[int, Links] = {
            i: Links(tuple(followers.get(i, ())), tuple(joined.get(i, ())), owners.get(i, -1))
            for i in sorted(linked)
        }
        self.sinks = tuple(i for i, out in enumerate(dependents) if not out and i not in linked)
        #: What may still begin once a run is to end.
        self.clean_up = frozenset(self.clean_up_after(followers))
        #: Steps leading to races alone: a failure is absorbed while these can be won.
        self.racing = self._find_racing()

    def _find_racing(self) -> frozenset[int]:
        found: set[int] = set()
        left = {i: len(self.dependents[i]) for join in self.joins for i in join.of}
        pending = [i for i, waiting in left.items() if not waiting]
        while pending:
            i = pending.pop()
            if i in found or not self._may_race(i):
                continue
            found.add(i)
            for j in self.dependencies[i]:
                if i in self.dependents[j] and self.owner(j) == self.owner(i):
                    left[j] = left.get(j, len(self.dependents[j])) - 1
                    if not left[j]:
                        pending.append(j)
        return frozenset(found)

    def _may_race(self, i: int) -> bool:
        """Return whether no group judges a step, or only a branch containing the races too."""
        owner = self.owner(i)
        races = self.links.get(i, NO_LINKS).joins
        return owner < 0 or (
            type(self.nodes[owner]) is BranchNode
            and all(self.owner(self.joins[k].step) == owner for k in races)
        )

    def inner_of(self, i: int) -> list[int]:
        """Return the inner steps of a step: none, until its run adds to the graph."""
        return []

    def outer(self, i: int) -> int:
        """Return the step that a step is inside of; -1: none."""
        links = self.links.get(i)
        return -1 if links is None else links.outer

    def owner(self, i: int) -> int:
        """Return the group or branch that a step is a member of; -1: none."""
        links = self.links.get(i)
        return -1 if links is None else links.owner

    def is_helper(self, i: int) -> bool:
        """Return whether a step is a hook or a compensation."""
        links = self.links.get(i)
        return links is not None and links.is_helper

    def is_beside(self, i: int) -> bool:
        """Return whether a step is a call of a function beside the graph."""
        return bool(self.beside) and self.is_helper(i) and helper_kind(self.names[i]) in self.beside

    def helper_node(self, name: str) -> StepNode | None:
        """Return the node of a helper by name."""
        if not is_undo(name):
            beside = self.beside.get(kind := helper_kind(name))
            return self.hooks.get(kind) if beside is None else beside.step
        i = self.index.get(helped(name))
        return None if i is None else undo_of(self.nodes[i])

    def grown(self) -> Grown:
        """Return a copy to which a run may add steps."""
        return Grown(self)

    def followers_of(self, i: int) -> list[int]:
        """Return all steps possibly enabled by the end of this step, members of a group included."""
        return [*self.members.get(i, ()), *self._beyond(i)]

    def picks_of(self, name: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
        """Return the paths read in a step's output: here, and by a parent."""
        own = self.picks.get(name, ())
        if not wanted:
            return own
        nodes = {node.name: node for node in self.definition.nodes}
        found = dict.fromkeys(own)
        for rest in wanted:
            for i in self.sinks:
                sink = nodes[self.names[i]].name
                first, _, more = rest.partition(".")
                if len(self.sinks) == 1 or first == sink:
                    inner = rest if len(self.sinks) == 1 else more
                    found |= {path: None for step, path in sources(nodes, sink, inner) if step == name}
        return tuple(found)

    def waiting_for(self, i: int) -> list[int]:
        """Return all steps directly after a step."""
        return [*self.passing(i), *self.links.get(i, NO_LINKS).followers]

    def passing(self, i: int) -> list[int]:
        """Return all steps waiting for a step to pass, or for the step within a race."""
        return [*self.dependents[i], *(self.joins[k].step for k in self.links.get(i, NO_LINKS).joins)]

    def clean_up_after(self, steps: Iterable[int]) -> set[int]:
        """Return the steps waiting for any end of these steps, and all later steps."""
        ended = {j for i in steps for j in self.links.get(i, NO_LINKS).followers}
        return ended.union(*map(self.after, ended))

    def _beyond(self, i: int) -> list[int]:
        found = self.waiting_for(i)
        owner = self.owner(i)
        if owner >= 0:
            # The end of a member leads to the end of the group, and to the steps after the group.
            found += self._beyond(owner)
        return found

    def after(self, i: int) -> set[int]:
        """Return all direct and indirect dependents of a step, without its enclosing groups."""
        found: set[int] = set()
        pending = self.followers_of(i)
        while pending:
            j = pending.pop()
            if j not in found:
                found.add(j)
                pending += self.followers_of(j)
        return found


class Grown(Graph):
    """The graph of one run, including steps added at run time."""

    __slots__ = ("base", "grafts", "inner")

    def __init__(self, graph: Graph) -> None:
        """Copy the growing parts; the rest is shared."""
        self.base = graph
        for name in Graph.__slots__:
            setattr(self, name, getattr(graph, name))
        self.nodes = list(graph.nodes)
        self.work = list(graph.work)
        self.names = list(graph.names)
        self.index = dict(graph.index)
        self.dependencies = list(graph.dependencies)
        self.dependents = list(graph.dependents)
        self.links = dict(graph.links)
        self.members = dict(graph.members)
        self.need = list(graph.need)
        #: How many grafts there have been.
        self.grafts = 0
        #: What is inside of steps.
        self.inner: dict[int, list[int]] = {}
        self.own_weight = 208 * self.size

    def grown(self) -> Grown:
        """Return this graph: already the run's own."""
        return self

    def graft(self, owner: int, names: list[str], nodes: list[StepNode], after: list[tuple[int, ...]]) -> int:
        """Add members to a step, each with positions of dependencies; return the first index.

        A member without dependencies waits only for a turn.
        """
        first = self.size
        members = Links(owner=owner)
        for position, (name, node) in enumerate(zip(names, nodes, strict=True)):
            self._add(name, node, members)
            self.need.append(1 + len(after[position]))  # type: ignore[union-attr]  # lists here
            self.dependencies[-1] = tuple(first + p for p in after[position])  # type: ignore[index]
        for position, upstream in enumerate(after):
            for p in upstream:
                self.dependents[first + p] += (first + position,)  # type: ignore[index]
        self.members = {**self.members, owner: range(first, self.size)}
        self.total += len(names)
        self.grafts += 1
        return first

    def help(self, name: str, node: StepNode) -> int:
        """Add a helper, outside the graph proper; return the index."""
        self._add(name, node, _HELPER)
        self.need.append(0)  # type: ignore[union-attr]
        return self.size - 1

    def enclose(self, outer: int, name: str, node: StepNode | WaitNode) -> int:
        """Add an inner step, outside the graph proper; return the index."""
        i = self.size
        self._add(name, node, Links(is_helper=True, outer=outer))
        self.work[-1] = None  # type: ignore[index]  # a list here; nobody calls it
        self.need.append(0)  # type: ignore[union-attr]
        self.inner.setdefault(outer, []).append(i)
        if type(node) is SignalNode:
            self.takers = {**self.takers, **{name: self._takers(name, i) for name in node.signals}}
            self.listening |= {i}
        elif type(node) is InputNode:
            self.asking |= {i}
        return i

    def put(self, i: int, node: AnyNode) -> None:
        """Let a step have another node of the same kind in this run."""
        self.nodes[i] = node  # type: ignore[index]  # lists here
        if type(node) is StepNode:
            self.work[i] = node  # type: ignore[index]

    def _takers(self, signal: str, i: int) -> list[int]:
        """Return the waits for a signal: the steps of the definition, then inner ones by name."""
        found, size = [*self.takers.get(signal, ()), i], self.definition_size
        return sorted(found, key=lambda j: (j, "") if j < size else (self.size, self.names[j]))

    def inner_of(self, i: int) -> list[int]:
        """Return the inner steps of a step."""
        return self.inner.get(i, [])

    def _add(self, name: str, node: StepNode | WaitNode, links: Links) -> None:
        self.index[name] = self.size
        self.nodes.append(node)  # type: ignore[union-attr]
        self.work.append(node if type(node) is StepNode else None)  # type: ignore[union-attr]
        self.names.append(name)  # type: ignore[union-attr]
        self.dependencies.append(())  # type: ignore[union-attr]
        self.dependents.append(())  # type: ignore[union-attr]
        self.links[self.size] = links
        self.size += 1
        self.own_weight += 408


_HELPER = Links(is_helper=True)
