"""Reactions: functions called beside the graph for each signal of a name, possibly ending the run."""

from __future__ import annotations

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.emissions import emission_id
from stream_durable.core.failure import Failure
from stream_durable.core.messages import AttemptCancels, CancelRun
from stream_durable.core.run.advance import complete, fail
from stream_durable.core.run.attempts import open_step, take
from stream_durable.core.run.beside import is_reaction
from stream_durable.core.run.start import cancel
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import COMPLETED, STEP_ENDED, Outcome

_NULL = b"null"


def cancels(run: Run, message: AttemptCancels, now: int, out: Effects) -> Outcome:
    """End the reaction, and the run with it."""
    i, step = open_step(run, message)
    if not isinstance(step, Step):
        return step
    failure = take(run, i, step, message, out)
    if failure is None and not is_reaction(run, i):
        failure = Failure("bad_cancel", "only a reaction can cancel its run", retryable=False)
    if failure is not None:
        fail(run, i, failure, now, out)
        return Outcome.APPLIED
    request = CancelRun(
        key=run.id, id=emission_id(run.id, message.step, message.attempt, 0), reason=message.reason,
        compensate=message.compensate,
    )  # fmt: skip
    cancel(run, request, now, out, (i, COMPLETED, _NULL, None))
    if step.status not in STEP_ENDED and run.ended is None:
        # The run was ending already.
        complete(run, i, _NULL, now, out)
    return Outcome.APPLIED


HANDLERS: Handlers = {AttemptCancels: cancels}
