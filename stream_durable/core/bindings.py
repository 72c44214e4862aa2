"""Bindings as data: topics of others, with the starts, events, signals and answers made of their records."""

from __future__ import annotations

import shlex
from typing import Any, Final, Literal

import msgspec

from stream_durable.core.format import BINDINGS, Format
from stream_durable.core.messages import Millis, Text
from stream_durable.core.orders import Order
from stream_durable.core.triggers import Mapping

#: What a path of a binding may begin with.
ROOTS: Final = ("value", "headers", "key", "topic", "partition", "offset", "timestamp")

Encoding = Literal["json", "avro", "protobuf"]
#: What becomes of a record that cannot be read, or fits nothing: a dead letter, nothing, or a stop there.
Bad = Literal["dead", "skip", "stop"]


class BoundStart(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    """The start of a run in the current version of a workflow."""

    workflow: Text
    #: The path of the run's id; empty: derived from binding, topic, partition and offset.
    id: str = ""
    input: Mapping = "value"


class BoundEvent(msgspec.Struct, frozen=True, kw_only=True, tag="event"):
    """An event."""

    event: Text
    #: The path of the correlation key; empty: for triggers alone.
    key: str = ""
    data: Mapping = "value"
    #: The path of the message's id; empty: derived as for a start.
    id: str = ""


class BoundSignal(msgspec.Struct, frozen=True, kw_only=True, tag="signal"):
    """A signal to a run."""

    signal: Text
    #: The path of the run's id.
    run: str
    data: Mapping = "value"
    id: str = ""


class BoundAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """An answer to a question of a run."""

    #: The name of the step that asks.
    wait: Text
    run: str
    data: Mapping = "value"
    id: str = ""


Becomes = BoundStart | BoundEvent | BoundSignal | BoundAnswer


class Binding(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="binding", tag_field="kind"):
    """A rule for making messages of the records of a topic."""

    #: Releases without this format cannot read it.
    format: Format = BINDINGS
    name: Text
    app: Text
    #: Its full name on the cluster.
    topic: Text
    encoding: Encoding = "json"
    #: How values are written, unless a registry says it: the JSON text of an Avro schema, or of a type of
    #: Protobuf with its descriptors.
    schema: str = ""
    #: The JSON Schema of values; None: anything.
    value: Any = None
    becomes: Becomes
    #: By path: the value that has to be there, or several of which one has to be.
    match: dict[str, Any] = {}
    #: The time of the first record to be read, where nothing was read before; None: that of the declaration.
    since: Millis | None = None
    #: When the topic was first bound by this name.
    declared: Millis = 0
    bad: Bad = "dead"

    @property
    def begins(self) -> int:
        """The time of the first record to be read, where nothing was read before."""
        return self.declared if self.since is None else self.since


def origin_of(name: str) -> str:
    """Return the beginning of the reason of each dead letter of a binding."""
    return f"binding {name!r}: "


def missing_remedy(topic: str) -> str:
    """Return the remedy for a binding whose topic is missing."""
    return (
        f"`stream-durable topics make {shlex.quote(topic)}` makes it; "
        "if its name is another one, correct app.topic(...)"
    )


class Skip(msgspec.Struct, frozen=True):
    """The order to go past one record, where an unusable record stops its partition."""

    #: The identity of the topic: one made anew has other records.
    topic: str
    offset: int
    order: Order
    format: Format = BINDINGS


class Described(msgspec.Struct, frozen=True):
    """A message type of Protobuf, with the describing files."""

    #: Its full name, such as `shop.OrderPlaced`.
    message: str
    #: A `FileDescriptorSet` in base64.
    files: str
