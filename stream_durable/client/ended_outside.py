"""Ends of steps from outside, checked by the client in the same way as by the run."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from stream_durable.core.definition.nodes import TokenNode
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import TOKENS
from stream_durable.core.messages import CompleteStep, FailStep, HeartbeatStep
from stream_durable.core.run.naming import no_such_wait
from stream_durable.core.run.outside import has_not_begun
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import HELD, STEP_ENDED
from stream_durable.sdk.answers import Fail, failure_from

#: The code of a failure given as a text.
FAILED_OUTSIDE = "failed"


def completion_of(run: Run, step: str, data: Raw, attempt: int, *, by: str, id: str) -> CompleteStep:  # noqa: A002
    """Return the message completing a step awaiting its end from outside, now or later."""
    found = _expected(run, step, attempt)
    return CompleteStep(key=run.id, id=id, step=step, format=TOKENS, attempt=found, output=data, by=by)


def failure_of(
    run: Run,
    step: str,
    error: Fail | str,
    attempt: int,
    *,
    by: str,
    id: str,  # noqa: A002 - the word for it everywhere
) -> FailStep:
    """Return the message failing a step."""
    found = _expected(run, step, attempt)
    return FailStep(
        key=run.id, id=id, step=step, format=TOKENS, attempt=found, failure=as_failure(error), by=by
    )


def heartbeat_of(run: Run, step: str, attempt: int, *, id: str) -> HeartbeatStep:  # noqa: A002 - as above
    """Return the message of a heartbeat."""
    return HeartbeatStep(key=run.id, id=id, step=step, format=TOKENS, attempt=_expected(run, step, attempt))


def as_failure(error: Any) -> Failure:
    """Return a failure as data; a text is its message."""
    if not isinstance(error, Fail):
        if not isinstance(error, str) or not error:
            raise RejectedError("bad_error", "error= takes a text, or a Fail with a code and a message")
        error = Fail(FAILED_OUTSIDE, error, retryable=False)
    return failure_from(error)


def _expected(run: Run, name: str, attempt: int) -> int:
    """Return the attempt that a message is for; refuse where it would change nothing."""
    i = run.graph.index.get(name)
    if i is None or not isinstance(run.graph.nodes[i], TokenNode):
        known = ", ".join(run.graph.tokens)
        which = f"those that do are {known}" if known else "none of its steps does"
        text = f"no step {name[:128]!r} of run {run.id!r} ends by a token; {which}"
        raise no_such_wait(run, name, TokenNode, text)
    step = run.steps.get(i)
    now = 1 if step is None else step.attempt
    what = f"step {name!r} of run {run.id!r}"
    if attempt > now:
        raise RejectedError("unknown_attempt", f"attempt {attempt} of {what} was never begun")
    if run.ended is None and has_not_begun(run):
        raise RejectedError("not_begun", f"run {run.id!r} has not begun: wait until it has")
    if 0 < attempt < now:
        text = f"{what} has begun again since this token was made: use the token of attempt {now}"
        raise RejectedError("expired_token", f"{text} (`stream-durable tokens show` makes it)")
    _refuse_ended(run, step, what)
    return now


def _refuse_ended(run: Run, step: Step | None, what: str) -> None:
    outside = None if step is None or step.detail is None else step.detail.outside
    if outside is not None and outside.id:
        who = f" by {outside.by}" if outside.by else ""
        text = f"{what} was ended from outside before{who}, and ends once: nothing would change"
        raise RejectedError("used_token", f"{text}. `stream-durable runs show` has its output")
    if step is not None and step.status == HELD:
        text = f"{what} has failed and is held: a person decides about it by run and step, without its token"
        raise RejectedError("expired_token", f"{text}. `stream-durable runs complete` is one way")
    if run.ended is not None or (step is not None and step.status in STEP_ENDED):
        how = run.status if step is None or step.status not in STEP_ENDED else step.status
        text = f"{what} has ended as {how}, for example at its time-out: nobody waits for it any more"
        raise RejectedError("expired_token", f"{text}. `stream-durable runs retry` begins it again")
