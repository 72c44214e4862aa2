"""Circuit breakers."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from stream_durable.sdk.durations import Duration


@dataclass(frozen=True, slots=True)
class Breaker:
    """A circuit breaker before a dependency, shared by all workers and workflows under its name.

    Enough failures within the window open the breaker: attempts wait. After `reset` a single attempt is let
    through as a trial.

    >>> Breaker("bank", failures=10, window="5m").reset
    '30s'
    """

    name: str
    _: KW_ONLY
    failures: int = 5
    window: Duration = "1m"
    reset: Duration = "30s"
