"""Messages about the passes of an attempt: a value is kept, or the function waits."""

from __future__ import annotations

from typing import Any

import msgspec

from stream_durable.core.definition.nodes import WaitNode
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.ids import byte_length
from stream_durable.core.lifecycle import STEP_WAITING
from stream_durable.core.messages import AttemptNoted, AttemptWaits, Call
from stream_durable.core.names import CHECKPOINT as CHECKPOINT_NAME
from stream_durable.core.names import inner, outer
from stream_durable.core.run import groups, inside
from stream_durable.core.run.advance import work_off
from stream_durable.core.run.attempts import (
    ask_again,
    fail_attempt,
    give_up,
    has_stopped,
    lease,
    open_step,
    stopped,
)
from stream_durable.core.run.gating import leave_gate, leave_place, note_spent
from stream_durable.core.run.inner import Inner, Inside
from stream_durable.core.run.say import clear_due, say_step, set_due
from stream_durable.core.run.state import End, Run, Step
from stream_durable.core.run.waiting import begin_wait
from stream_durable.core.status import COMPLETED, RUNNING, STEP_ENDED, WAITING, Outcome

_wait: msgspec.json.Decoder[Any] = msgspec.json.Decoder(WaitNode)


def noted(run: Run, message: AttemptNoted, now: int, out: Effects) -> Outcome:
    """Keep a value of a step, if it comes from the worker that holds the attempt."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    is_held = step.status == RUNNING
    if not _holds(run, i, step, message, now, out):
        return Outcome.LATE
    name = CHECKPOINT_NAME if message.is_checkpoint else message.note
    known = run.steps.get(run.graph.index.get(inner(run.graph.names[i], name), -1))
    value = bytes(message.value)
    if known is not None and not message.is_checkpoint and _counts(step, known):
        if known.output == value:
            # The first note of a call is applied in any case: it has announced the attempt.
            return Outcome.DUPLICATE if is_held else Outcome.APPLIED
        _ask_with_all(run, i, step, out)
        return Outcome.APPLIED
    if fault := _no_room(run, i, name, 1):
        fail_attempt(run, i, step, fault, now, out)
        return Outcome.APPLIED
    kind = inside.CHECKPOINT if message.is_checkpoint else inside.ONCE
    _, kept = inside.enclose(run, i, step, name, Inner(kind, message.at))
    kept.status, kept.output = COMPLETED, value
    kept.started = kept.finished = now
    kept.worker = message.worker
    run.payload += len(value)
    return Outcome.APPLIED


def _counts(step: Step, known: Step) -> bool:
    made = None if known.detail is None else known.detail.inner
    if made is None or made.is_dropped or known.attempt < inside.first_of(step):
        return False
    return known.status == COMPLETED


def _ask_with_all(run: Run, i: int, step: Step, out: Effects) -> None:
    """Request a call with all kept values from a worker that goes by an older command."""
    step.detailed().returns += 1
    clear_due(run, i, step, out)
    ask_again(run, i, step, out)


def _holds(run: Run, i: int, step: Step, message: AttemptNoted, now: int, out: Effects) -> bool:
    """Return whether a worker holds an attempt; the first note of a pass announces it."""
    if Call(message.passes, message.returns, message.losses) != inside.call_of(step):
        return False
    if step.status == RUNNING:
        return step.worker == message.worker
    if not message.is_first:
        return False
    run.steps[i] = step
    step.status = RUNNING
    step.worker = message.worker
    step.started = now
    step.deadline = None if message.timeout_ms is None else now + message.timeout_ms
    lease(run, i, step, now, message.lease_ms, out)
    return True


def waits(run: Run, message: AttemptWaits, now: int, out: Effects) -> Outcome:
    """Begin the waits of a step's function."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    if message.passes != inside.passes_of(step):
        return Outcome.DUPLICATE
    is_replaced = Call(message.passes, message.returns, message.losses) != inside.call_of(step)
    if is_replaced or (step.status == RUNNING and step.worker != message.worker):
        return Outcome.LATE
    run.steps[i] = step
    if message.spent is not None:
        note_spent(step, message.spent)
    clear_due(run, i, step, out)
    if has_stopped(step):
        work_off(run, [stopped(i, step, Failure("cancelled", "the step waited"))], [], now, out)
        return Outcome.APPLIED
    if give_up(run, i, now, out):
        return Outcome.APPLIED
    try:
        nodes = [(wait.at, _node(run, i, bytes(wait.node))) for wait in message.waits]
        if len({node.name for _, node in nodes}) < len(nodes):
            raise RejectedError("bad_wait", f"step {run.graph.names[i]!r} has two waits of one name")
    except RejectedError as error:
        fail_attempt(run, i, step, Failure(error.code, str(error), retryable=False), now, out)
        return Outcome.APPLIED
    _begin(run, i, step, message, nodes, now, out)
    return Outcome.APPLIED


