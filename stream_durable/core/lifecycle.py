"""Public events about runs and steps, for everybody downstream.

Each topic has a gapless sequence per run, from 1, so that a consumer of either topic can drop repeats and
prove completeness. The last event about a run carries the number of events about steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from stream_durable.core.failure import Failure
from stream_durable.core.status import (
    CANCELLED,
    COMPENSATED,
    COMPENSATION_FAILED,
    COMPLETED,
    FAILED,
    MERGED,
    SKIPPED,
)


class StepEvent(msgspec.Struct, frozen=True, gc=False):
    """Something happened to a step of a run."""

    type: str
    run: str
    workflow: str
    fingerprint: str
    sequence: int
    #: Log time of the causing message, milliseconds.
    time: int
    step: str
    attempt: int
    output: bytes | None = None
    failure: Failure | None = None
    started: int | None = None
    finished: int | None = None
    worker: str | None = None
    trace: str | None = None
    #: For a step that asks people: JSON of the question, and of all actions so far.
    asked: bytes | None = None


class RunEvent(msgspec.Struct, frozen=True, gc=False):
    """Something happened to a run as a whole."""

    type: str
    run: str
    workflow: str
    fingerprint: str
    sequence: int
    time: int
    #: Number of events about steps so far.
    step_sequence: int
    #: Id of the message that started the run: a caller recognises its own.
    cause: str
    output: bytes | None = None
    failure: Failure | None = None
    trace: str | None = None
    #: For a start: the trigger, if other than a client, and the parent run, if any.
    trigger: str | None = None
    parent: str | None = None
    #: For `run.compensating`: the steps to be undone, in this order; at most the first `STEPS_MAX`.
    steps: tuple[str, ...] | None = None
    #: For `run.merged`: the run that took this one in.
    into: str | None = None


class EventHead(msgspec.Struct, frozen=True, gc=False):
    """The beginning of an event about a run or a step: the subject, without any value of a user."""

    type: str
    run: str
    workflow: str
    fingerprint: str
    sequence: int
    time: int
    #: None: the event is about the run as a whole.
    step: str | None = None
    attempt: int | None = None


#: How many steps one event names.
STEPS_MAX: Final = 1_000

STEP_STARTED = "step.started"
STEP_COMPLETED = "step.completed"
STEP_FAILED = "step.failed"
STEP_RETRYING = "step.retrying"
STEP_WAITING = "step.waiting"
STEP_CANCELLED = "step.cancelled"
STEP_SKIPPED = "step.skipped"
STEP_COMPENSATED = "step.compensated"
STEP_HELD = "step.held"
STEP_OVERDUE = "step.overdue"
STEP_EMISSION_REFUSED = "step.emission_refused"
RUN_STARTED = "run.started"
RUN_COMPLETED = "run.completed"
RUN_FAILED = "run.failed"
RUN_CANCELLED = "run.cancelled"
RUN_COMPENSATED = "run.compensated"
RUN_COMPENSATION_FAILED = "run.compensation_failed"
RUN_MERGED = "run.merged"
RUN_SCHEDULED = "run.scheduled"
RUN_PAUSED = "run.paused"
RUN_RESUMED = "run.resumed"
RUN_CANCELLING = "run.cancelling"
RUN_COMPENSATING = "run.compensating"
RUN_RETRIED = "run.retried"
RUN_OVERDUE = "run.overdue"

#: Every type of event and its meaning, for the reference.
MEANINGS: Final[Mapping[str, str]] = {
    RUN_SCHEDULED: "the run was started and begins at a later moment",
    RUN_STARTED: "the run has begun, or begins again by `restart=`; `trigger` says what started it",
    RUN_PAUSED: "no step of the run begins until it is resumed",
    RUN_RESUMED: "the paused run goes on",
    RUN_CANCELLING: "the end of the run was asked for, and something has to be done before",
    RUN_COMPENSATING: "what had completed is being undone; `steps` names it, in the order of the undoing",
    RUN_OVERDUE: "the run has not ended by the moment that `due=` says, and goes on",
    RUN_RETRIED: "steps of the run are retried by hand, be it after its end",
    RUN_COMPLETED: "the run has ended with an output",
    RUN_FAILED: "the run has ended with a failure",
    RUN_CANCELLED: "the run has ended because somebody asked for it",
    RUN_COMPENSATED: "the run has failed or was cancelled, and what had completed was undone",
    RUN_COMPENSATION_FAILED: "the run has ended, and not all of what had completed could be undone",
    RUN_MERGED: "the run has ended without having begun: another run of its workflow, in `into`, took it in",
    STEP_STARTED: "the step has begun; published only of workflows that ask for it with `events=`",
    STEP_WAITING: "the step waits for a signal, an event, a time, another run or a person",
    STEP_RETRYING: "an attempt of the step failed, and another one will be made",
    STEP_COMPLETED: "the step has ended with an output",
    STEP_FAILED: "the step has failed, and no attempt is left",
    STEP_HELD: "the step has failed, no attempt is left, and it waits for a person's decision",
    STEP_OVERDUE: "the step has not ended by the moment that `due=` says, and goes on",
    STEP_SKIPPED: "the step was not needed",
    STEP_CANCELLED: "the step was cancelled",
    STEP_COMPENSATED: "the step had completed, and was undone",
    STEP_EMISSION_REFUSED: "a topic refused for good what the step had emitted; `failure` says which and why",
}
#: Types published only on request of a workflow: one record for each step.
ON_REQUEST: Final = frozenset({STEP_STARTED})

#: The event of each end of a run.
RUN_EVENTS: Final[Mapping[str, str]] = {
    COMPLETED: RUN_COMPLETED,
    FAILED: RUN_FAILED,
    CANCELLED: RUN_CANCELLED,
    COMPENSATED: RUN_COMPENSATED,
    COMPENSATION_FAILED: RUN_COMPENSATION_FAILED,
    MERGED: RUN_MERGED,
}
STEP_EVENTS: Final[Mapping[str, str]] = {
    COMPLETED: STEP_COMPLETED,
    FAILED: STEP_FAILED,
    SKIPPED: STEP_SKIPPED,
    CANCELLED: STEP_CANCELLED,
    COMPENSATED: STEP_COMPENSATED,
}
