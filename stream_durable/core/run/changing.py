"""A person changes a run with held steps before a decision: input, context, retries and time-outs.

The definition is shared and stays; a run keeps each change, with the values before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from stream_durable.core.definition.node_faults import node_faults
from stream_durable.core.definition.nodes import (
    AnyNode,
    ChildNode,
    EventNode,
    InputNode,
    SignalNode,
    StepNode,
    TokenNode,
)
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.messages import ChangeHeld
from stream_durable.core.policy import NO_RETRY
from stream_durable.core.run import context, review
from stream_durable.core.run.from_outside import Changed, Own
from stream_durable.core.run.state import Requests, Run, Step
from stream_durable.core.run.waiting import keep_keys, open_keys
from stream_durable.core.status import Outcome

#: Changes of one run, and bytes of what they have changed: all of it is loaded with the run.
CHANGES_MAX: Final = 20
CHANGED_BYTES_MAX: Final = 4_000_000

_encode = msgspec.json.Encoder().encode
_inputs = msgspec.json.Decoder(tuple[Raw, ...]).decode


def change(run: Run, message: ChangeHeld, now: int, out: Effects) -> Outcome:
    """Change a run with held steps, and keep the values before."""
    requests = run.requests or Requests()
    if run.has_seen(message.id) or any(one.id == message.id for one in requests.changes):
        return Outcome.DUPLICATE
    if run.has_ended:
        return Outcome.LATE
    i, own = judged(run, message)
    before, after = _described(run, i, message, own)
    made = Changed(
        message.id, now, Raw(_encode(before)), Raw(_encode(after)), message.step, message.by, message.reason
    )
    _check_room(requests, made)
    if message.context and (failure := context.put(run, message.context)) is not None:
        raise RejectedError(failure.code, failure.message)
    run.requests = requests
    if message.input is not None:
        keys = open_keys(run)
        run.payload += len(bytes(message.input)) - len(run.input)
        requests.input = message.input
        run.input = bytes(message.input)
        _change_last_input(run, message.input)
        keep_keys(run, keys)
        run.items = None
    if own is not None:
        run.steps[i].detailed().own = own
        run.touched[i] = None
        take_over(run, i, own)
    requests.changes = (*requests.changes, made)
    run.payload += made.size
    requests.remember(message.id)
    return Outcome.APPLIED


def judged(run: Run, message: ChangeHeld) -> tuple[int, Own | None]:
    """Return the held step, with its own options from now on; refuse a change unfit for the run."""
    if message.workflow not in ("", run.graph.name):
        text = f"run {run.id!r} is one of workflow {run.graph.name!r}, not of {message.workflow[:128]!r}"
        raise RejectedError("different_workflow", text)
    if message.input is not None and len(bytes(message.input)) > PAYLOAD_BYTES_MAX:
        raise RejectedError("too_large", f"an input has at most {PAYLOAD_BYTES_MAX} bytes of JSON")
    i = held_step(run, message.step)
    own = _own(run, i, message)
    if own is None and message.input is None and not message.context:
        text = "input, context, or retry, attempts, timeout or total of a held step"
        raise RejectedError("nothing_to_change", f"a change of run {run.id!r} takes {text}")
    return i, own


def take_over(run: Run, i: int, own: Own) -> None:
    """Let a step have its own retries and time-outs from now on."""
    graph = run.graph = run.graph.grown()
    graph.put(i, changed_node(graph.nodes[i], own))


def take_over_all(run: Run, steps: Mapping[str, Step]) -> None:
    """Do so for all steps of a loaded run."""
    if run.requests is None or not run.requests.changes:
        return
    for name, step in steps.items():
        i = run.graph.index.get(name)
        if i is not None and step.detail is not None and step.detail.own is not None:
            take_over(run, i, step.detail.own)


def held_step(run: Run, name: str) -> int:
    """Return the held step of a name, or any; refuse a run without, and another step."""
    if name and name not in run.graph.index:
        raise RejectedError("unknown_step", f"run {run.id!r} has no step {name[:128]!r}")
    held = review.held_steps(run)
    if not held:
        text = f"run {run.id!r} has no held step: it is changed only while a person is to decide"
        raise RejectedError("not_held", text)
    i = run.graph.index[name] if name else held[0]
    if i not in held:
        text = f"step {name!r} of run {run.id!r} is not held: only a held step is changed"
        raise RejectedError("not_held", text)
    return i


def _change_last_input(run: Run, changed: Raw) -> None:
    """Replace the run's own input, the last, among the inputs of the whole batch."""
    if run.inputs is None:
        return
    run.payload -= len(run.inputs)
    run.inputs = _encode([*_inputs(run.inputs)[:-1], changed])
    run.payload += len(run.inputs)
    run.has_new_inputs = True


