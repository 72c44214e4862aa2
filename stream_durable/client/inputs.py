"""Requests about questions, checked by the client in the same way as by the run."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from msgspec import Raw

from stream_durable.core.definition.nodes import InputNode
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import ASKS
from stream_durable.core.messages import AnswerInput, AssignInput, ClaimInput, CommentInput
from stream_durable.core.run.from_outside import Asked
from stream_durable.core.run.inputs import CHANGES_MAX
from stream_durable.core.run.naming import no_such_wait
from stream_durable.core.run.state import Run
from stream_durable.core.status import COMPLETED, HELD, STEP_ENDED, WAITING
from stream_durable.wire.answers import judge

_ANSWERED: Final = "nothing would change. `stream-durable runs show` has the answer"


def open_question(run: Run, wait: str) -> tuple[InputNode, Asked, int]:
    """Return node, question and attempt of an open question; refuse any other step."""
    i = run.graph.index.get(wait)
    node = None if i is None else run.graph.nodes[i]
    if i is None or not isinstance(node, InputNode):
        raise no_such_wait(run, wait, InputNode, _unknown(run, wait))
    step = run.steps.get(i)
    asked = None if step is None or step.detail is None else step.detail.asked
    if step is not None and step.status == WAITING and asked is not None:
        return node, asked, step.attempt
    what = f"step {wait!r} of run {run.id!r}"
    if (
        step is not None
        and step.status == COMPLETED
        and asked is not None
        and _answered_by(asked) is not None
    ):
        who = _answered_by(asked) or "somebody"
        raise RejectedError("already_answered", f"{what} was answered by {who}: {_ANSWERED}")
    if run.ended is not None or (step is not None and step.status in STEP_ENDED):
        how = run.status if step is None else step.status
        text = f"{what} has ended as {how}, for example at its time-out: nobody waits for an answer any more"
        raise RejectedError("not_waiting", f"{text}. `stream-durable runs retry` asks again")
    if step is not None and step.status == HELD:
        text = f"{what} is held, for example since its time-out: nobody waits for an answer any more"
        how = "`stream-durable runs complete` gives it one, `runs retry --step` asks again"
        raise RejectedError("not_waiting", f"{text}. {how}")
    raise RejectedError("not_asked", f"{what} has not asked yet: wait until it does")


def answer_to(
    run: Run,
    wait: str,
    data: Raw,
    *,
    by: str,
    comment: str,
    id: str,  # noqa: A002 - the word for it everywhere
) -> AnswerInput:
    """Return an answer fit for the open question of a step."""
    node, _, attempt = open_question(run, wait)
    judge(node, bytes(data))
    return AnswerInput(
        key=run.id, id=id, wait=wait, format=ASKS, attempt=attempt, answer=data, by=by, comment=comment
    )


def claim_of(run: Run, wait: str, by: str, *, id: str) -> ClaimInput:  # noqa: A002 - as above
    """Return a claim on a question, unless claimed by others."""
    asked, attempt = _question_with_room(run, wait)
    if not by:
        raise RejectedError("nobody", "by= names the assignee of the question")
    if asked.assignee not in ("", by):
        text = f"step {wait!r} of run {run.id!r} belongs to {asked.assignee!r}: have it handed over instead"
        raise RejectedError("claimed", text)
    return ClaimInput(key=run.id, id=id, wait=wait, format=ASKS, attempt=attempt, by=by)


def assignment_of(
    run: Run,
    wait: str,
    to: str,
    role: str | None,
    *,
    by: str,
    comment: str,
    id: str,  # noqa: A002 - as above
) -> AssignInput:
    """Return the message assigning a question."""
    _, attempt = _question_with_room(run, wait)
    return AssignInput(
        key=run.id, id=id, wait=wait, format=ASKS, attempt=attempt, to=to, role=role, by=by, comment=comment
    )


def comment_on(run: Run, wait: str, text: str, *, by: str, id: str) -> CommentInput:  # noqa: A002 - as above
    """Return a comment on a question."""
    _, attempt = _question_with_room(run, wait)
    return CommentInput(key=run.id, id=id, wait=wait, format=ASKS, attempt=attempt, by=by, comment=text)


def _question_with_room(run: Run, wait: str) -> tuple[Asked, int]:
    """Return question and attempt, if there is room for another note."""
    _, asked, attempt = open_question(run, wait)
    if len(asked.changes) >= CHANGES_MAX:
        text = f"as much was noted about step {wait!r} of run {run.id!r} as may be: answer it"
        raise RejectedError("input_full", text)
    return asked, attempt


def _answered_by(asked: Asked) -> str | None:
    """Return who has answered, or None."""
    last = asked.changes[-1] if asked.changes else None
    return last.by if last is not None and last.kind == "answered" else None


def _unknown(run: Run, wait: str) -> str:
    asking = [node.name for node in run.graph.nodes if isinstance(node, InputNode)]
    if not asking:
        return f"no step of run {run.id!r} asks people"
    close = get_close_matches(wait, asking, 1)
    hint = f"is {close[0]!r} meant?" if close else f"those that do are {', '.join(asking[:20])}"
    return f"no step {wait[:128]!r} of run {run.id!r} asks people; {hint}"
