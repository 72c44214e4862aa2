"""Emitting attempts, and emissions refused by a topic."""

from __future__ import annotations

from collections.abc import Sequence

from stream_durable.core.effects import Effects, Handler, Handlers
from stream_durable.core.emissions import RefusedEmission, emit
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.lifecycle import (
    STEP_CANCELLED,
    STEP_EMISSION_REFUSED,
    STEP_FAILED,
    STEP_SKIPPED,
    StepEvent,
)
from stream_durable.core.messages import (
    AttemptCancels,
    AttemptCompleted,
    AttemptEmitted,
    AttemptEnd,
    AttemptExpanded,
    AttemptFailed,
    AttemptFinished,
    AttemptJumped,
    AttemptSkipped,
    EmissionRefused,
)
from stream_durable.core.run import answers, attempts, attributes, reactions
from stream_durable.core.run.say import say_step
from stream_durable.core.run.state import Run
from stream_durable.core.status import Outcome

#: How many refusals are kept with a step.
REFUSED_MAX = 20

_ENDS: dict[type[AttemptEnd], Handler] = {
    AttemptCompleted: attempts.completed,
    AttemptSkipped: answers.skipped,
    AttemptJumped: answers.jumped,
    AttemptExpanded: answers.expanded,
    AttemptFinished: answers.finished,
    AttemptCancels: reactions.cancels,
}


def emitted(run: Run, message: AttemptEmitted, now: int, out: Effects) -> Outcome:
    """End the attempt; let emissions leave and set attributes, unless the step failed all the same."""
    end = message.end
    if (end.key, end.step, end.attempt) != (message.key, message.step, message.attempt):
        raise RejectedError("unreadable", "the end within the message is of another attempt")
    if message.attributes and (failure := attributes.misfit(run, message.attributes)) is not None:
        return attempts.failed(run, _failed(end, failure), now, out)
    said = len(out.events)
    outcome = _ENDS[type(end)](run, end, now, out)
    if outcome is Outcome.APPLIED and not _has_failed(out.events[said:], end):
        emit(run.id, end.step, end.attempt, message.emissions, out)
        if message.attributes:
            attributes.put(run, message.attributes)
    return outcome


def _failed(end: AttemptEnd, failure: Failure) -> AttemptFailed:
    return AttemptFailed(
        key=end.key, step=end.step, attempt=end.attempt, worker=end.worker, started=end.started,
        finished=end.finished, logs=end.logs, call=end.call, failure=failure,
    )  # fmt: skip


def _has_failed(events: Sequence[object], end: AttemptEnd) -> bool:
    """Return whether the step failed by its result, such as a change that the context does not take."""
    may_skip = type(end) is AttemptSkipped
    for event in events:
        if type(event) is StepEvent and event.step == end.step and event.attempt == end.attempt:
            if event.type in (STEP_FAILED, STEP_CANCELLED):
                return True
            if event.type == STEP_SKIPPED:
                code = None if event.failure is None else event.failure.code
                return not (may_skip and code == "skipped")
    return False


def refused(run: Run, message: EmissionRefused, now: int, out: Effects) -> Outcome:
    """Keep a refusal with its step, and publish it unless the run has ended: its last event counts all."""
    i = run.graph.index.get(message.step)
    step = None if i is None else run.steps.get(i)
    if i is None or step is None:
        return Outcome.LATE
    known = step.detailed().refused
    if any(one.id == message.id for one in known):
        return Outcome.DUPLICATE
    one = RefusedEmission(message.id, message.topic, message.code, message.reason)
    step.detailed().refused = (*known, one)[-REFUSED_MAX:]
    run.touched[i] = None
    if run.ended is not None:
        return Outcome.APPLIED
    text = f"topic {message.topic!r} does not take what the step emitted: {message.reason}"
    had, step.failure = step.failure, Failure(f"emission_{message.code}", text, retryable=False)
    say_step(run, STEP_EMISSION_REFUSED, i, step, now, out)
    step.failure = had
    return Outcome.APPLIED


HANDLERS: Handlers = {
    AttemptEmitted: emitted,
    EmissionRefused: refused,
}
