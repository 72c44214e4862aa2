"""Validates a definition and reports all faults in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from stream_durable.core.definition.cycles import find_cycles
from stream_durable.core.definition.formats import format_of
from stream_durable.core.definition.gate_faults import gate_faults, queue_faults
from stream_durable.core.definition.guards import Breaker, Gate
from stream_durable.core.definition.nesting import nesting_faults
from stream_durable.core.definition.node_faults import (
    RULE,
    TOO_SHORT,
    Fault,
    due_faults,
    label_of,
    node_faults,
    step_faults,
)
from stream_durable.core.definition.nodes import (
    CALLS_AT_ONCE_MAX,
    HOOKS,
    AnyNode,
    BesideNode,
    ChildNode,
    Definition,
    SignalNode,
    StepNode,
    function_of,
    gate_of,
    undo_of,
)
from stream_durable.core.definition.paths import root_of
from stream_durable.core.definition.places import place_faults, section_faults
from stream_durable.core.definition.reads import due_paths, passage_paths
from stream_durable.core.definition.retry_faults import retry_faults
from stream_durable.core.definition.start_faults import start_faults
from stream_durable.core.ids import NAME
from stream_durable.core.lifecycle import ON_REQUEST
from stream_durable.core.names import hook_kind

#: Names that paths and parameters use for something else.
RESERVED = frozenset({"input", "item"})


def validate(definition: Definition) -> list[Fault]:
    """Return all faults of a definition; without faults every run can end."""
    faults = [*_workflow(definition), *_names(definition), *_beside(definition)]
    known = {node.name for node in definition.nodes}
    templates = {template.name for template in definition.templates}
    for node in definition.nodes:
        faults += _edges(node, known, templates)
        faults += node_faults(node, known)
        faults += _taken(node, known)
        if isinstance(node, ChildNode) and node.workflow == definition.name:
            text = f"{label_of(node)}: workflow {definition.name!r} cannot be a child of itself"
            faults.append(Fault(node.name, "own_child", text))
    for template in definition.templates:
        label = f"template {template.name!r}"
        faults += [Fault(template.name, code, label + text) for code, text in due_faults(template)]
        faults += step_faults(template, label)
        faults += _unknown(template, label, template.takes, known)
    for hook in definition.hooks:
        faults += step_faults(hook, f"hook {hook_kind(hook.name)}")
    for beside in definition.beside:
        what = "answer" if beside.on == "inquiry" else "reaction"
        faults += step_faults(beside.step, f"{what} {beside.name!r}")
    faults += _shared(definition)
    for template in definition.templates:
        faults += _read_in_template(template)
    faults += nesting_faults(definition)
    if len(known) == len(definition.nodes):
        for cycle in find_cycles(definition):
            arrows = " -> ".join([*cycle, cycle[0]])
            faults.append(Fault(cycle[0], "cycle", f"steps wait for one another: {arrows}"))
    if not faults:
        faults += place_faults(definition)
        faults += section_faults(definition)
    return faults


def _workflow(definition: Definition) -> Iterator[Fault]:
    label = f"workflow {definition.name!r}"
    if not NAME.match(definition.name):
        yield Fault(None, "bad_name", f"{definition.name!r} is not a name for a workflow: {RULE}")
    if not definition.nodes:
        yield Fault(None, "empty", f"{label} has no steps")
    yield from _times(definition, label)
    if definition.concurrency is not None and definition.concurrency < 1:
        yield Fault(None, "count", f"{label}, concurrency=: at least one step has to run")
    yield from _entry(definition, label)
    for event in definition.events:
        if event not in ON_REQUEST:
            known = ", ".join(sorted(ON_REQUEST))
            yield Fault(None, "unknown_event", f"{label}, events=: {event!r} is not one of {known}")
    if definition.format < (needed := _format(definition)):
        yield Fault(None, "format", f"{label} has steps of format {needed}, and says {definition.format}")
    for code, text in retry_faults(definition.restart):
        yield Fault(None, code, f"{label}, restart=: {text}")
    for code, text in (fault for rule in definition.queues for fault in queue_faults(rule)):
        yield Fault(None, code, text)


def _times(definition: Definition, label: str) -> Iterator[Fault]:
    if definition.timeout_ms is not None and definition.timeout_ms <= 0:
        yield Fault(None, "timeout", label + TOO_SHORT)
    if definition.due_ms is not None and definition.due_ms <= 0:
        yield Fault(None, "due", f"{label}, due=: the time must be longer than nothing")


def _entry(definition: Definition, label: str) -> Iterator[Fault]:
    """Return the faults of the gate and the rule before a run begins."""
    if definition.gate is not None:
        yield from _gate(definition, definition.gate, label)
    if definition.starts is not None:
        for code, text in start_faults(definition.starts):
            yield Fault(None, code, label + text)


def _gate(definition: Definition, gate: Gate, label: str) -> Iterator[Fault]:
    for code, text in gate_faults(gate):
        yield Fault(None, code, label + text)
    if gate.per is not None and root_of(gate.per) != "input":
        text = f"{label}, gate {gate.name!r}: per= is {gate.per!r}, and before a run there is its input alone"
        yield Fault(None, "gate_path", text)
    for node in (*definition.nodes, *definition.templates):
        if (other := gate_of(node)) is not None and other.name == gate.name:
            text = f"{label_of(node)} waits for a place at gate {gate.name!r}, which its own run has"
            yield Fault(node.name, "deadlock", f"{text}: give one of them another gate")


def _format(definition: Definition) -> int:
    nodes = (*definition.nodes, *definition.templates)
    return format_of(
        nodes,
        definition.concurrency,
        definition.beside,
        definition.gate,
        definition.due_ms,
        definition.queues,
        definition.starts,
    )


def _names(definition: Definition) -> Iterator[Fault]:
    seen: set[str] = set()
    for node in (*definition.nodes, *definition.templates):
        if not NAME.match(node.name):
            yield Fault(node.name, "bad_name", f"{node.name!r} is not a name for a step: {RULE}")
        elif node.name in RESERVED:
            yield Fault(node.name, "reserved_name", f"a step cannot be called {node.name!r}")
        if node.name in seen:
            yield Fault(node.name, "duplicate", f"two steps are called {node.name!r}")
        seen.add(node.name)
    for hook in definition.hooks:
        kind = hook_kind(hook.name)
        if kind not in HOOKS:
            yield Fault(hook.name, "bad_name", f"there is no hook {kind!r}, only {', '.join(HOOKS)}")
        if hook.name in seen:
            yield Fault(hook.name, "duplicate", f"there are two hooks {kind}")
        seen.add(hook.name)


def _beside(definition: Definition) -> Iterator[Fault]:
    seen: set[str] = set()
    for each in definition.beside:
        if not NAME.match(each.name) or "." in each.name or each.name in (*HOOKS, "compensate"):
            text = f"{each.name!r} is not a name for an answer: {RULE}, without a dot, and not that of a hook"
            yield Fault(each.step.name, "bad_name", text)
        if each.step.on_error == "hold":
            text = f"{each.name!r} is called beside the graph, where nothing is held"
            yield Fault(each.step.name, "hold", text)
        if each.name in seen:
            yield Fault(
                each.step.name,
                "duplicate",
                f"two functions {'answer' if each.on == 'inquiry' else 'react as'} {each.name!r}",
            )
        seen.add(each.name)
        if not 1 <= each.concurrency <= CALLS_AT_ONCE_MAX:
            text = f"{each.name!r}, concurrency=: from 1 to {CALLS_AT_ONCE_MAX} calls may be under way"
            yield Fault(each.step.name, "count", text)
        if each.on == "signal":
            yield from _reaction(definition, each)
        elif each.on == "event":
            yield from _event_reaction(each)


def _reaction(definition: Definition, reaction: BesideNode) -> Iterator[Fault]:
    name, signal = reaction.step.name, reaction.signal
    if not NAME.match(signal):
        yield Fault(name, "bad_name", f"{signal!r} is not a name for a signal: {RULE}")
    for node in definition.nodes:
        if isinstance(node, SignalNode) and signal in node.signals:
            text = f"signal {signal!r} ends the wait {node.name!r}: wait for it, or react to it"
            yield Fault(name, "contradiction", text)
    if next(each for each in definition.beside if each.signal == signal) is not reaction:
        yield Fault(name, "contradiction", f"two functions react to signal {signal!r}")


def _event_reaction(reaction: BesideNode) -> Iterator[Fault]:
    name, key = reaction.step.name, reaction.key
    if not NAME.match(reaction.event):
        yield Fault(name, "bad_name", f"{reaction.event!r} is not a name for an event: {RULE}")
    if root_of(key) != "input" or not all(key.split(".")):
        text = (
            f"reaction to {reaction.event!r} reads its key at {key!r}, no path in the input such as input.id"
        )
        yield Fault(name, "key_path", text)


def _edges(node: AnyNode, known: set[str], templates: set[str]) -> Iterator[Fault]:
    label = label_of(node)
    for join in node.joins:
        yield from _join(node, label, join.of, join.enough)
    for upstream in (*node.after, *(name for join in node.joins for name in join.of)):
        if upstream == node.name:
            yield Fault(node.name, "self_dependency", f"{label} waits for itself")
        elif upstream in templates:
            remedy = "wait for the step that expands into it"
            text = f"{label} waits for {upstream!r}, which is a template: {remedy}"
            yield Fault(node.name, "template", text)
        elif upstream not in known:
            yield Fault(node.name, "unknown_step", f"{label} waits for {upstream!r}, which does not exist")
    for upstream in node.ended:
        if upstream not in node.after:
            text = f"{label} takes the end of {upstream!r} for enough without waiting for it"
            yield Fault(node.name, "not_after", text)


def _join(node: AnyNode, label: str, of: tuple[str, ...], enough: int) -> Iterator[Fault]:
    if not of:
        yield Fault(node.name, "empty", f"{label} waits for some of no steps at all")
    elif enough > len(of):
        yield Fault(node.name, "count", f"{label} waits for {enough} of {len(of)} steps")
    if enough < 1:
        yield Fault(node.name, "count", f"{label} waits for {enough} of its steps; 1 is the least")
    for upstream, times in Counter(of).items():
        if times > 1:
            text = f"{label} waits for some of several steps, and {upstream!r} is there twice"
            yield Fault(node.name, "same_member", text)


def _taken(node: AnyNode, known: set[str]) -> Iterator[Fault]:
    """Report outputs taken by a function but possibly missing at the call."""
    called = function_of(node)
    label = label_of(node)
    if called is None:
        if (undo := undo_of(node)) is not None:
            yield from _unknown(undo, f"compensation of {label}", (*undo.takes, *undo.results), known)
        return
    upstream = {*node.after, *(name for join in node.joins for name in join.of)}
    all_taken = (*called.takes, *(name for name in called.results if name not in called.takes))
    yield from _unknown(called, label, all_taken, known)
    for taken in all_taken:
        if taken in known and taken not in upstream:
            text = f"{label} takes {taken!r} without waiting for it"
            yield Fault(node.name, "not_after", text)
    if called.compensation is not None:
        undo = called.compensation
        yield from _unknown(undo, f"compensation of {label}", (*undo.takes, *undo.results), known)


def _unknown(node: StepNode, label: str, taken: tuple[str, ...], known: set[str]) -> Iterator[Fault]:
    for name in taken:
        if name not in known:
            yield Fault(node.name, "unknown_step", f"{label} takes {name!r}, which does not exist")


def _shared(definition: Definition) -> Iterator[Fault]:
    """Report breakers and gates with contradictory settings in several steps."""
    seen: dict[tuple[str, str], tuple[Breaker | Gate, str]] = {}
    for node in (*definition.nodes, *definition.templates):
        called = function_of(node)
        for kind, passed in (("breaker", called and called.breaker), ("gate", gate_of(node))):
            if passed is None:
                continue
            first, owner = seen.setdefault((kind, passed.name), (passed, node.name))
            if first != passed:
                text = f"{label_of(node)}: {kind} {passed.name!r} is set otherwise than by step {owner!r}"
                yield Fault(node.name, "contradiction", text)


def _read_in_template(template: StepNode) -> Iterator[Fault]:
    """Report outputs read by a template: nothing says that outputs are there."""
    for path in (*passage_paths(template), *due_paths(template)):
        if root_of(path) != "input":
            text = f"template {template.name!r} reads {path!r} when it begins: only the input is there"
            yield Fault(template.name, "gate_path", text)
