"""Child runs: starting and awaiting them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from stream_durable.core.definition.nodes import ChildNode
from stream_durable.core.definition.paths import raw_at, root_of, value_at
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import SCHEDULES
from stream_durable.core.ids import MESSAGE_BYTES_MAX, PAYLOAD_BYTES_MAX, child_id, clipped
from stream_durable.core.lifecycle import STEP_WAITING
from stream_durable.core.messages import (
    CancelRun,
    ChildEnded,
    Message,
    ScheduledRunEnded,
    StartRun,
    StartScheduled,
)
from stream_durable.core.run.portions import STEP_LOAD
from stream_durable.core.run.say import say_step, set_due
from stream_durable.core.run.state import End, Run, Step, raw_or_null
from stream_durable.core.run.values import root_value
from stream_durable.core.status import COMPLETED, FAILED

#: Generations below the first ancestor. More means a workflow that calls itself.
DEPTH_MAX = 100
#: Bytes of a start besides input and tags: ids, names, paths.
_ENVELOPE_BYTES = 10_000
#: The failure of a child whose output or failure is too large to be told.
_UNTOLD = "output_too_large"
#: So much of a failure's message is kept by a schedule.
_BRIEF_LENGTH = 500


def begin_child(
    run: Run, i: int, step: Step, node: ChildNode, now: int, out: Effects, ends: list[End]
) -> None:
    """Start the first child of a step, or of another try."""
    detail = step.detailed()
    detail.round = 1
    try:
        if run.depth >= DEPTH_MAX:
            text = f"the run is {run.depth} generations below the first one; no more may follow"
            raise RejectedError("too_deep", text)
        detail.input = Raw(_first_input(run, node))
    except RejectedError as error:
        ends.append((i, FAILED, None, Failure(error.code, str(error), retryable=False)))
        return
    ask_for_child(run, i, step, node, out)
    if not node.wait:
        ends.append((i, COMPLETED, msgspec.json.encode(detail.child), None))
        return
    if node.timeout_ms is not None:
        detail.until = now + node.timeout_ms
        set_due(run, i, step, detail.until, out)
    say_step(run, STEP_WAITING, i, step, now, out)


def ask_for_child(run: Run, i: int, step: Step, node: ChildNode, out: Effects) -> None:
    """Start this round's child; a repeated start changes nothing."""
    detail = step.detailed()
    out.load += STEP_LOAD + len(bytes(detail.input or b""))
    detail.child = _child_of(run, run.graph.names[i], step.attempt, detail.round)
    run.touched[i] = None
    out.messages.append(
        StartRun(
            key=detail.child,
            id=detail.child,
            workflow=node.workflow,
            fingerprint=node.fingerprint,
            input=detail.input if detail.input is not None else Raw(b"null"),
            tags=run.tags,
            trace=run.trace,
            queue=node.queue or run.queue or "",
            priority=run.priority,
            parent=run.id,
            parent_step=run.graph.names[i],
            depth=run.depth + 1,
            is_awaited=node.wait,
            picks=run.graph.picks_of(run.graph.names[i], () if run.requests is None else run.requests.picks),
        )
    )


def _child_of(run: Run, step: str, attempt: int, number: int) -> str:
    """Return the id of a child; the same for the same attempt and round, however often it is asked for."""
    of = step if attempt == 1 else f"{step}@{attempt}"
    return child_id(run.id, of if number == 1 else f"{of}/{number}")


def cancel_child(step: Step, reason: str, out: Effects, *, compensate: bool) -> None:
    """Ask the child of a waiting step to end; the child compensates if its parent does."""
    if step.detail is not None and step.detail.child:
        child = step.detail.child
        out.messages.append(
            CancelRun(key=child, id=clipped(f"parent/{child}"), reason=reason, compensate=compensate)
        )


def cancel_started(run: Run, i: int, step: Step, out: Effects, *, undoes: bool) -> None:
    """Cancel a child started without waiting, except a child to be left; `undoes`: with compensation."""
    node = run.graph.nodes[i]
    if step.status == COMPLETED and type(node) is ChildNode and not (node.wait or node.leave):
        cancel_child(step, f"run {run.id!r}, which started it, has ended", out, compensate=undoes)


