"""Reviews: of failed runs, and of steps held for a decision."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw

from stream_durable.core.failure import Failure
from stream_durable.core.format import Format
from stream_durable.core.messages.fields import (
    NULL,
    Comment,
    OptionalRaw,
    OptionalText,
    Ordinal,
    Text,
    WaitAttempt,
)
from stream_durable.core.messages.run import RunMessage
from stream_durable.core.policy import RetryPolicy


class MarkReviewed(RunMessage, kw_only=True, tag="run.reviewed"):
    """A person has looked at a failed run, which needs nobody any more until it is retried."""

    id: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: Who, under any name.
    by: OptionalText = ""
    reason: Comment = ""


class ReviewMessage(RunMessage, kw_only=True):
    """A person decides about a held step."""

    id: Text
    #: Its name.
    step: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The attempt that the step is held for; 0: any.
    attempt: WaitAttempt = 0
    #: Who decides, under any name.
    by: OptionalText = ""
    reason: Comment = ""


class CompleteHeld(ReviewMessage, kw_only=True, tag="held.complete"):
    """Complete a held step with a value; later steps go on."""

    #: JSON that becomes the output.
    output: Raw = NULL


class FailHeld(ReviewMessage, kw_only=True, tag="held.fail"):
    """Let a held step fail, and with it the run, or what the step is a member of."""

    #: Why; None: the failure that the step is held for.
    failure: Failure | None = None


class ChangeHeld(RunMessage, kw_only=True, tag="run.change_held"):
    """A person changes a run with held steps, before a decision. Fields left out stay as before."""

    id: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The name of the workflow, if the sender knows it: a run of another one is not changed.
    workflow: OptionalText = ""
    #: JSON that becomes the input of the run.
    input: OptionalRaw = None
    #: Values by their paths in the context, such as `order.total`.
    context: Annotated[dict[Text, Raw], Meta(max_length=100)] = {}
    #: The held step that gets these retries and time-outs in this run.
    step: OptionalText = ""
    retry: RetryPolicy | None = None
    #: How many attempts it has; the rest of its retries stays as it is.
    attempts: Ordinal | None = None
    #: Of an attempt or of the wait, and of all attempts together.
    timeout_ms: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    total_ms: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    #: Who changes it, under any name, and why.
    by: OptionalText = ""
    reason: Comment = ""
