"""Faults of a single node: numbers, names, and options excluding each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple, assert_never

import msgspec

from stream_durable.core.definition.gate_faults import gate_faults
from stream_durable.core.definition.guards import Breaker
from stream_durable.core.definition.input_faults import input_faults
from stream_durable.core.definition.moments import moment_faults
from stream_durable.core.definition.nodes import (
    AnyNode,
    BranchNode,
    ChildNode,
    EachNode,
    EventNode,
    InputNode,
    Node,
    ParallelNode,
    SignalNode,
    SleepNode,
    StepNode,
    TokenNode,
    undo_of,
    word_of,
)
from stream_durable.core.definition.paths import root_of
from stream_durable.core.definition.reads import due_paths, own_reads
from stream_durable.core.definition.retry_faults import retry_faults
from stream_durable.core.gate.limits import COUNT_MAX
from stream_durable.core.ids import NAME, NAME_RULE, QUEUE, QUEUE_RULE


class Fault(NamedTuple):
    """A fault: the node concerned (None: the workflow), a stable code, a sentence."""

    node: str | None
    code: str
    message: str


def label_of(node: AnyNode) -> str:
    """Return the name of a node in sentences."""
    return f"{word_of(node)} {node.name!r}"


def node_faults(node: AnyNode, known: Collection[str]) -> Iterator[Fault]:
    """Return faults of a single node of the graph; `known` has the names of all nodes."""
    label = label_of(node)
    for code, text in _of_kind(node):
        yield Fault(node.name, code, label + text)
    for code, text in _paths(node, known):
        yield Fault(node.name, code, label + text)
    for code, text in due_faults(node):
        yield Fault(node.name, code, label + text)
    if isinstance(node, StepNode):
        yield from step_faults(node, label)
    elif isinstance(node, EachNode):
        for code, text in due_faults(node.step):
            yield Fault(node.name, code, label + text)
        yield from step_faults(node.step, label)
    elif (undo := undo_of(node)) is not None:
        yield from step_faults(undo, f"compensation of {label}")


def step_faults(node: StepNode, label: str) -> Iterator[Fault]:
    """Return faults of a function's node and of the compensation."""
    for code, text in _step(node):
        yield Fault(node.name, code, label + text)
    if node.compensation is not None:
        yield from step_faults(node.compensation, f"compensation of {label}")


def due_faults(node: Node) -> Iterator[tuple[str, str]]:
    """Return what is wrong with the moment by which a node is expected."""
    if node.due_ms is not None and node.due_ms <= 0:
        yield "due", ": the time in which its end is expected must be longer than nothing"
    if node.due_at is not None and node.due_ms is not None:
        yield "due", ": its end is expected within a time, or at a moment, not both"


def _of_kind(node: AnyNode) -> Iterator[tuple[str, str]]:  # noqa: C901 - one line for each kind of node
    """Return codes, and what follows the name of the node in the sentence."""
    match node:
        case SleepNode():
            yield from _sleep(node)
        case SignalNode():
            yield from _signal(node)
        case EventNode():
            yield from _event(node)
        case InputNode():
            yield from input_faults(node)
            yield from _time_limit(node)
        case TokenNode():
            yield from _token(node)
        case ParallelNode():
            yield from _at_least_one("concurrency", node.concurrency)
            yield from _gated(node)
        case EachNode():
            yield from _at_least_one("concurrency", node.concurrency)
            yield from _at_least_one("enough", node.enough)
        case BranchNode():
            yield from _branch(node)
        case ChildNode():
            yield from _child(node)
        case StepNode():
            return
        case _:
            assert_never(node)


def _step(node: StepNode) -> Iterator[tuple[str, str]]:
    for code, text in retry_faults(node.retry):
        yield code, f": {text}"
    for limit in (node.timeout_ms, node.total_ms):
        if limit is not None and limit <= 0:
            yield "timeout", TOO_SHORT
    if node.timeout_ms is not None and node.total_ms is not None and 0 < node.total_ms < node.timeout_ms:
        text = f": it may take {node.total_ms} ms in all, but {node.timeout_ms} ms for one attempt"
        yield "contradiction", text
    if not QUEUE.match(node.queue):
        yield "bad_queue", f": {node.queue!r} is not a name for a queue: {QUEUE_RULE}"
    if node.breaker is not None:
        yield from _breaker(node.breaker)
    yield from _gated(node)
    units = node.units
    if units is not None and units.startswith("=") and not 0 <= int(units[1:]) <= COUNT_MAX:
        yield "units", f": units= is {units[1:]}, and must be from 0 to {COUNT_MAX}"


def _breaker(breaker: Breaker) -> Iterator[tuple[str, str]]:
    if not NAME.match(breaker.name):
        yield "bad_name", f": {breaker.name!r} is not a name for a breaker: {RULE}"
    if breaker.failures < 1:
        yield "breaker", f": breaker {breaker.name!r} needs one failure at the least to open"
    if breaker.window_ms <= 0 or breaker.reset_ms <= 0:
        yield "breaker", f": window and reset of breaker {breaker.name!r} must be longer than nothing"


def _gated(node: StepNode | ParallelNode) -> Iterator[tuple[str, str]]:
    if node.gate is not None:
        yield from gate_faults(node.gate)
    elif isinstance(node, StepNode) and node.units is not None:
        yield "contradiction", ": units= says what a call costs at a gate, but gate= is missing"
    elif isinstance(node, ParallelNode) and node.priority is not None:
        yield "contradiction", ": priority= says how it passes a gate, but gate= is missing"
    if node.priority is not None and not -100 <= node.priority <= 100:
        yield "priority", f": priority= is {node.priority}, and must be from -100 to 100"