def next_input(run: Run, node: ChildNode, i: int, output: bytes) -> bytes | None:
    """Return the input of the child's next round, or None if the child is done."""
    if node.until is None or _is_true(value_at(node.until, output)):
        return None
    step = run.steps[i]
    assert step.detail is not None
    given = step.detail.input
    if node.again:
        fields = value_at("input", bytes(given) if given is not None else b"null")
        merged = dict(fields) if isinstance(fields, dict) else {}
        for field, path in node.again.items():
            merged[field] = _next_value(path, output)
        return _bounded(run, msgspec.json.encode(merged))
    return _bounded(run, output)


def tell_parent(run: Run, out: Effects) -> None:
    """Report the end of this run to a waiting step of the parent."""
    if run.requests is not None and not run.requests.is_awaited:
        return
    if run.parent is not None and run.parent_step is not None:
        out.messages.append(
            ChildEnded(
                key=run.parent, step=run.parent_step, child=run.id, status=run.status,
                output=raw_or_null(run.output), failure=run.failure,
            )
        )  # fmt: skip


def tell_schedule(run: Run, out: Effects) -> None:
    """Report the end of this run to the schedule that started it, if one did."""
    if run.requests is not None and run.requests.scheduled is not None:
        out.messages.append(
            ScheduledRunEnded(
                key=run.requests.scheduled.schedule, format=SCHEDULES, run=run.id, status=run.status,
                failure=_brief(run.failure),
            )
        )  # fmt: skip


def _brief(failure: Failure | None) -> Failure | None:
    """Return as much of a failure as a schedule keeps."""
    if failure is None:
        return None
    return Failure(failure.code, failure.message[:_BRIEF_LENGTH], retryable=failure.retryable)


def refused(message: StartRun, error: RejectedError) -> ChildEnded | ScheduledRunEnded:
    """Return the message to the parent or schedule of a refused run, which would otherwise wait for ever."""
    failure = Failure(error.code, f"run {message.key!r} could not be started: {error}", retryable=False)
    if isinstance(message, StartScheduled):
        return ScheduledRunEnded(
            key=message.schedule, format=SCHEDULES, run=message.key, status=FAILED, failure=_brief(failure)
        )
    return ChildEnded(
        key=message.parent, step=message.parent_step, child=message.key, status=FAILED, failure=failure
    )


def undelivered(message: Message, reason: str) -> ChildEnded | ScheduledRunEnded | None:
    """Return the message to a run that waits for a message which the log does not take; None: none waits.

    A parent whose child's start is too large, or whose child's result, learns that.
    """
    if isinstance(message, StartRun) and (message.parent or isinstance(message, StartScheduled)):
        return refused(message, RejectedError("input_too_large", reason))
    if not isinstance(message, ChildEnded) or (message.failure and message.failure.code == _UNTOLD):
        return None
    text = f"the result of run {message.child!r} does not fit into a message: {reason}"
    return ChildEnded(
        key=message.key, step=message.step, child=message.child, status=FAILED,
        failure=Failure(_UNTOLD, text, retryable=False),
    )  # fmt: skip


def _first_input(run: Run, node: ChildNode) -> bytes:
    if node.input is None:
        return b"null"
    if isinstance(node.input, str):
        return _bounded(run, _text(run, node.input))
    parts = (msgspec.json.encode(field) + b":" + _text(run, path) for field, path in node.input.items())
    return _bounded(run, b"{%b}" % b",".join(parts))


def _text(run: Run, path: str) -> bytes:
    if path.startswith("="):
        return path[1:].encode()
    return raw_at(path, root_value(run, root_of(path)))


def _next_value(path: str, output: bytes) -> Any:
    return msgspec.json.decode(path[1:]) if path.startswith("=") else value_at(path, output)


def _bounded(run: Run, data: bytes) -> bytes:
    """Return a child's input, if there is room in the start message beside the run's tags."""
    most = PAYLOAD_BYTES_MAX
    if run.tags and len(data) > most // 2:
        most = min(most, MESSAGE_BYTES_MAX - _ENVELOPE_BYTES - len(msgspec.json.encode(run.tags)))
    if len(data) > most:
        beside = " beside the tags of the run, which it inherits" if most < PAYLOAD_BYTES_MAX else ""
        text = f"the child's input has {len(data)} bytes of JSON; {most} are the most{beside}"
        raise RejectedError("input_too_large", text)
    return data


def _is_true(value: Any) -> bool:
    """Say whether a value ends a repetition: true, or anything that is neither 0 nor empty nor null."""
    return bool(value)
