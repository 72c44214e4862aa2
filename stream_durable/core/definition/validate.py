"""Everything that can be wrong with a definition, found in one pass so that it is mended in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stream_durable.core.definition.nodes import (
    AnyNode,
    Definition,
    EventNode,
    SignalNode,
    SleepNode,
    StepNode,
)
from stream_durable.core.definition.paths import root_of
from stream_durable.core.ids import NAME
from stream_durable.core.policy import RetryPolicy

#: Names that paths and parameters use for something else.
RESERVED = frozenset({"input"})


class Fault(NamedTuple):
    """One thing wrong: the node concerned (None: the workflow itself), a stable code, the sentence."""

    node: str | None
    code: str
    message: str


def validate(definition: Definition) -> list[Fault]:
    """Return all faults of a definition; none means that a run of it can end."""
    faults = [*_workflow(definition), *_names(definition)]
    known = {node.name for node in definition.nodes}
    for node in definition.nodes:
        faults += _edges(node.name, node.after, known)
        faults += _options(node, known)
    if len(known) == len(definition.nodes):
        for cycle in find_cycles(definition):
            arrows = " -> ".join([*cycle, cycle[0]])
            faults.append(Fault(cycle[0], "cycle", f"steps wait for one another: {arrows}"))
    return faults


def retry_faults(policy: RetryPolicy) -> Iterator[tuple[str, str]]:
    """Say what is wrong with a policy, as codes and sentences that do not name whose it is."""
    if policy.attempts < 1:
        yield "attempts", "there must be at least one attempt"
    if not 0 <= policy.jitter <= 1:
        yield "jitter", "jitter is a share between 0 and 1"
    if min(policy.base_ms, policy.cap_ms) < 0:
        yield "delay", "the delay between two attempts cannot be less than nothing"
    elif policy.cap_ms < policy.base_ms:
        yield (
            "cap",
            f"the first delay is {policy.base_ms} ms, but none may be above its cap of {policy.cap_ms} ms",
        )
    for code in policy.on:
        if code in policy.not_on:
            yield "contradiction", f"failures with code {code!r} are to be tried again and not to be"


def _workflow(definition: Definition) -> Iterator[Fault]:
    if not NAME.match(definition.name):
        yield Fault(None, "bad_name", f"{definition.name!r} is not a name for a workflow: {_RULE}")
    if not definition.nodes:
        yield Fault(None, "empty", f"workflow {definition.name!r} has no steps")
    if definition.timeout_ms is not None and definition.timeout_ms <= 0:
        yield Fault(None, "timeout", f"workflow {definition.name!r}: {_TOO_SHORT}")


def _names(definition: Definition) -> Iterator[Fault]:
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


def _options(node: AnyNode, known: set[str]) -> Iterator[Fault]:
    if isinstance(node, StepNode):
        yield from _step(node, known)
    elif isinstance(node, SleepNode):
        if node.duration_ms < 0:
            yield Fault(node.name, "duration", f"step {node.name!r}: a sleep cannot be less than nothing")
    elif isinstance(node, SignalNode):
        yield from _signal(node)
    else:
        yield from _event(node, known)


def _step(node: StepNode, known: set[str]) -> Iterator[Fault]:
    for code, text in retry_faults(node.retry):
        yield Fault(node.name, code, f"step {node.name!r}: {text}")
    if node.timeout_ms is not None and node.timeout_ms <= 0:
        yield Fault(node.name, "timeout", f"step {node.name!r}: {_TOO_SHORT}")
    if not NAME.match(node.queue):
        yield Fault(
            node.name, "bad_queue", f"step {node.name!r}: {node.queue!r} is not a name for a queue: {_RULE}"
        )
    for taken in node.takes:
        if taken in known and taken not in node.after:
            yield Fault(node.name, "not_after", f"step {node.name!r} takes {taken!r} without waiting for it")
        elif taken not in known:
            yield Fault(
                node.name, "unknown_step", f"step {node.name!r} takes {taken!r}, which does not exist"
            )


def _signal(node: SignalNode) -> Iterator[Fault]:
    if not node.signals:
        yield Fault(node.name, "no_signal", f"wait {node.name!r} names no signal")
    for signal in dict.fromkeys(node.signals):
        if not NAME.match(signal):
            text = f"wait {node.name!r}: {signal!r} is not a name for a signal: {_RULE}"
            yield Fault(node.name, "bad_name", text)
        if node.signals.count(signal) > 1:
            yield Fault(node.name, "same_signal", f"wait {node.name!r} names signal {signal!r} twice")
    yield from _time_limit(node)


def _event(node: EventNode, known: set[str]) -> Iterator[Fault]:
    if not NAME.match(node.event):
        text = f"wait {node.name!r}: {node.event!r} is not a name for an event: {_RULE}"
        yield Fault(node.name, "bad_name", text)
    root = root_of(node.key)
    wrong = ""
    if not all(node.key.split(".")):
        wrong = "which is no path: write one such as input.id"
    elif root != "input" and root not in known:
        wrong = f"but {root!r} is neither the input nor a step"
    elif root != "input" and root not in node.after:
        wrong = f"but does not come after {root!r}"
    if wrong:
        yield Fault(node.name, "key_path", f"wait {node.name!r} reads its key at {node.key!r}, {wrong}")
    yield from _time_limit(node)


def _time_limit(node: SignalNode | EventNode) -> Iterator[Fault]:
    if node.timeout_ms is not None and node.timeout_ms <= 0:
        yield Fault(node.name, "timeout", f"wait {node.name!r}: {_TOO_SHORT}")
    if node.on_timeout is not None and node.timeout_ms is None:
        text = f"wait {node.name!r} has an output for when its time is over, but no time-out"
        yield Fault(node.name, "contradiction", text)


def find_cycles(definition: Definition) -> list[list[str]]:
    """Return cycles, each in the order in which its steps would run; without them there are none left.

    One cycle for each edge that leads back, so mending one edge of each mends all. A step that waits
    for itself is not among them. Iterative: graphs may be deep.
    """
    names = [node.name for node in definition.nodes]
    after = {node.name: [a for a in node.after if a != node.name] for node in definition.nodes}
    cycles: list[list[str]] = []
    settled: set[str] = set()
    for start in names:
        if start in settled:
            continue
        trail: list[str] = [start]
        on_trail = {start: 0}
        pending = [iter(after[start])]
        while pending:
            following = next(pending[-1], None)
            if following is None:
                pending.pop()
                done = trail.pop()
                del on_trail[done]
                settled.add(done)
            elif following in on_trail:
                cycles.append(trail[on_trail[following] :][::-1])
            elif following in after and following not in settled:
                on_trail[following] = len(trail)
                trail.append(following)
                pending.append(iter(after[following]))
    position = {name: i for i, name in enumerate(names)}
    return [_from_first(cycle, position) for cycle in cycles]


def _from_first(cycle: list[str], position: dict[str, int]) -> list[str]:
    """Turn a cycle so that it begins with the step that was defined first."""
    first = min(range(len(cycle)), key=lambda i: position[cycle[i]])
    return cycle[first:] + cycle[:first]


_RULE = "letters, digits and _ . : - only, beginning with a letter or _, at most 128"
_TOO_SHORT = "a time-out must be longer than nothing"
