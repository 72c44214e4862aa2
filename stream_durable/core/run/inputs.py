"""Actions of people on the questions of a run: answer, claim, assign, comment."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from stream_durable.core.definition.answer_misfit import answer_misfit
from stream_durable.core.definition.nodes import InputNode
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.messages import AnswerInput, AssignInput, ClaimInput, CommentInput, InputMessage
from stream_durable.core.run.advance import complete
from stream_durable.core.run.from_outside import Asked, InputChange
from stream_durable.core.run.naming import no_such_wait
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import PENDING, READY, WAITING, Outcome

#: Changes kept per question; one more is refused, unless it is the answer.
CHANGES_MAX: Final = 50


def answer(run: Run, message: AnswerInput, now: int, out: Effects) -> Outcome:
    """Complete the step with a fitting answer."""
    i, asked = _question(run, message)
    if isinstance(asked, Outcome):
        return asked
    node = run.graph.nodes[i]
    assert type(node) is InputNode
    data = bytes(message.answer)
    check_answer(node, data)
    asked.changes.append(_change(message, "answered", now, comment=message.comment))
    complete(run, i, data, now, out)
    return Outcome.APPLIED


def claim(run: Run, message: ClaimInput, now: int, out: Effects) -> Outcome:
    """Claim the question, unless claimed by others."""
    i, asked = _question(run, message)
    if isinstance(asked, Outcome):
        return asked
    if not message.by:
        raise RejectedError("nobody", "a claim names the assignee in `by`")
    if asked.assignee == message.by:
        return Outcome.DUPLICATE
    if asked.assignee:
        return Outcome.LATE
    _keep(run, i, asked, _change(message, "claimed", now, to=message.by))
    asked.assignee = message.by
    return Outcome.APPLIED


def assign(run: Run, message: AssignInput, now: int, out: Effects) -> Outcome:
    """Hand the question over."""
    i, asked = _question(run, message)
    if isinstance(asked, Outcome):
        return asked
    role = asked.role if message.role is None else message.role
    _keep(run, i, asked, _change(message, "assigned", now, to=message.to, role=role, comment=message.comment))
    asked.assignee, asked.role = message.to, role
    return Outcome.APPLIED


def comment(run: Run, message: CommentInput, now: int, out: Effects) -> Outcome:
    """Keep a comment beside the question."""
    i, asked = _question(run, message)
    if isinstance(asked, Outcome):
        return asked
    _keep(run, i, asked, _change(message, "commented", now, comment=message.comment))
    return Outcome.APPLIED


def check_answer(node: InputNode, data: bytes) -> None:
    """Refuse an unfit answer, naming the field."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RejectedError("invalid_answer", f"the answer to {node.name!r} is no JSON") from error
    found = answer_misfit(node.schema, value)
    if found is not None:
        what = f"field {found.field[:200]!r} of the answer" if found.field else "the answer"
        raise RejectedError("invalid_answer", f"{what} to {node.name!r} does not fit: it {found.text}")


def _question(run: Run, message: InputMessage) -> tuple[int, Asked | Outcome]:
    """Return the asking step with its open question, or the outcome of a message about another."""
    i = run.graph.index.get(message.wait)
    if i is None or type(run.graph.nodes[i]) is not InputNode:
        text = f"no step {message.wait[:128]!r} of run {run.id!r} asks people"
        raise no_such_wait(run, message.wait, InputNode, text)
    step = run.steps.get(i)
    asked = None if step is None or step.detail is None else step.detail.asked
    if asked is not None and any(change.id == message.id for change in asked.changes):
        return i, Outcome.DUPLICATE
    if run.ended is None and _is_to_come(step, message.attempt):
        raise RejectedError("not_asked", f"step {message.wait!r} of run {run.id!r} has not asked yet")
    is_open = step is not None and step.status == WAITING and message.attempt in (0, step.attempt)
    return i, asked if asked is not None and is_open else Outcome.LATE


def _is_to_come(step: Step | None, attempt: int) -> bool:
    return step is None or attempt > step.attempt or step.status in (PENDING, READY)


def _keep(run: Run, i: int, asked: Asked, change: InputChange) -> None:
    if len(asked.changes) >= CHANGES_MAX:
        text = f"as much was noted about step {run.graph.names[i]!r} as may be: answer it"
        raise RejectedError("input_full", text)
    asked.changes.append(change)
    run.touched[i] = None


def _change(
    message: InputMessage,
    kind: Literal["claimed", "assigned", "commented", "answered"],
    now: int,
    *,
    to: str = "",
    role: str = "",
    comment: str = "",
) -> InputChange:
    return InputChange(message.id, kind, now, message.by, to, role, comment)


HANDLERS: Handlers = {
    AnswerInput: answer,
    ClaimInput: claim,
    AssignInput: assign,
    CommentInput: comment,
}