def _begin(
    run: Run, i: int, step: Step, message: AttemptWaits, nodes: list[tuple[int, WaitNode]], now: int,
    out: Effects,
) -> None:  # fmt: skip
    leave_gate(run, i, step, out)
    leave_place(run, i, step, out)
    detail = step.detailed()
    names = tuple(node.name.rpartition("/")[2] for _, node in nodes)
    keeper = message.worker if message.is_kept else ""
    made = detail.inside = Inside(message.passes, names, len(nodes), keeper)
    step.status = WAITING
    step.deadline = step.worker = None
    step.failure = None
    run.active -= 1
    run.waiting.add(i)
    run.touched[i] = None
    if detail.until is not None:
        set_due(run, i, step, detail.until, out)
    say_step(run, STEP_WAITING, i, step, now, out)
    ends: list[End] = []
    ready: list[int] = []
    for at, node in nodes:
        _begin_one(run, i, step, at, node, now, out, ends)
    if not made.left:
        inside.go_on(run, i, step, made, ready)
    work_off(run, ends, ready, now, out)


def _begin_one(
    run: Run, i: int, step: Step, at: int, node: WaitNode, now: int, out: Effects, ends: list[End]
) -> None:
    """Begin a wait, unless it is answered: its worker had not known."""
    known = run.steps.get(run.graph.index.get(node.name, -1))
    assert step.detail is not None
    assert step.detail.inside is not None
    if known is not None and known.status in STEP_ENDED and _counts(step, known):
        step.detail.inside.left -= 1
        step.detail.inside.keeper = ""
        return
    kind = str(node.__struct_config__.tag)
    m, held = inside.enclose(run, i, step, node.name.rpartition("/")[2], Inner(kind, at, node))
    held.started = now
    run.left += 1
    begin_wait(run, m, held, node, now, out, ends)


def _node(run: Run, i: int, data: bytes) -> WaitNode:
    """Return a wait of a message, or refuse it."""
    try:
        node: WaitNode = _wait.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RejectedError("bad_wait", f"a wait inside the step cannot be read: {error}") from error
    if outer(node.name) != run.graph.names[i]:
        raise RejectedError("bad_wait", f"{node.name[:200]!r} is not inside of step {run.graph.names[i]!r}")
    if fault := _no_room(run, i, node.name.rpartition("/")[2], 1):
        raise RejectedError(fault.code, fault.message)
    return node


def _no_room(run: Run, i: int, name: str, count: int) -> Failure | None:
    """Return why nothing of this name can be added inside of a step."""
    full = inner(run.graph.names[i], name)
    if full in run.graph.index:
        return None
    if byte_length(full) > groups.NAME_BYTES_MAX or "\x00" in full or "]" in name or "~" in name:
        text = f"{name[:200]!r} cannot be the name of a wait inside step {run.graph.names[i][:200]!r}"
        return Failure("bad_name", text, retryable=False)
    if run.graph.size + count > groups.STEPS_MAX + run.graph.definition_size:
        text = (
            f"a run has at most {groups.STEPS_MAX} steps that were added to it, with what is inside of steps"
        )
        return Failure("too_many_steps", text, retryable=False)
    return None


HANDLERS: Handlers = {AttemptNoted: noted, AttemptWaits: waits}
