"""Reactions: functions called beside the graph for each signal or event, possibly ending the run."""

from __future__ import annotations

from msgspec import Raw

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.emissions import emission_id
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.messages import AttemptCancels, CancelRun, EventGiven
from stream_durable.core.names import helper_kind
from stream_durable.core.run import reading
from stream_durable.core.run.advance import complete, fail
from stream_durable.core.run.attempts import open_step, take
from stream_durable.core.run.beside import accept, ask_again, ask_for_next, is_reaction
from stream_durable.core.run.from_outside import Beside
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
    if run.output is None:
        cancel(run, request, now, out, (i, COMPLETED, _NULL, None))
    if step.status not in STEP_ENDED and run.ended is None:
        # The run was ending already.
        complete(run, i, _NULL, now, out)
    return Outcome.APPLIED


def given(run: Run, message: EventGiven, now: int, out: Effects) -> Outcome:
    """Call the reaction to an event; a repeat is acknowledged again."""
    node = run.graph.beside.get(helper_kind(message.reaction))
    if node is None or node.on != "event":
        raise RejectedError("unknown_wait", f"run {run.id!r} has no reaction {message.reaction[:128]!r}")
    if run.ended is not None or message.ordinal != reading.ordinal_of(run):
        reading.decline(run, message, out)
        return Outcome.LATE
    call = Beside(
        message.id, 0, message.at or now, Raw(bytes(message.data)), message.number, message.more > 0,
        by=message.by,
    )  # fmt: skip
    outcome = accept(run, node, call, now, out)
    if outcome is Outcome.APPLIED:
        ask_for_next(run, node, out)
    elif not message.more:
        ask_again(run, node, message.number, out)
    return outcome


HANDLERS: Handlers = {AttemptCancels: cancels, EventGiven: given}
