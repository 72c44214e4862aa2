"""The public, past-tense statements about runs and steps: what everybody downstream reads.

Each topic has a gapless sequence of its own per run, from 1, so that a consumer of either topic
alone can drop repeats and prove that it missed nothing. The last statement about a run says how many
statements about its steps there have been.
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
    SKIPPED,
)


class StepEvent(msgspec.Struct, frozen=True, gc=False):
    """Something happened to a step of a run."""

    type: str
    run: str
    workflow: str
    fingerprint: str
    sequence: int
    #: Log time of the message that caused it, milliseconds.
    time: int
    step: str
    attempt: int
    output: bytes | None = None
    failure: Failure | None = None
    started: int | None = None
    finished: int | None = None
    worker: str | None = None
    trace: str | None = None


class RunEvent(msgspec.Struct, frozen=True, gc=False):
    """Something happened to a run as a whole."""

    type: str
    run: str
    workflow: str
    fingerprint: str
    sequence: int
    time: int
    #: How many statements about steps have been made so far.
    step_sequence: int
    #: Id of the message that started the run: tells a caller whether it was theirs.
    cause: str
    output: bytes | None = None
    failure: Failure | None = None
    trace: str | None = None


STEP_COMPLETED = "step.completed"
STEP_FAILED = "step.failed"
STEP_RETRYING = "step.retrying"
STEP_WAITING = "step.waiting"
STEP_CANCELLED = "step.cancelled"
STEP_SKIPPED = "step.skipped"
STEP_COMPENSATED = "step.compensated"
RUN_STARTED = "run.started"
RUN_COMPLETED = "run.completed"
RUN_FAILED = "run.failed"
RUN_CANCELLED = "run.cancelled"
RUN_COMPENSATED = "run.compensated"
RUN_COMPENSATION_FAILED = "run.compensation_failed"
RUN_SCHEDULED = "run.scheduled"
RUN_PAUSED = "run.paused"
RUN_RESUMED = "run.resumed"
RUN_CANCELLING = "run.cancelling"
RUN_RETRIED = "run.retried"

#: What is said when a run has come to this.
RUN_EVENTS: Final[Mapping[str, str]] = {
    COMPLETED: RUN_COMPLETED,
    FAILED: RUN_FAILED,
    CANCELLED: RUN_CANCELLED,
    COMPENSATED: RUN_COMPENSATED,
    COMPENSATION_FAILED: RUN_COMPENSATION_FAILED,
}
STEP_EVENTS: Final[Mapping[str, str]] = {
    COMPLETED: STEP_COMPLETED,
    FAILED: STEP_FAILED,
    SKIPPED: STEP_SKIPPED,
    CANCELLED: STEP_CANCELLED,
    COMPENSATED: STEP_COMPENSATED,
}
