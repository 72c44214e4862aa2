"""Waits without a channel: signals, sleeps and child runs."""

from __future__ import annotations

from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.format import Format
from stream_durable.core.messages.fields import NULL, Millis, OptionalText, Ordinal, Text
from stream_durable.core.messages.run import RunMessage


class ChildEnded(RunMessage, kw_only=True, tag="child.ended"):
    """A child run of a step has ended."""

    step: Text
    child: Text
    status: OptionalText
    output: Raw = NULL
    failure: Failure | None = None


class SignalRun(RunMessage, kw_only=True, tag="run.signal"):
    """A signal to a run, by name."""

    id: Text
    signal: Text
    #: JSON data.
    data: Raw = NULL
    #: Who sends it, under any name.
    by: OptionalText = ""
    #: How long it is kept for a wait that has not begun; None: until the end of the run.
    ttl_ms: Millis | None = None


class SleepUntil(RunMessage, kw_only=True, tag="sleep.until"):
    """When a sleep of this run ends, computed once from the calendar."""

    step: Text
    #: Which attempt of the step sleeps.
    attempt: Ordinal
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: Log time; None: see `failure`.
    at: Millis | None = None
    #: Why there is no such moment; the step fails with it.
    failure: Failure | None = None
