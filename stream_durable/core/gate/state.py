"""A gate in memory: limits, places inside, the line, and the used part of the rate."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from stream_durable.core.gate.limits import GateChange, GateLimits, KeysChange
from stream_durable.core.gate.line import FAR, Line, Place, PlaceKey
from stream_durable.core.ids import CHILD_MARK
from stream_durable.core.orders import Orders

#: The rate is counted in nanoseconds, so that one that does not divide its time is kept to all the same.
_NANO = 1_000_000
#: Of how many times it is known how much of the rate was in use: fewer give back less.
LOWS_MAX = 64


def gate_id(name: str, key: str = "") -> str:
    """Return the id of a gate, or of one of its keys. No breaker and nothing from outside can have it."""
    return f"{name}{CHILD_MARK}{key}"


def meant_by(name: str, key: str = "") -> tuple[str, ...]:
    """Return the ids that a name may stand for: a gate first, then a breaker."""
    return (gate_id(name, key),) if key else (gate_id(name), name)


class Gate:
    """So many at once, and so many per time, of all keys together or of one key.

    The cost of a passage does not grow with the line, the places inside, or the keys.
    """

    __slots__ = (
        "_leases",
        "asked",
        "change",
        "due",
        "full",
        "id",
        "inside",
        "is_touched",
        "keys",
        "last",
        "limits",
        "line",
        "lows",
        "orders",
        "partition",
        "touched_places",
        "updated",
    )

    def __init__(self, key: str, partition: int) -> None:
        """Create an unused gate."""
        self.id = key
        self.partition = partition
        #: The limits of the last definition that asked; what was changed for all keys, and for this one; and
        #: what follows from these.
        self.asked = GateLimits()
        self.keys: KeysChange | None = None
        self.change: GateChange | None = None
        self.limits = GateLimits()
        #: The latest order of each act.
        self.orders: Orders = {}
        #: Nanoseconds of log time up to which the rate is used.
        self.full = 0
        #: How much of the rate was used at least since a time: the log time of passages, ascending, and the
        #: nanoseconds in use just before, ascending too. Only since the oldest passage of those inside.
        self.lows: list[tuple[int, int]] = []
        #: The number of the last place.
        self.last = 0
        #: When its timer fires.
        self.due: int | None = None
        self.inside: dict[PlaceKey, Place] = {}
        self.line = Line()
        #: (lease, ordinal, place) of those inside; old entries are passed over.
        self._leases: list[tuple[int, int, PlaceKey]] = []
        self.updated = 0
        #: Changes since the last save: of the gate, and of places.
        self.is_touched = False
        self.touched_places: dict[PlaceKey, None] = {}

    @property
    def waiting(self) -> dict[PlaceKey, Place]:
        """The line, oldest first."""
        return self.line.waiting

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to remember."""
        return not (self.last or self.change or self.due or self.orders)

    def restore(self, places: list[tuple[PlaceKey, Place, bool]], shares: dict[str, int]) -> None:
        """Restore the stored state, in the order of ordinals."""
        self.settle()
        self.inside = {key: place for key, place, is_inside in places if is_inside}
        self.line.restore([(key, place) for key, place, is_inside in places if not is_inside], shares)
        self._leases = [
            (place.lease, place.ordinal, key) for key, place in self.inside.items() if place.lease is not None
        ]
        heapify(self._leases)

    def heed(self, asked: GateLimits, keys: KeysChange | None) -> None:
        """Go by the limits of a request to pass."""
        is_news = keys is not None and keys.is_after(self.keys)
        if asked != self.asked or is_news:
            self.asked, self.keys = asked, keys if is_news else self.keys
            self.is_touched = True
            self.settle()

    def forget(self) -> None:
        """Forget all about a key that nobody uses."""
        self.last = 0
        self.keys = None
        self.settle()
        self.line.forget()

    def settle(self) -> None:
        """Compute the limits in force from those asked for and those changed."""
        limits = self.asked
        if self.keys is not None and self.keys.change is not None:
            limits = self.keys.change.applied(limits)
        self.limits = limits if self.change is None else self.change.applied(limits)
        self.line.weights = self.limits.weights

    def next_ordinal(self) -> int:
        """Return the number of a new place."""
        self.last += 1
        self.is_touched = True
        return self.last

    def wait(self, key: PlaceKey, place: Place) -> None:
        """Put a place at the end of the line."""
        self.line.join(key, place)
        self.touched_places[key] = None

    def enter(self, key: PlaceKey, place: Place, lease: int | None) -> None:
        """Put a place inside, until it leaves."""
        place = self.inside[key] = place._replace(lease=lease)
        self.touched_places[key] = None
        if lease is not None:
            heappush(self._leases, (lease, place.ordinal, key))

    def leave(self, key: PlaceKey) -> None:
        """Give up a place."""
        if self.inside.pop(key, None) is None:
            self.line.leave(key)
        self.touched_places[key] = None

    def next_lease(self) -> tuple[int, PlaceKey] | None:
        """Return when the gate has to ask after a holder, and after which."""
        while self._leases:
            lease, ordinal, key = self._leases[0]
            place = self.inside.get(key)
            if place is not None and place.lease == lease and place.ordinal == ordinal:
                return lease, key
            heappop(self._leases)
        return None

    def has_place(self) -> bool:
        """Return whether one more may be inside."""
        most = self.limits.at_once
        return most is None or len(self.inside) < most

    def opens(self, cost: int, now: int) -> int:
        """Return the log time from which the rate lets one of this cost pass."""
        limits = self.limits
        if limits.rate is None:
            return 0
        interval = _interval(limits)
        # More than the whole burst at once cannot be saved up: such a call waits for all of it.
        saved = min(max(cost, 1), limits.burst + 1) - 1
        at = max(self.full, now * _NANO) + (saved - limits.burst) * interval
        return -(-at // _NANO)

    def use(self, cost: int, now: int) -> None:
        """Count a passage for the rate."""
        if self.limits.rate is not None:
            self._note_low(now)
            self.full = min(max(self.full, now * _NANO) + cost * _interval(self.limits), FAR)
            self.is_touched = True

    def correct(self, place: Place, units: int, now: int) -> None:
        """Count the cost of a call in fact."""
        difference = units - place.cost
        if not difference:
            return
        self.line.correct(place.share, difference)
        if self.limits.rate is not None:
            change = difference * _interval(self.limits)
            if change < 0:
                change = -self._refund(-change, place.since, now)
            self.full = min(max(self.full, now * _NANO) + change, FAR)
            self.is_touched = True

    def _refund(self, wanted: int, since: int, now: int) -> int:
        """Return the refundable part of a passage's use, and note the refund.

        That is the least use of the rate since the passage: a refund of more would exceed the rate.
        """
        used = [low for at, low in self.lows if at > since]
        given = min(wanted, max(0, self.full - now * _NANO), *used[:1])
        lows, least = [], FAR
        for at, low in reversed(self.lows):
            low = low - given if at > since else low  # noqa: PLW2901
            if low < least:
                least = low
                lows.append((at, low))
        self.lows = lows[::-1]
        return given

    def _note_low(self, now: int) -> None:
        """Note how much of the rate is in use before a passage."""
        if not self.inside:
            self.lows = []
            return
        low = max(0, self.full - now * _NANO)
        while self.lows and self.lows[-1][1] >= low:
            self.lows.pop()
        self.lows.append((now, low))
        if len(self.lows) > LOWS_MAX:
            (_, least), (at, _), *left = self.lows
            self.lows = [(at, least), *left]

    def is_idle(self, now: int) -> bool:
        """Return whether one of a key has nothing to remember any more."""
        is_key = not self.id.endswith(CHILD_MARK)
        is_empty = not (self.inside or self.waiting or self.change)
        return is_key and is_empty and self.full <= now * _NANO

    def weight(self) -> int:
        """Estimate the gate's memory in bytes."""
        return 1_200 + 500 * len(self.waiting) + 400 * len(self.inside) + 200 * len(self.line.shares)


def _interval(limits: GateLimits) -> int:
    """Return the nanoseconds between two passages at a steady rate; rounded up, so that it is kept to."""
    assert limits.rate is not None
    return -(-limits.rate_ms * _NANO // limits.rate)
