"""A circuit breaker, as authors write it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from stream_durable.sdk.durations import Duration


@dataclass(frozen=True, slots=True)
class Breaker:
    """Stands before a dependency, by name, for all workers and all workflows that name it.

    So many failures within the window open it: attempts are held back then, until after `reset` one of them
    may try whether the dependency is back.

    >>> Breaker("bank", failures=10, window="5m").reset
    '30s'
    """

    name: str
    _: KW_ONLY
    failures: int = 5
    window: Duration = "1m"
    reset: Duration = "30s"
