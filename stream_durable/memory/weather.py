"""Faults between a process and the services: probabilities, and counts.

With `Faults.none()` a call takes a moment and nothing else happens: the engine of users' tests. The simulator
draws worse weather from seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from random import Random
from typing import Self

from stream_durable.memory.loop import VirtualLoop


@dataclass(slots=True)
class Faults:
    """How likely what is. Chances are per call of a port, rates per second of the whole world."""

    crash: float = 0.0
    refuse: float = 0.0
    lose_answer: float = 0.0
    late: float = 0.0
    duplicate: float = 0.0
    gap: float = 0.0
    #: A process is suspended just before publishing, until replaced.
    stall: float = 0.0
    #: That the database takes too long over a commit of more than a few records.
    slow_commit: float = 0.0
    #: The database refuses a commit without fault of a record.
    constraint: float = 0.0
    freezes: float = 0.0
    handovers: float = 0.0
    stops: float = 0.0
    outages: float = 0.0
    #: A partition of some topic loses its leader for a while.
    leaderless: float = 0.0
    #: The loop of a worker does not turn for a while; its client of Kafka goes on.
    blocks: float = 0.0
    #: Records of the inbox are lost: it is made anew, cut, or they expire.
    lost_logs: float = 0.0
    #: The database is as it was some commits ago.
    set_backs: float = 0.0
    #: All workers are gone, for so long that the offsets of their group are forgotten.
    forgotten: float = 0.0
    #: Probability of public topics with a small size limit.
    narrow: float = 0.0
    #: A typical delay of a call, in seconds; some take up to a hundred times as long.
    delay: float = 0.001
    #: Clocks of processes are wrong by up to this.
    skew_ms: int = 0
    #: Kills at the most, so that a world gets somewhere.
    crashes_max: int = 10

    @classmethod
    def none(cls) -> Self:
        """Nothing goes wrong; calls take a little time."""
        return cls()


class Weather:
    """The faults of a world: planned ones, and a count of actual ones."""

    def __init__(self, loop: VirtualLoop, seed: object, faults: Faults) -> None:
        """Bad weather until `clear`."""
        self.loop = loop
        self.rng = Random(f"weather {seed}")  # noqa: S311 - a simulation, not a secret
        self.faults = faults
        self.hits: Counter[str] = Counter()
        self.calls = 0
        self.crashes = 0
        self._outages: dict[str, float] = {}
        self._world = Context()

    def clear(self) -> None:
        """Let nothing more go wrong."""
        self.faults = Faults(delay=min(self.faults.delay, 0.01), skew_ms=self.faults.skew_ms)
        self._outages.clear()

    def chance(self, probability: float, hit: str) -> bool:
        """Draw, and count a hit."""
        if probability and self.rng.random() < probability:
            self.hits[hit] += 1
            return True
        return False

    def delay(self) -> float:
        """Draw how long a call takes: mostly short, at times very long."""
        typical, draw = self.faults.delay, self.rng.random()
        if draw < 0.9:
            return typical * (0.5 + draw)
        return float(typical * 10 ** (1 + draw)) if draw < 0.99 else typical * 100 * self.rng.random()

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        """Let an event happen in the world, independent of the causing process."""
        self.loop.call_later(seconds, call, context=self._world)

    def outage(self, service: str, seconds: float) -> None:
        """Take a service away for a while."""
        self.hits[f"outage of the {service}"] += 1
        self._outages[service] = self.loop.time() + seconds

    def is_out(self, service: str) -> bool:
        """Whether a service is away."""
        until = self._outages.get(service)
        return until is not None and until > self.loop.time()
