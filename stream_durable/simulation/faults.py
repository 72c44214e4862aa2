"""Bad weather, drawn from a seed."""

from __future__ import annotations

from random import Random

from stream_durable.memory.weather import Faults


def drawn(rng: Random) -> Faults:
    """Draw a kind of bad weather: each fault is absent in some worlds and frequent in others."""

    def some(chance: float, low: float, high: float) -> float:
        return rng.uniform(low, high) if rng.random() < chance else 0.0

    found = Faults(
        crash=some(0.7, 0.001, 0.012),
        refuse=some(0.5, 0.002, 0.05),
        lose_answer=some(0.6, 0.002, 0.04),
        late=some(0.5, 0.005, 0.05),
        duplicate=some(0.5, 0.005, 0.1),
        gap=some(0.5, 0.01, 0.3),
        freezes=some(0.5, 0.05, 0.4),
        handovers=some(0.5, 0.05, 0.6),
        stops=some(0.4, 0.05, 0.3),
        outages=some(0.3, 0.05, 0.2),
        delay=rng.choice((0.0005, 0.002, 0.01, 0.03)),
        skew_ms=rng.choice((0, 0, 5, 40, 15_000)),
        stall=some(0.3, 0.001, 0.02),
        slow_commit=some(0.3, 0.01, 0.3),
        constraint=some(0.3, 0.005, 0.05),
        leaderless=some(0.3, 0.05, 0.4),
        narrow=some(0.3, 1.0, 1.0),
        blocks=some(0.3, 0.05, 0.4),
        forgotten=some(0.1, 0.05, 0.2),
    )
    # Not both: what is lost in the log and in the database is lost.
    if rng.random() < 0.5:
        found.lost_logs = some(0.4, 0.05, 0.4)
    else:
        found.set_backs = some(0.4, 0.05, 0.4)
    return found
