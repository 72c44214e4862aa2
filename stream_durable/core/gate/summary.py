"""Gates and breakers for display, from what is stored of them."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from stream_durable.core.durations import length
from stream_durable.core.gate.breaker_state import Breaker
from stream_durable.core.gate.limits import GateLimits
from stream_durable.core.gate.rows import thaw
from stream_durable.core.gate.state import gate_id
from stream_durable.core.ids import CHILD_MARK
from stream_durable.core.orders import Order, Orders

#: Acts of orders for all keys of a gate.
SET_KEYS, RESET_KEYS = "set all keys", "reset all keys"


class GateSummary(NamedTuple):
    """A gate or a breaker as a line of a list."""

    name: str
    #: Of a breaker `closed`, `open` or `half-open`; of a gate `free`, or `full` while somebody waits.
    state: str
    #: When a breaker's state began.
    since: int
    #: When something happens next by itself: of an open breaker, when one attempt may try.
    due: int | None
    #: Failures of a breaker that count, and the threshold.
    failures: int
    failures_max: int
    #: Those that wait.
    waiting: int
    kind: Literal["breaker", "gate"] = "breaker"
    #: The key of a gate whose keys have limits each.
    key: str = ""
    #: Those inside of a gate.
    inside: int = 0
    #: The limits of a gate in force, and those of the definition that asked last; None: it is a breaker.
    limits: GateLimits | None = None
    asked: GateLimits | None = None
    #: The latest order of each act.
    orders: Orders = {}

    @property
    def id(self) -> str:
        """The id of the entity."""
        return self.name if self.kind == "breaker" else gate_id(self.name, self.key)

    @property
    def limits_text(self) -> str:
        """The limits in force, in words."""
        return _in_words(self.limits)

    @property
    def asked_text(self) -> str:
        """The limits of the last definition, in words."""
        return _in_words(self.asked)

    @property
    def is_changed(self) -> bool:
        """Whether limits are in force that no definition says."""
        return self.limits != self.asked


def _in_words(limits: GateLimits | None) -> str:
    if limits is None:
        return ""
    found = [] if limits.at_once is None else [f"{limits.at_once} at once"]
    if limits.rate is not None:
        found.append(f"{limits.rate} in {length(limits.rate_ms)}")
        found += [f"{limits.burst} more in a burst"] if limits.burst else []
    if limits.weights is not None:
        weights = "".join(f" {key} {weight}" for key, weight in sorted(limits.weights.items()))
        found.append(f"turns by key{weights}")
    return ", ".join(found)


class GatePlace(NamedTuple):
    """Who holds a place at a gate or waits there; an attempt at a breaker that waits, or is on trial."""

    run: str
    #: Empty: the run as a whole.
    step: str
    attempt: int
    #: Rises from place to place of a gate; it has gaps.
    ordinal: int
    #: Whether it has passed.
    is_inside: bool
    priority: int | None = None
    #: The key whose turn it is, where keys take turns.
    share: str | None = None
    units: int | None = None
    #: When it came; once inside, when it passed; and when the gate asks after it.
    since: int | None = None
    lease: int | None = None


def summary_of(gate_id: str, body: bytes, waiting: int, inside: int, now: int) -> GateSummary:
    """Return the line of a gate or a breaker, with failures that count at this time."""
    parts: tuple[list[tuple[Any, ...]], ...] = ([(gate_id, body)], [], [])
    gate = thaw(gate_id, 0, parts, None)
    assert gate is not None
    if isinstance(gate, Breaker):
        assert gate.limits is not None
        is_closed, since = gate.state == "closed", now - gate.limits.window_ms
        failures = sum(not is_closed or at > since for at in gate.recent.values())
        return GateSummary(
            gate_id,
            gate.state,
            gate.since,
            gate.due,
            failures,
            gate.limits.failures,
            waiting,
            inside=inside,
            orders=gate.orders,
        )
    name, _, key = gate_id.partition(CHILD_MARK)
    orders, keys = gate.orders, gate.keys
    if keys is not None:
        act = RESET_KEYS if keys.change is None else SET_KEYS
        orders = {**orders, act: Order(keys.at, keys.by, keys.reason)}
    return GateSummary(
        name, "full" if waiting else "free", 0, gate.due, 0, 0, waiting, "gate", key, inside, gate.limits,
        gate.asked, orders,
    )  # fmt: skip
