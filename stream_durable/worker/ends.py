"""Converts commands to arguments of functions, and results to messages.

Shared by the worker and its processes, so neither is known here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from stream_durable.core.effects import Command
from stream_durable.core.format import BESIDE
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.messages import (
    NULL,
    AttemptCancels,
    AttemptCompleted,
    AttemptEnd,
    AttemptExpanded,
    AttemptFinished,
    AttemptJumped,
    AttemptReturned,
    AttemptSkipped,
    Change,
    Grafted,
)
from stream_durable.core.reference import holds_reference
from stream_durable.sdk.answers import Cancel, Expand, Fail, Finish, Jump, Skip, Snooze
from stream_durable.sdk.context import Context, Control
from stream_durable.sdk.errors import HandoverError, Problem
from stream_durable.sdk.handler import Given, Handler
from stream_durable.sdk.handover import DOES_NOT_FIT, problems
from stream_durable.sdk.untyped import write_untyped
from stream_durable.sdk.values import Values

REASON_LENGTH_MAX = 4_000


class Attempt(Control, Protocol):
    """The attempt behind a context, and the run's context once created."""

    values: Values | None


def given_of(command: Command, context: Callable[[Any], Context[Any]]) -> Given:
    """Return the values of a command."""
    outputs, item, happened = command.outputs, command.item, command.happened
    return Given(
        bytes(command.input),
        {name: bytes(value) for name, value in outputs.items()} if outputs else _NO_OUTPUTS,
        context,
        None if item is None else bytes(item),
        None if happened is None else _with_names(command, bytes(happened)),
        None if command.inputs is None else tuple(map(bytes, command.inputs)),
    )


_NO_OUTPUTS: dict[str, bytes] = {}


def context_of(command: Command, attempt: Attempt, value: Any) -> Context[Any]:
    """Return a context with the run's typed input. All contexts of one attempt share changes."""
    if attempt.values is None:
        attempt.values = Values() if command.context is None else Values(bytes(command.context))
    return Context(
        value, attempt, run_id=command.run, workflow=command.workflow, step=command.step,
        attempt=command.attempt, values=attempt.values, outputs=command.outputs, tags=command.tags,
        metadata=command.metadata, scheduled=command.scheduled,
    )  # fmt: skip


def _with_names(command: Command, happened: bytes) -> bytes:
    """Add the further fields of a hook's argument, present in every command."""
    fields = msgspec.json.decode(happened, type=dict[str, Raw])
    return msgspec.json.encode({"run": command.run, "workflow": command.workflow, **fields})


def end_of(handler: Handler, result: Any, who: dict[str, Any]) -> AttemptEnd:
    """Convert a function's return value to the message ending its attempt; `who` identifies the attempt.

    A message made by a separate process is returned as is.
    """
    say = _ANSWERS.get(type(result))
    if say is not None:
        return say(handler, result, who)
    output = handler.encode(result)
    if holds_reference(output):
        raise _not_own(handler)
    end = AttemptCompleted(**who, output=Raw(output))
    return end if handler.into is None else _put(handler.into, end)


def _put(key: str, end: AttemptCompleted | AttemptJumped) -> AttemptEnd:
    """Put the output into the run's context, too."""
    end.changes = (Change("put", key, NULL if bytes(end.output) == b"null" else end.output),)
    return end


def _skipped(_: Handler, answer: Skip, who: dict[str, Any]) -> AttemptEnd:
    return AttemptSkipped(**who, reason=answer.reason[:REASON_LENGTH_MAX])


def _snoozed(_: Handler, answer: Snooze, who: dict[str, Any]) -> AttemptEnd:
    return AttemptReturned(**who, delay_ms=answer.delay_ms, reason=answer.reason[:REASON_LENGTH_MAX])


def _jumped(handler: Handler, answer: Jump, who: dict[str, Any]) -> AttemptEnd:
    output = _untyped(handler, answer.output, "output of Jump")
    end = AttemptJumped(**who, to=answer.target, output=output)
    return end if handler.into is None else _put(handler.into, end)


def _finished(handler: Handler, answer: Finish, who: dict[str, Any]) -> AttemptEnd:
    return AttemptFinished(**who, output=_untyped(handler, answer.output, "output of Finish"))


def _cancelled(_: Handler, answer: Cancel, who: dict[str, Any]) -> AttemptEnd:
    reason = answer.reason[:REASON_LENGTH_MAX]
    return AttemptCancels(**who, format=BESIDE, reason=reason, compensate=answer.compensate)


def _expanded(handler: Handler, answer: Expand, who: dict[str, Any]) -> AttemptEnd:
    steps = tuple(
        Grafted(
            of=step.of,
            name=step.name or "",
            item=_untyped(handler, step.item, f"item {i} of Expand"),
            after=after,
        )
        for i, (step, after) in enumerate(zip(answer.steps, answer.after, strict=True))
    )
    size = sum(len(bytes(step.item)) + 64 for step in steps)
    if size > PAYLOAD_BYTES_MAX:
        raise Fail(
            "output_too_large",
            f"the steps to be added are {size} bytes of JSON, and {PAYLOAD_BYTES_MAX} are the most: let "
            "their items name what they are about instead of holding it",
            retryable=False,
        )
    return AttemptExpanded(
        **who, steps=steps, concurrency=answer.concurrency, complete_all=answer.on_error == "complete_all"
    )


def _said(_: Handler, end: AttemptEnd, who: dict[str, Any]) -> AttemptEnd:
    """Complete a message from a worker process with the worker's name."""
    end.worker = who["worker"]
    return end


_ANSWERS: dict[type, Callable[[Handler, Any, dict[str, Any]], AttemptEnd]] = {
    Skip: _skipped,
    Snooze: _snoozed,
    Jump: _jumped,
    Finish: _finished,
    Expand: _expanded,
    Cancel: _cancelled,
    **dict.fromkeys(
        (
            AttemptCompleted,
            AttemptReturned,
            AttemptSkipped,
            AttemptJumped,
            AttemptFinished,
            AttemptExpanded,
            AttemptCancels,
        ),
        _said,
    ),
}


def _untyped(handler: Handler, value: Any, what: str) -> Raw:
    try:
        data = write_untyped(value)
    except DOES_NOT_FIT as error:
        raise HandoverError("invalid_output", handler.workflow, handler.step, what, problems(error)) from None
    if holds_reference(data):
        raise _not_own(handler)
    return Raw(data)


def _not_own(handler: Handler) -> HandoverError:
    """The author's own value must not pass for a reference to somebody else's."""
    found = [Problem("$blob", "this key stands for a value that is kept elsewhere: take another")]
    return HandoverError("invalid_output", handler.workflow, handler.step, "output", found)
