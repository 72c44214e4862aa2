"""Attempts of steps: beginnings, heartbeats and ends, from workers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from stream_durable.core.failure import Failure
from stream_durable.core.format import Format
from stream_durable.core.gate.limits import Units
from stream_durable.core.messages.fields import NULL, Millis, OptionalText, Ordinal, Partition, Text
from stream_durable.core.messages.run import RunMessage


class AttemptMessage(RunMessage, kw_only=True):
    """A worker's message about an attempt."""

    #: Its name.
    step: Text
    #: From 1, as the command says.
    attempt: Ordinal
    #: Name of the worker.
    worker: OptionalText = ""


class Call(msgspec.Struct, omit_defaults=True, array_like=True, frozen=True):
    """The call that a message about an attempt comes from, as in the command."""

    #: How many passes of the attempt came before, how often it had been returned, and its worker lost.
    passes: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    returns: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    losses: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0


class AttemptStarted(AttemptMessage, kw_only=True, tag="attempt.started"):
    """A long attempt is under way; silence longer than the lease gives it up."""

    #: How long after this, or after the latest heartbeat, the worker is given up.
    lease_ms: Millis = 30_000
    #: When the attempt itself runs out of time, counted from its start; None: never.
    timeout_ms: Millis | None = None

    #: Whether the command had been delivered before, and the function is not called, for it may have kept
    #: values since: the attempt is requested again with them.
    is_repeat: bool = False
    #: How many passes of the attempt came before, as the command says; with `is_repeat` only.
    passes: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: How often it had been returned, and its worker lost, as the command says; with `is_repeat` only.
    returns: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    losses: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: Of a function that may keep values: the call, which holds the attempt unless it was replaced.
    call: Call | None = None


class AttemptHeartbeat(AttemptMessage, kw_only=True, tag="attempt.heartbeat"):
    """A long attempt still runs."""

    #: How long after this the worker is given up.
    lease_ms: Millis = 30_000
    #: How far the attempt is, with what words.
    percent: float | None = None
    label: str | None = None
    #: The partition for cancellations, once the partition of the attempt's command has moved.
    reply_to: Partition | None = None


class LogLine(msgspec.Struct, omit_defaults=True, array_like=True):
    """A log line of a step."""

    #: Worker's own clock, milliseconds.
    time: int
    level: str
    text: str


class Change(msgspec.Struct, omit_defaults=True, array_like=True):
    """A change of the run's context, made by a step."""

    kind: Literal["put", "merge", "merge_deep", "append", "increment", "delete"]
    key: str
    #: The value put or appended, the object merged into that at the key (the context itself if the key is
    #: empty; `merge_deep` goes into objects within objects), or the number added.
    value: Raw = NULL


class AttemptEnd(AttemptMessage, kw_only=True):
    """The end of an attempt, with logs and changes of the context."""

    #: Worker's own clock, milliseconds; for people, never for decisions.
    started: Millis = 0
    finished: Millis = 0
    #: What the run's context is to become, in order: kind of change, key, value.
    changes: tuple[Change, ...] = ()
    #: Lines that the step wrote: time, level, text.
    logs: tuple[LogLine, ...] = ()
    #: Of a call that has kept values: the end counts only while this call holds the attempt, so that what
    #: follows from a value is never taken over without the value.
    call: Call | None = None
    #: What the call has cost at its gate, in all; None: the forecast holds.
    spent: Units | None = None


class AttemptCompleted(AttemptEnd, kw_only=True, tag="attempt.completed"):
    """An attempt ended with a value."""

    #: What the function returned.
    output: Raw = NULL


class AttemptFailed(AttemptEnd, kw_only=True, tag="attempt.failed"):
    """An attempt ended without a value."""

    #: See below.
    failure: Failure
    #: The delay before the next attempt, where a function of the author's decides it.
    delay_ms: Millis | None = None


class AttemptReturned(AttemptEnd, kw_only=True, tag="attempt.returned"):
    """A worker returns an unused attempt; the same attempt is requested again."""

    #: How long to wait before it is asked for again.
    delay_ms: Millis = 0
    reason: Annotated[str, Meta(max_length=4_000)] = ""
    #: How often the attempt had been given back before: the command says it, and a repeat says the same.
    returns: Annotated[int, Meta(ge=0, le=(1 << 31) - 1)] = 0
    #: Whether the worker's code has no such function.
    is_not_carried: bool = False


class AttemptSkipped(AttemptEnd, kw_only=True, tag="attempt.skipped"):
    """The step is skipped; later steps go on without the output."""

    #: For people.
    reason: Annotated[str, Meta(max_length=4_000)] = ""


class AttemptJumped(AttemptEnd, kw_only=True, tag="attempt.jumped"):
    """The step is done, and the steps up to the target are skipped."""

    #: The step that the run goes on with.
    to: Text
    output: Raw = NULL


class Grafted(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A step added to the run by an answer."""

    #: The template or step with the function to call.
    of: Text
    #: Within the expansion; empty: its position.
    name: OptionalText = ""
    item: Raw = NULL
    #: Names within the expansion.
    after: tuple[Text, ...] = ()


class AttemptExpanded(AttemptEnd, kw_only=True, tag="attempt.expanded"):
    """The step is done after the added steps, with the list of outputs."""

    steps: Annotated[tuple[Grafted, ...], Meta(max_length=10_000)] = ()
    concurrency: Annotated[int, Meta(ge=1)] | None = None
    complete_all: bool = False


class AttemptFinished(AttemptEnd, kw_only=True, tag="attempt.finished"):
    """The run completes now, with this output."""

    #: The output of the run.
    output: Raw = NULL


class AttemptCancels(AttemptEnd, kw_only=True, tag="attempt.cancels"):
    """A reaction is done, and cancels the run."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    #: For people.
    reason: Annotated[str, Meta(max_length=4_000)] = ""
    #: Whether what completed is undone, as if the run had failed.
    compensate: bool = False
