"""Retry and back-off as data: what the reconciler may decide without any user code."""

from __future__ import annotations

from typing import Annotated, Literal, assert_never

import msgspec
from msgspec import Meta

from stream_durable.core.durations import Millis
from stream_durable.core.ids import fraction

#: Bounds are part of the types: what is read holds no number that cannot be stored or calculated with.
Count = Annotated[int, Meta(ge=0, le=(1 << 31) - 1)]

Backoff = Literal["fixed", "linear", "exponential"]


class RetryPolicy(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How often a step is tried and how long to wait between two tries."""

    #: Attempts in all, the first included.
    attempts: Count = 1
    backoff: Backoff = "exponential"
    base_ms: Millis = 1_000
    cap_ms: Millis = 60_000
    #: Share of the delay, 0 to 1, by which it may be shorter; spreads a herd of retries.
    jitter: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0
    #: Codes that are retried; empty means all.
    on: tuple[str, ...] = ()
    #: Codes that are never retried.
    not_on: tuple[str, ...] = ()

    def allows(self, code: str, attempt: int, *, retryable: bool) -> bool:
        """Return whether a failure of this code on this attempt leads to another attempt."""
        if attempt >= self.attempts or not retryable or code in self.not_on:
            return False
        return not self.on or code in self.on

    def delay_ms(self, attempt: int, *seed: str) -> int:
        """Return the delay after this attempt; the same seed always gives the same delay."""
        if self.backoff == "fixed":
            delay = self.base_ms
        elif self.backoff == "linear":
            delay = self.base_ms * attempt
        elif self.backoff == "exponential":
            # Beyond 2^30 every cap has long been reached; a bound keeps the number small.
            delay = self.base_ms << min(attempt - 1, 30)
        else:
            assert_never(self.backoff)
        delay = min(delay, self.cap_ms)
        if self.jitter:
            delay -= int(delay * self.jitter * fraction(*seed, str(attempt)))
        return delay


NO_RETRY = RetryPolicy()
