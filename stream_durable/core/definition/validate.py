"""Everything that can be wrong with a definition, found in one pass so that it is mended in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stream_durable.core.definition.nodes import Definition, EventNode, SignalNode, StepNode
from stream_durable.core.definition.paths import root_of
from stream_durable.core.ids import NAME

#: Names that paths and parameters use for something else.
RESERVED = frozenset({"input"})


class Fault(NamedTuple):
    """One thing wrong: the node concerned (None: the workflow itself), a stable code, the sentence."""

    node: str | None
    code: str
    message: str


def validate(definition: Definition) -> list[Fault]:
    """Return all faults of a definition; none means that a run of it can end."""
    faults = list(_names(definition))
    if not definition.nodes:
        faults.append(Fault(None, "empty", f"workflow {definition.name!r} has no steps"))
    known = {node.name for node in definition.nodes}
    for node in definition.nodes:
        faults += _edges(node.name, node.after, known)
        if isinstance(node, StepNode):
            faults += _step(node, known)
        elif isinstance(node, EventNode):
            faults += _event(node)
        elif isinstance(node, SignalNode) and not node.signals:
            faults.append(Fault(node.name, "no_signal", f"wait {node.name!r} names no signal"))
    if not faults and (cycle := find_cycle(definition)):
        arrows = " -> ".join([*cycle, cycle[0]])
        faults.append(Fault(cycle[0], "cycle", f"steps wait for one another: {arrows}"))
    return faults


def _names(definition: Definition) -> Iterator[Fault]:
    if not NAME.match(definition.name):
        yield Fault(None, "bad_name", f"{definition.name!r} is not a name for a workflow: {_RULE}")
    seen: set[str] = set()
    for node in definition.nodes:
        if not NAME.match(node.name):
            yield Fault(node.name, "bad_name", f"{node.name!r} is not a name for a step: {_RULE}")
        elif node.name in RESERVED:
            yield Fault(node.name, "reserved_name", f"a step cannot be called {node.name!r}")
        if node.name in seen:
            yield Fault(node.name, "duplicate", f"two steps are called {node.name!r}")
        seen.add(node.name)


def _edges(name: str, after: tuple[str, ...], known: set[str]) -> Iterator[Fault]:
    for upstream in after:
        if upstream == name:
            yield Fault(name, "self_dependency", f"step {name!r} waits for itself")
        elif upstream not in known:
            yield Fault(name, "unknown_step", f"step {name!r} waits for {upstream!r}, which does not exist")


def _step(node: StepNode, known: set[str]) -> Iterator[Fault]:
    if node.retry.attempts < 1:
        yield Fault(node.name, "attempts", f"step {node.name!r} must be allowed at least one attempt")
    if not 0 <= node.retry.jitter <= 1:
        yield Fault(node.name, "jitter", f"step {node.name!r}: jitter is a share between 0 and 1")
    if node.timeout_ms is not None and node.timeout_ms <= 0:
        yield Fault(node.name, "timeout", f"step {node.name!r}: a time-out must be longer than nothing")
    if not NAME.match(node.queue):
        yield Fault(node.name, "bad_queue", f"{node.queue!r} is not a name for a queue: {_RULE}")
    for taken in node.takes:
        if taken in known and taken not in node.after:
            yield Fault(node.name, "not_after", f"step {node.name!r} takes {taken!r} without waiting for it")


def _event(node: EventNode) -> Iterator[Fault]:
    if not NAME.match(node.event):
        yield Fault(node.name, "bad_name", f"{node.event!r} is not a name for an event: {_RULE}")
    root = root_of(node.key)
    if root != "input" and root not in node.after:
        yield Fault(
            node.name,
            "key_path",
            f"wait {node.name!r} reads its key at {node.key!r}, but does not come after {root!r}",
        )


def find_cycle(definition: Definition) -> list[str]:
    """Return the steps of one cycle in order, or nothing. Iterative: graphs may be deep."""
    after = {node.name: node.after for node in definition.nodes}
    settled: set[str] = set()
    for start, upstream in after.items():
        if start in settled:
            continue
        trail: list[str] = [start]
        on_trail = {start: 0}
        pending = [iter(upstream)]
        while pending:
            following = next(pending[-1], None)
            if following is None:
                pending.pop()
                done = trail.pop()
                del on_trail[done]
                settled.add(done)
            elif following in on_trail:
                return trail[on_trail[following] :][::-1]
            elif following not in settled:
                on_trail[following] = len(trail)
                trail.append(following)
                pending.append(iter(after[following]))
    return []


_RULE = "letters, digits and _ . : - only, beginning with a letter or _, at most 128"
