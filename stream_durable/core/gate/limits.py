"""The limits of a gate, as definitions say and as they are changed."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from stream_durable.core.durations import Millis
from stream_durable.core.ids import ID_BYTES_MAX

#: So many weights at the most: they travel with each request to pass.
WEIGHTS_MAX = 100
#: The highest number of everything a gate counts.
COUNT_MAX = 1_000_000_000
WEIGHT_MAX = 1_000

Positive = Annotated[int, Meta(ge=1, le=COUNT_MAX)]
#: What a call costs.
Units = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Weights = Annotated[dict[str, Annotated[int, Meta(ge=1, le=WEIGHT_MAX)]], Meta(max_length=WEIGHTS_MAX)]


class GateLimits(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The limits of a gate, of all its keys together or of one."""

    #: So many are inside at the same time; None: as many as come.
    at_once: Positive | None = None
    #: So many pass in this time, evenly, and `burst` more after a time without; None: as many as come.
    rate: Positive | None = None
    rate_ms: Positive = 1_000
    burst: Units = 0
    #: Keys take turns, by these weights; None: they do not.
    weights: Weights | None = None


class GateChange(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Limits that were changed, until they are reset; what is None stays as the definition says."""

    at_once: Positive | None = None
    rate: Positive | None = None
    rate_ms: Positive | None = None
    burst: Units | None = None
    weights: Weights = {}

    def applied(self, limits: GateLimits) -> GateLimits:
        """Return limits with the changes."""
        return GateLimits(
            at_once=self.at_once or limits.at_once,
            rate=self.rate or limits.rate,
            rate_ms=self.rate_ms or limits.rate_ms,
            burst=limits.burst if self.burst is None else self.burst,
            weights=None if limits.weights is None else limits.weights | self.weights,
        )

    def merged(self, later: GateChange) -> GateChange:
        """Return both changes as one."""
        return GateChange(
            at_once=later.at_once or self.at_once,
            rate=later.rate or self.rate,
            rate_ms=later.rate_ms or self.rate_ms,
            burst=self.burst if later.burst is None else later.burst,
            weights=self.weights | later.weights,
        )


class KeysChange(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Limits of all keys of a gate that were changed, or reset, by a declaration."""

    #: None: they were reset.
    change: GateChange | None = None
    #: When, and an id: the latest counts.
    at: Millis
    id: Annotated[str, Meta(min_length=1, max_length=ID_BYTES_MAX)]
    by: Annotated[str, Meta(max_length=ID_BYTES_MAX)] = ""
    reason: Annotated[str, Meta(max_length=2_000)] = ""

    def is_after(self, other: KeysChange | None) -> bool:
        """Return whether this one replaces the other."""
        return other is None or (self.at, self.id) > (other.at, other.id)
