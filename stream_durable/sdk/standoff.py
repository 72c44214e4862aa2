"""Deadlocks of calls inside steps: the called run would wait for the calling run.

Found in both definitions and both inputs. Not found: places kept by ancestors of the calling run, requests by
children of the called run, and deadlocks of runs in another version than the worker's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from stream_durable.core.admission.rule import SingleRule
from stream_durable.core.definition.guards import Gate
from stream_durable.core.definition.nodes import Definition, ParallelNode, gate_of
from stream_durable.core.definition.paths import root_of, value_at
from stream_durable.core.errors import RejectedError
from stream_durable.core.gate.state import gate_id
from stream_durable.core.names import defined_name, is_helper

#: Whatever key there is, it cannot be read from this.
_NO_INPUT: Final = b"null"


class Caller(NamedTuple):
    """The calling step."""

    definition: Definition
    #: Its name in the run.
    step: str
    #: The input of its run.
    input: bytes


def standoff(caller: Caller, called: Definition, given: bytes) -> str | None:
    """Return the reason for a deadlock between the calling and the called run; None: there is none."""
    label = f"step {caller.step[:128]!r} of workflow {caller.definition.name!r} calls"
    text = _at_admission(caller, called, given)
    if text is not None:
        return f"{label} its own workflow, {text}"
    for gate, kept in _kept(caller):
        mine = _place(gate, caller.input)
        for other, asks in _asked(called):
            if _waits_for(gate, mine, other, given):
                return (
                    f"{label} workflow {called.name!r}, {asks} gate {gate.name!r}, of which {kept}: give "
                    "one of them another gate or another key, or call with wait=False"
                )
    return None


def steps_at(kept: Gate, called: Definition) -> Iterator[str]:
    """Return the steps of a called run that wait for places of a kept gate, whatever the inputs are."""
    mine = _place(kept, _NO_INPUT)
    for node in (*called.nodes, *called.templates):
        if (gate := gate_of(node)) is not None and _waits_for(kept, mine, gate, _NO_INPUT):
            yield node.name


def _waits_for(kept: Gate, mine: str | None, asked: Gate, given: bytes) -> bool:
    """Return whether a run with this input would wait for a place that the caller keeps at `mine`."""
    is_bounded = kept.limits.at_once is not None or asked.limits.at_once is not None
    return is_bounded and mine is not None and mine == _place(asked, given)


def _at_admission(caller: Caller, called: Definition, given: bytes) -> str | None:
    starts = called.starts
    if caller.definition.name != called.name or starts is None or not isinstance(starts.rule, SingleRule):
        return None
    busy = starts.rule.busy
    if busy == "replace":
        return None  # the new run has this one cancelled
    if starts.key is not None:
        key = _key(starts.key, caller.input)
        if key is None or key != _key(starts.key, given):
            return None
    does = "merges into this one" if busy == "skip" else "waits until this one has ended"
    remedy = "call with wait=False" if starts.key is None else "call with another key, or with wait=False"
    return (
        f"of which Single(busy={busy!r}) lets one run begin at a time, so that the new one {does}: {remedy}"
    )


def _kept(caller: Caller) -> Iterator[tuple[Gate, str]]:
    """Return the gates with a place kept by the run, or by groups around the step, during the call."""
    definition = caller.definition
    if definition.gate is not None:
        yield definition.gate, "this run keeps a place until it has ended"
    if is_helper(caller.step):
        return  # the groups around it have ended
    nodes = {node.name: node for node in definition.nodes}
    node = nodes.get(defined_name(caller.step))
    while node is not None and node.member_of is not None:
        node = nodes.get(node.member_of)
        if isinstance(node, ParallelNode) and node.gate is not None:
            yield node.gate, f"group {node.name!r} around the step keeps a place until it has ended"


def _asked(called: Definition) -> Iterator[tuple[Gate, str]]:
    """Return the gates of a called run and of its steps."""
    if called.gate is not None:
        yield called.gate, "whose runs wait for a place at"
    for node in (*called.nodes, *called.templates):
        if (gate := gate_of(node)) is not None:
            yield gate, f"whose step {node.name!r} waits for a place at"


def _place(gate: Gate, given: bytes) -> str | None:
    """Return the id to ask at; None: not known from the input."""
    if gate.per is None or gate.limits.weights is not None:
        return gate_id(gate.name)
    key = _key(gate.per, given)
    return None if key is None else gate_id(gate.name, key)


def _key(path: str, given: bytes) -> str | None:
    if root_of(path) != "input":
        return None
    try:
        value = value_at(path, given)
    except RejectedError:
        return None
    return None if isinstance(value, bool) or not isinstance(value, str | int) else str(value)