def _sleep(node: SleepNode) -> Iterator[tuple[str, str]]:
    if node.duration_ms < 0:
        yield "duration", ": a sleep cannot be less than nothing"
    if node.until is None:
        return
    if node.duration_ms:
        yield "contradiction", " sleeps for a time or until a moment, not both"
    yield from moment_faults(node.until)


def _event(node: EventNode) -> Iterator[tuple[str, str]]:
    if not NAME.match(node.event):
        yield "bad_name", f": {node.event!r} is not a name for an event: {RULE}"
    yield from _time_limit(node)


def _signal(node: SignalNode) -> Iterator[tuple[str, str]]:
    if not node.signals:
        yield "no_signal", " names no signal"
    for signal, times in Counter(node.signals).items():
        if not NAME.match(signal):
            yield "bad_name", f": {signal!r} is not a name for a signal: {RULE}"
        if times > 1:
            yield "same_signal", f" names signal {signal!r} twice"
    yield from _time_limit(node)


def _token(node: TokenNode) -> Iterator[tuple[str, str]]:
    if node.heartbeat_ms is not None and node.heartbeat_ms <= 0:
        yield "heartbeat", ": the time between two heartbeats must be longer than nothing"
    yield from _time_limit(node)


def _time_limit(
    node: SignalNode | EventNode | InputNode | TokenNode | ChildNode,
) -> Iterator[tuple[str, str]]:
    if node.timeout_ms is not None and node.timeout_ms <= 0:
        yield "timeout", TOO_SHORT
    has_beats = isinstance(node, TokenNode) and node.heartbeat_ms is not None
    if node.on_timeout is not None and node.timeout_ms is None and not has_beats:
        yield "contradiction", " has an output for when its time is over, but no time-out"


def _branch(node: BranchNode) -> Iterator[tuple[str, str]]:
    if (node.on is None) == (node.selector is None):
        yield "contradiction", " is decided by a path or by a function, by one of the two"
    if not node.cases:
        yield "empty", " has no clauses"
    if node.selector is not None and node.selector.breaker is not None:
        yield "contradiction", ": breaker= is for steps, and its function only selects a clause"
    seen: set[bytes | None] = set()
    for case in node.cases:
        try:
            value = None if case is None else _comparable(case)
        except msgspec.DecodeError:
            yield "not_json", f" has a clause for {case}, which is not JSON"
            continue
        if value in seen:
            rest = "all the rest" if case is None else case
            yield "same_case", f" has two clauses for {rest}"
        seen.add(value)


def _comparable(case: str) -> bytes:
    """Return the same for two cases that a value equals both: 1 is 1.0."""
    value = msgspec.json.decode(case)
    return msgspec.json.encode(int(value) if isinstance(value, float) and value.is_integer() else value)


def _child(node: ChildNode) -> Iterator[tuple[str, str]]:
    for code, text in retry_faults(node.retry):
        yield code, f": {text}"
    if not NAME.match(node.workflow):
        yield "bad_name", f": {node.workflow!r} is not a name for a workflow: {RULE}"
    yield from _time_limit(node)
    if node.queue is not None and not QUEUE.match(node.queue):
        yield "bad_queue", f": {node.queue!r} is not a name for a queue: {QUEUE_RULE}"
    for field, value in node.input.items() if isinstance(node.input, dict) else ():
        if value.startswith("=") and not _is_json(value[1:]):
            yield "not_json", f" has {value!r} as {field!r} of its input: what follows the = is not JSON"
    if node.until is not None:
        yield from _rounds(node, node.until)
    elif node.again or node.every_ms:
        yield "contradiction", " is to run again, but until= is missing"


def _rounds(node: ChildNode, until: str) -> Iterator[tuple[str, str]]:
    for path in (until, *node.again.values()):
        if root_of(path) != node.name or not all(path.split(".")):
            text = f": {path!r} is no path into its own output: write one such as {node.name}.done"
            yield "until_path", text
    yield from _at_least_one("at_most", node.at_most)
    if node.every_ms < 0:
        yield "duration", ": the time between two rounds cannot be less than nothing"


def _at_least_one(option: str, count: int | None) -> Iterator[tuple[str, str]]:
    if count is not None and count < 1:
        yield "count", f": {option} is {count}, and must be 1 or more"


def _paths(node: AnyNode, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Report paths of a node leading to no dependency."""
    found, due = own_reads(node), due_paths(node)
    if not found.paths and not due:
        return
    upstream = {*node.after, *(name for join in node.joins for name in join.of)}
    for what, path in (*((found.what, path) for path in found.paths), *(("due", path) for path in due)):
        root = root_of(path)
        if not all(path.split(".")):
            wrong = "which is no path: write one such as input.id"
        elif root != "input" and root not in known:
            wrong = f"but {root!r} is neither the input nor a step"
        elif root != "input" and root not in upstream:
            wrong = f"but does not come after {root!r}"
        else:
            continue
        yield f"{what}_path", f" reads its {what} at {path!r}, {wrong}"


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


RULE = NAME_RULE
TOO_SHORT = ": a time-out must be longer than nothing"
