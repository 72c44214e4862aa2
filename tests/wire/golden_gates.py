"""Messages about gates, for the golden lines."""

from typing import Any

import msgspec

from stream_durable.core.gate.limits import GateChange, GateLimits, KeysChange
from stream_durable.core.messages import (
    Message,
    PlaceAsked,
    PlaceGiven,
    PlaceLeft,
    ProbeBreaker,
    ResetGate,
    SetGate,
    SetGateKeys,
)

RUN = "run-1"
LIMITS = GateLimits(at_once=10, rate=100, rate_ms=60_000, burst=20, weights={"gold": 3})
PLACE: dict[str, Any] = {"key": "bank//", "run": RUN, "attempt": 2, "format": 2}
PLACES: list[Message] = [
    PlaceAsked(**PLACE, limits=GateLimits(at_once=2)),
    PlaceAsked(**PLACE, step="charge", passes=1, limits=LIMITS, share="gold", priority=50, units=7),
    PlaceLeft(**PLACE),
    PlaceLeft(**PLACE, step="charge", passes=1, units=9),
    PlaceGiven(key=RUN, attempt=2, gate="bank//", format=2),
    PlaceGiven(key=RUN, step="charge", attempt=2, passes=1, gate="bank//gold", is_held=True, format=2),
    SetGate(key="bank//", id="m9", format=2, change=GateChange(at_once=20)),
    SetGate(
        key="bank//gold", id="m9", format=2,
        change=GateChange(at_once=20, rate=50, rate_ms=1_000, burst=0, weights={"gold": 5}),
    ),
    ResetGate(key="bank//", id="m10", format=2),
    ProbeBreaker(key="bank", id="m11", format=2),
]  # fmt: skip

CHANGE = GateChange(rate=50, burst=0)
KEYS: list[Message] = [
    SetGateKeys(key="crm//acme", format=2, keys=KeysChange(at=1_760_000_000_000, id="m13")),
    SetGateKeys(
        key="crm//acme", format=2,
        keys=KeysChange(at=1_760_000_000_000, id="m13", change=CHANGE, by="Zoë", reason="sale"),
    ),
]  # fmt: skip
KEYS += [msgspec.structs.replace(PLACES[1], keys=KEYS[1].keys)]  # type: ignore[attr-defined]
