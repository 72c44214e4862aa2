"""A gate in memory: breaker state, trial attempt, waiting attempts."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from stream_durable.core.orders import Orders

State = Literal["closed", "open", "half-open"]
CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"

#: (run, step)
PlaceKey = tuple[str, str]


class Limits(NamedTuple):
    """How a breaker is set."""

    #: So many failures within the window open it.
    failures: int
    window_ms: int
    #: Time open before a trial.
    reset_ms: int


class Place(NamedTuple):
    """Where an attempt stands at a gate."""

    attempt: int
    #: Lower is earlier, among the places that the gate has.
    ordinal: int


class Breaker:
    """The circuit breaker of one dependency.

    While it is closed with nobody waiting, passes are not recorded: only results count, and a working
    dependency costs no row per attempt.
    """

    __slots__ = (
        "due",
        "id",
        "inside",
        "is_touched",
        "limits",
        "orders",
        "partition",
        "recent",
        "since",
        "state",
        "touched_places",
        "updated",
        "waiting",
    )

    def __init__(self, key: str, partition: int) -> None:
        """Create an unused gate."""
        self.id = key
        self.partition = partition
        #: The numbers of the last attempt; None before the first.
        self.limits: Limits | None = None
        #: The latest order of each act.
        self.orders: Orders = {}
        self.state: State = CLOSED
        #: When this state began.
        self.since = 0
        #: When its timer fires: there is time to try, or for another one to try, or for more to pass.
        self.due: int | None = None
        #: (run, step, attempt) -> time of failure, oldest first: the failures that count.
        self.recent: dict[tuple[str, str, int], int] = {}
        #: Attempts on trial, and attempts waiting; both in order.
        self.inside: dict[PlaceKey, Place] = {}
        self.waiting: dict[PlaceKey, Place] = {}
        self.updated = 0
        #: Changes since the last save: of the gate, and of places.
        self.is_touched = False
        self.touched_places: dict[PlaceKey, None] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to remember."""
        return self.limits is None

    def wait(self, key: PlaceKey, attempt: int) -> None:
        """Put an attempt at the end of the waiting line."""
        places = self.waiting or self.inside
        last = places[next(reversed(places))].ordinal if places else 0
        self.waiting[key] = Place(attempt, last + 1)
        self.touched_places[key] = None

    def leave(self, key: PlaceKey) -> None:
        """Give up a place."""
        self.inside.pop(key, None)
        self.waiting.pop(key, None)
        self.touched_places[key] = None

    def weight(self) -> int:
        """Estimate the gate's memory in bytes."""
        return 900 + 250 * len(self.recent) + 300 * (len(self.inside) + len(self.waiting))
