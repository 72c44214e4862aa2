"""The public, past-tense statements about runs and steps: what everybody downstream reads.

Each topic has a gapless sequence of its own per run, from 1, so that a consumer of either topic
alone can drop repeats and prove that it missed nothing. The last statement about a run says how many
statements about its steps there have been.
"""

from __future__ import annotations

import msgspec

from stream_durable.core.failure import Failure


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
RUN_STARTED = "run.started"
RUN_COMPLETED = "run.completed"
RUN_FAILED = "run.failed"
RUN_CANCELLED = "run.cancelled"
