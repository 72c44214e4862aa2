"""Emissions of steps: records, events, signals and starts, with the end of an attempt."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, field

from stream_durable.core.format import Format
from stream_durable.core.messages.attempts import (
    AttemptCancels,
    AttemptCompleted,
    AttemptExpanded,
    AttemptFinished,
    AttemptJumped,
    AttemptMessage,
    AttemptSkipped,
)
from stream_durable.core.messages.fields import NULL, Millis, OptionalText, Ordinal, Text
from stream_durable.core.messages.run import RunMessage
from stream_durable.core.messages.starts import Attribute


class EmittedRecord(msgspec.Struct, omit_defaults=True, kw_only=True, tag="record", tag_field="kind"):
    """A record for a topic of others."""

    #: As the cluster calls it.
    topic: Text
    #: Bytes in base64, as is `value`; null: without a key, and with a tombstone.
    record_key: bytes | None = field(default=None, name="key")
    value: bytes | None = None
    #: What the value is, as a media type.
    content: OptionalText = ""
    #: The fingerprint of the Avro schema of the value.
    schema: OptionalText = ""


class EmittedEvent(msgspec.Struct, omit_defaults=True, kw_only=True, tag="event", tag_field="kind"):
    """An event for waiting runs."""

    event: Text
    #: Empty: without a key.
    event_key: OptionalText = field(default="", name="key")
    data: Raw = NULL
    ttl_ms: Millis = 0


class EmittedSignal(msgspec.Struct, omit_defaults=True, kw_only=True, tag="signal", tag_field="kind"):
    """A signal to another run."""

    run: Text
    signal: Text
    data: Raw = NULL
    #: How long it is kept for a wait that has not begun; None: until the end of the run.
    ttl_ms: Millis | None = None


class EmittedStart(msgspec.Struct, omit_defaults=True, kw_only=True, tag="run", tag_field="kind"):
    """The start of another run."""

    run: Text
    workflow: Text
    fingerprint: OptionalText = ""
    input: Raw = NULL
    tags: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()


Emission = EmittedRecord | EmittedEvent | EmittedSignal | EmittedStart


class AttemptEmitted(AttemptMessage, kw_only=True, tag="attempt.emitted"):
    """An attempt ended; the emissions leave, and attributes are set, if the end is saved as the step's."""

    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The end, a message of its own.
    end: (
        AttemptCompleted | AttemptSkipped | AttemptJumped | AttemptExpanded | AttemptFinished | AttemptCancels
    )
    #: In the order of the calls.
    emissions: Annotated[tuple[Emission, ...], Meta(max_length=1_000)] = ()
    #: Typed values for the run: name, kind, value.
    attributes: Annotated[tuple[Attribute, ...], Meta(max_length=32)] = ()


class EmissionRefused(RunMessage, kw_only=True, tag="emission.refused"):
    """A topic refused an emission for good."""

    #: Of the emission.
    id: Text
    format: Format
    step: Text
    attempt: Ordinal
    topic: Text
    #: `too_large`, `no_topic`, `not_authorised` or `invalid`.
    code: OptionalText = ""
    reason: Annotated[str, Meta(max_length=4_000)] = ""
