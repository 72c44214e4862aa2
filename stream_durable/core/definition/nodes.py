"""The nodes of a graph, serialisable without code, and the definition that holds them."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import Any

import msgspec

from stream_durable.core.policy import NO_RETRY, RetryPolicy


class Node(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="kind"):
    """What every node has: a name, and what must have ended before it may begin."""

    name: str
    after: tuple[str, ...] = ()


class StepNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="step"):
    """A user's function, called by a worker of the queue."""

    queue: str = "default"
    retry: RetryPolicy = NO_RETRY
    #: How long one attempt may take, from its start on a worker.
    timeout_ms: int | None = None
    #: Whether the function takes the run's input, and which outputs; nothing else travels.
    takes_input: bool = True
    takes: tuple[str, ...] = ()


class SleepNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="sleep"):
    """Waits for a time."""

    duration_ms: int


class SignalNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="signal"):
    """Waits for one of the named signals to the run."""

    signals: tuple[str, ...]
    timeout_ms: int | None = None
    #: JSON text of the output when the time is over; None: the step fails with code `timeout`.
    on_timeout: str | None = None


class EventNode(Node, frozen=True, omit_defaults=True, kw_only=True, tag="event"):
    """Waits for an event of a name and of the key found at a path when the wait begins."""

    event: str
    #: A path such as `input.id` or `charge.number`.
    key: str
    timeout_ms: int | None = None
    on_timeout: str | None = None


AnyNode = StepNode | SleepNode | SignalNode | EventNode


class Definition(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A named graph and its options. Its fingerprint is its identity: a run keeps the one it began with."""

    name: str
    nodes: tuple[AnyNode, ...]
    timeout_ms: int | None = None

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that change whenever anything in the definition changes."""
        return fingerprint_of(encode_definition(self))


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(Definition)


def fingerprint_of(data: bytes) -> str:
    """Return the fingerprint of a published definition.

    Of its bytes, not of what they are read as: a later release knows more fields, and a run must
    find its definition all the same.
    """
    return sha256(data).hexdigest()[:16]


def encode_definition(definition: Definition) -> bytes:
    """Return the canonical bytes: what is fingerprinted, published and stored."""
    return _encoder.encode(_canonical(definition))


def decode_definition(data: bytes) -> Definition:
    """Read what `encode_definition` wrote."""
    return _decoder.decode(data)


def _canonical(value: Any) -> Any:
    """Return plain values without the fields that equal their defaults.

    The library's own `omit_defaults` compares by identity, so two equal definitions could differ.
    """
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        fields: dict[str, Any] = {} if config.tag is None else {str(config.tag_field): config.tag}
        for name, default in zip(value.__struct_fields__, _defaults(type(value)), strict=True):
            if (held := getattr(value, name)) != default:
                fields[name] = _canonical(held)
        return fields
    if isinstance(value, tuple):
        return [_canonical(one) for one in value]
    return value


@cache
def _defaults(kind: type[msgspec.Struct]) -> tuple[Any, ...]:
    return tuple(field.default for field in msgspec.structs.fields(kind))
