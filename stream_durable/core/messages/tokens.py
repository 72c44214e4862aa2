"""Steps that wait for their token: ends, and signs of life, from outside."""

from __future__ import annotations

from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.format import Format
from stream_durable.core.messages.fields import NULL, OptionalText, Text, WaitAttempt
from stream_durable.core.messages.run import RunMessage


class OutsideMessage(RunMessage, kw_only=True):
    """An end, or a sign of life, from outside for a step that waits for its token."""

    id: Text
    step: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The attempt of the step that the token names; 0: any.
    attempt: WaitAttempt = 0
    #: Who ends it, under any name.
    by: OptionalText = ""


class CompleteStep(OutsideMessage, kw_only=True, tag="step.complete"):
    """Complete the step with a value. Before the step waits, the value is kept for it."""

    #: JSON that becomes the output.
    output: Raw = NULL


class FailStep(OutsideMessage, kw_only=True, tag="step.fail"):
    """Fail the step. Before the step waits, the failure is kept for it."""

    failure: Failure


class HeartbeatStep(OutsideMessage, kw_only=True, tag="step.heartbeat"):
    """What the step waits for is still under way: the time between heartbeats begins again."""