def changed_node(node: AnyNode, own: Own) -> AnyNode:
    """Return a node with other retries and time-outs; refuse options unknown to the kind."""
    given: dict[str, Any] = {name: value for name, value in _fields(own) if value is not None}
    known = _KNOWN.get(type(node), ())
    for name in given:
        if name not in known:
            what = {"retry": "retries", "timeout_ms": "time-out", "total_ms": "time in all"}[name]
            text = f"step {node.name!r} has no {what} that could be changed"
            raise RejectedError("not_changeable", f"{text}: it can have {_words(known)}")
    return replace(node, **given)


#: What can be changed of each kind of step.
_KNOWN: Final[Mapping[type[AnyNode], tuple[str, ...]]] = {
    StepNode: ("retry", "timeout_ms", "total_ms"),
    ChildNode: ("retry", "timeout_ms"),
    **dict.fromkeys((SignalNode, EventNode, InputNode, TokenNode), ("timeout_ms",)),
}


def _words(known: tuple[str, ...]) -> str:
    return " and ".join(name.removesuffix("_ms").replace("total", "total=") for name in known) or "none"


def own_of(node: AnyNode, message: ChangeHeld) -> Own:
    """Return the retries and time-outs given to a step by a message."""
    retry = message.retry
    if message.attempts is not None:
        retry = replace(retry or getattr(node, "retry", NO_RETRY), attempts=message.attempts)
    return Own(retry, message.timeout_ms, message.total_ms)


def _fields(own: Own) -> tuple[tuple[str, Any], ...]:
    return (("retry", own.retry), ("timeout_ms", own.timeout_ms), ("total_ms", own.total_ms))


def _own(run: Run, i: int, message: ChangeHeld) -> Own | None:
    """Return all options of the step's own from now on; None: nothing is changed."""
    given = own_of(run.graph.nodes[i], message)
    if given == Own():
        return None
    if not message.step:
        text = "retry, attempts, timeout and total are of a step: name the held step"
        raise RejectedError("no_step", text)
    node = changed_node(run.graph.nodes[i], given)
    for fault in node_faults(node, frozenset(run.graph.names)):
        raise RejectedError("bad_change", fault.message)
    detail = run.steps[i].detail
    had = Own() if detail is None or detail.own is None else detail.own
    return Own(
        had.retry if given.retry is None else given.retry,
        had.timeout_ms if given.timeout_ms is None else given.timeout_ms,
        had.total_ms if given.total_ms is None else given.total_ms,
    )


def _described(
    run: Run, i: int, message: ChangeHeld, own: Own | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the values before and after a change, by name."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if message.input is not None:
        before["input"], after["input"] = Raw(run.input), message.input
    if message.context:
        before["context"] = context.values_at(run, message.context)
        after["context"] = message.context
    if own is not None:
        node = run.graph.nodes[i]
        for name, value in _fields(own_of(node, message)):
            if value is not None:
                before[name], after[name] = getattr(node, name), value
    return before, after


def _check_room(requests: Requests, made: Changed) -> None:
    every = (*requests.changes, made)
    size = sum(one.size for one in every)
    if len(every) > CHANGES_MAX or size > CHANGED_BYTES_MAX:
        text = f"a run is changed {CHANGES_MAX} times, and {CHANGED_BYTES_MAX} bytes of JSON are kept of that"
        raise RejectedError("too_many_changes", f"{text}: start another run")


HANDLERS: Handlers = {ChangeHeld: change}
