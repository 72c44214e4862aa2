"""Client actions in a world, planned in advance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from stream_durable.core.messages import Message, StartRun
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import INBOX

Once = Literal["", "started", "begun", "ended"]


@dataclass(frozen=True, slots=True)
class Sent:
    """A record put on a topic by a client, or a stranger, at a moment."""

    at: float
    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    #: Whether it makes no sense: it belongs among the dead letters and nowhere else.
    is_garbage: bool = False
    #: What its run must have come to before it is sent; `started`: its start was acknowledged.
    once: Once = ""
    #: The run, where the key is no run's.
    run: str = ""
    #: How many seconds must have passed since what is before it in its script was acknowledged.
    after: float = 0.0
    #: Whether a run is there once it is acknowledged.
    is_start: bool = False


class Fall(NamedTuple):
    """The death of every process of a role at a moment."""

    at: float
    role: Literal["reconciler", "worker"]


@dataclass(slots=True)
class Plan:
    """Client messages of a world. Each script is sent in order, message by message."""

    scripts: list[list[Sent]] = field(default_factory=list)
    #: When the first thing is sent about which run.
    runs: dict[str, float] = field(default_factory=dict)
    #: Until when somebody begins something.
    seconds: float = 0.0
    #: Who dies when, beside what the weather does.
    falls: list[Fall] = field(default_factory=list)


def message(at: float, said: Message, *, once: Once = "", run: str = "", after: float = 0.0) -> Sent:
    """Return a client's message in the form for sending."""
    is_start = isinstance(said, StartRun)
    return Sent(
        at, INBOX, None, said.key.encode(), encode(said), once=once, run=run, after=after, is_start=is_start
    )  # fmt: skip
