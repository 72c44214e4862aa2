"""What is asked before an attempt begins: a circuit breaker, a gate, and the gate of a queue."""

from __future__ import annotations

from typing import Final

import msgspec

from stream_durable.core.gate.limits import GateLimits
from stream_durable.core.messages import Millis
from stream_durable.core.policy import Count


class Breaker(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A circuit breaker, shared by all steps naming the same dependency."""

    name: str
    #: So many failures within the window open it.
    failures: Count = 5
    window_ms: Millis = 60_000
    #: How long it stays open before one attempt may try whether the dependency is back.
    reset_ms: Millis = 30_000


class Gate(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """A gate: so many at once and so many per time, of all that name it."""

    name: str
    limits: GateLimits
    #: A path to the key: each key has the limits for itself or, with weights, takes turns with the others.
    per: str | None = None


#: Begins the names of gates that queues have; no other gate's name begins with it.
QUEUE_GATE: Final = "queue:"


class QueueRule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, forbid_unknown_fields=True):
    """Limits and lanes of a queue as a whole, for all workers together."""

    name: str
    #: Of the gate that each attempt of the queue passes; None: there is none.
    limits: GateLimits | None = None
    #: Whether commands have lanes by priority.
    has_lanes: bool = False

    @property
    def gate(self) -> Gate | None:
        """The gate passed by each attempt of the queue."""
        return None if self.limits is None else Gate(name=QUEUE_GATE + self.name, limits=self.limits)
