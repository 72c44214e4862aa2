"""How a step begins: a worker is asked for it, it waits, or its members get their turn.

What begins may be over at once, a wait whose signal is there already, or let others begin, a group
its members. Hence two lists that grow while they are worked off, and no recursion, however long
such a chain is: `ready` of steps that may begin, `ends` of steps that are over.
"""

from __future__ import annotations

from stream_durable.core.definition.nodes import (
    BranchNode,
    ChildNode,
    EachNode,
    EventNode,
    ParallelNode,
    SignalNode,
    SleepNode,
    StepNode,
)
from stream_durable.core.definition.paths import root_of, value_at
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.ids import HANDOVER_BYTES_MAX, ID_BYTES_MAX, byte_length, channel_id, fits
from stream_durable.core.lifecycle import STEP_WAITING
from stream_durable.core.messages import WaitOpened
from stream_durable.core.run import groups, hooks, portions
from stream_durable.core.run.asking import ask_gate, dispatch, handover_bytes
from stream_durable.core.run.children import begin_child
from stream_durable.core.run.say import say_step, set_due
from stream_durable.core.run.state import Run, Step
from stream_durable.core.run.values import root_value
from stream_durable.core.status import COMPLETED, FAILED, PENDING, READY, WAITING

#: A step that is over: how, with which output, and why.
End = tuple[int, str, bytes | None, Failure | None]


def begin_each(run: Run, ready: list[int], now: int, out: Effects, ends: list[End]) -> None:
    """Begin steps that need wait for nothing more."""
    is_paused = run.requests is not None and run.is_paused
    for i in ready:
        graph = run.graph
        if is_paused:
            hold(run, i, "paused")
            continue
        if out.load >= portions.LOAD_MAX:
            portions.defer(run, i, out)
            continue
        node = graph.nodes[i]
        if graph.links and (owner := graph.owner(i)) >= 0 and not groups.admit(run, i, owner):
            hold(run, i, "group")
        elif type(node) is StepNode:
            _begin_step(run, i, node, now, out, ends)
        else:
            _begin_other(run, i, now, out, ready, ends)


def hold(run: Run, i: int, why: str) -> None:
    """Keep a step that could begin from beginning."""
    step = run.steps.get(i)
    if step is None:
        step = run.steps[i] = Step()
    step.status = PENDING
    step.detailed().held = why
    run.touched[i] = None


def _begin_step(run: Run, i: int, node: StepNode, now: int, out: Effects, ends: list[End]) -> None:
    run.active += 1
    step = run.steps.get(i)
    links = run.graph.links.get(i)
    is_counted = links is not None and links.owner >= 0 and groups.is_counted(run, links.owner)
    if step is None and (node.total_ms is not None or node.breaker is not None or is_counted):
        step = run.steps[i] = Step()
    if step is not None:
        step.status = READY
        run.touched[i] = None
        if step.detail is not None:
            step.detail.held = ""
        if node.total_ms is not None:
            until = step.detailed().until = now + node.total_ms
            set_due(run, i, step, until, out)
    if run.graph.hooks:
        hooks.call_step_hook(run, "on_step_start", i, step or Step(), now, out)
    size = handover_bytes(run, node)
    out.load += portions.STEP_LOAD + size
    if size > HANDOVER_BYTES_MAX:
        text = f"input and outputs together have more than {HANDOVER_BYTES_MAX} bytes of JSON"
        ends.append((i, FAILED, None, Failure("input_too_large", text, retryable=False)))
    elif node.breaker is not None:
        assert step is not None
        ask_gate(run, i, step, node, out)
    else:
        dispatch(run, i, 1 if step is None else step.attempt, out)


def _begin_other(run: Run, i: int, now: int, out: Effects, ready: list[int], ends: list[End]) -> None:
    """Begin a step that no worker makes."""
    node = run.graph.nodes[i]
    step = run.steps.get(i)
    if step is None:
        step = run.steps[i] = Step()
    elif step.detail is not None:
        step.detail.held = ""
    step.started = now
    run.touched[i] = None
    if run.graph.hooks:
        hooks.call_step_hook(run, "on_step_start", i, step, now, out)
    if type(node) is BranchNode and node.selector is not None:
        run.active += 1
        step.status = READY
        dispatch(run, i, step.attempt, out)
    elif isinstance(node, ParallelNode | EachNode | BranchNode):
        groups.begin_group(run, i, step, now, out, ready, ends)
    else:
        _begin_wait(run, i, step, now, out, ends)


def _begin_wait(run: Run, i: int, step: Step, now: int, out: Effects, ends: list[End]) -> None:
    node = run.graph.nodes[i]
    step.status = WAITING
    run.waiting.add(i)
    if type(node) is SleepNode:
        set_due(run, i, step, now + node.duration_ms, out)
        say_step(run, STEP_WAITING, i, step, now, out)
    elif type(node) is SignalNode:
        _begin_signal(run, i, step, node, now, out, ends)
    elif type(node) is EventNode:
        _begin_event(run, i, step, node, now, out, ends)
    elif type(node) is ChildNode:
        begin_child(run, i, step, node, now, out, ends)


def _begin_signal(
    run: Run, i: int, step: Step, node: SignalNode, now: int, out: Effects, ends: list[End]
) -> None:
    if run.mail is not None and (taken := run.mail.take(node.signals)) is not None:
        name, data = taken
        run.payload -= len(data)
        ends.append((i, COMPLETED, signal_output(node, name, data), None))
        return
    if node.timeout_ms is not None:
        set_due(run, i, step, now + node.timeout_ms, out)
    say_step(run, STEP_WAITING, i, step, now, out)


def _begin_event(
    run: Run, i: int, step: Step, node: EventNode, now: int, out: Effects, ends: list[End]
) -> None:
    try:
        key = event_key(run, node)
    except RejectedError as error:
        ends.append((i, FAILED, None, Failure(error.code, str(error), retryable=False)))
        return
    if node.timeout_ms is not None:
        set_due(run, i, step, now + node.timeout_ms, out)
    say_step(run, STEP_WAITING, i, step, now, out)
    channel = channel_id(node.event, key)
    out.messages.append(WaitOpened(key=channel, run=run.id, wait=node.name, attempt=step.attempt, since=now))


def signal_output(node: SignalNode, name: str, data: bytes) -> bytes:
    """Return what a wait for signals answers: the data, with the name where several could come."""
    if len(node.signals) == 1:
        return data
    return b'{"signal":"%b","data":%b}' % (name.encode(), data)


def event_key(run: Run, node: EventNode) -> str:
    """Read the correlation key of a wait from the run's input or an output."""
    try:
        value = value_at(node.key, root_value(run, root_of(node.key)))
    except RejectedError as error:
        if error.code == "bad_json":
            raise RejectedError("bad_key", f"no key can be read at {node.key!r}: {error}") from error
        raise
    if isinstance(value, bool) or not isinstance(value, str | int):
        kind = type(value).__name__
        raise RejectedError("bad_key", f"{node.key!r} holds a {kind}; a key is a text or a whole number")
    key = str(value)
    if not key or not fits(channel_id(node.event, key)):
        text = f"with the event's name a key has 1 to {ID_BYTES_MAX - 1} bytes of UTF-8"
        raise RejectedError("bad_key", f"the key at {node.key!r} has {byte_length(key)} bytes: {text}")
    if "\x00" in key:
        raise RejectedError("bad_key", f"the key at {node.key!r} holds a NUL character")
    return key
