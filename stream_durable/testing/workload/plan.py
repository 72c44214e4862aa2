"""What clients do in one world, said before it begins."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream_durable.core.messages import Message
from stream_durable.wire.inbox import encode


@dataclass(frozen=True, slots=True)
class Sent:
    """One record that a client, or a stranger, puts on a topic at a moment."""

    at: float
    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    #: Whether it makes no sense: it belongs among the dead letters and nowhere else.
    is_garbage: bool = False
    #: Whether it is sent when its run has ended, and not before.
    waits_for_end: bool = False


@dataclass(slots=True)
class Plan:
    """What clients do in one world. Each script is sent in order, one by one."""

    scripts: list[list[Sent]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    #: Until when somebody begins something.
    seconds: float = 0.0


def message(at: float, said: Message, *, waits_for_end: bool = False) -> Sent:
    """Return a message of a client as what it sends."""
    return Sent(at, "inbox", None, said.key.encode(), encode(said), waits_for_end=waits_for_end)
