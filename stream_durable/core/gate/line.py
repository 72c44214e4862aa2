"""The line at a gate, in order: by turns of keys, then by priority, then by age.

Keys take turns by weight: each key has the number of its next turn, the lowest is served, and a served key
goes on by the cost of what passed divided by its weight. A gate without weights is a gate with a single key.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from stream_durable.core.ids import fraction

#: (run, step); the step is empty where a whole run passes.
PlaceKey = tuple[str, str]
#: Attempt, and passes of it before: a later one replaces an earlier one.
Turn = tuple[int, int]

#: What a passage of cost 1 adds to the turn of a key of weight 1.
TURN = 1_000_000
#: The share of passages that goes by age alone, so that a low priority waits long but not for ever.
AGE_SHARE = 0.1
#: Beyond it nothing is counted: it is what a database holds.
FAR = 9 * 10**18
#: Keys without anybody waiting are forgotten in portions: more of them than a passage adds.
_FORGET = 16


class Place(NamedTuple):
    """Where a step, or a run, stands at a gate."""

    turn: Turn
    #: Lower is earlier, among the places that the gate has.
    ordinal: int
    #: Log time of asking; once inside, of passing.
    since: int
    #: The key whose turn it is; empty: there are no turns.
    share: str = ""
    priority: int = 0
    #: What the call costs; None: 1, not corrected afterwards.
    units: int | None = None
    #: When the gate asks after the holder.
    lease: int | None = None

    @property
    def cost(self) -> int:
        """What passing takes from a rate and from a turn."""
        return 1 if self.units is None else self.units


class Line:
    """The line at a gate. Adding, taking and leaving cost the same in a long line."""

    __slots__ = ("_idle", "_line", "_order", "now", "shares", "touched", "waiting", "weights")

    def __init__(self) -> None:
        """Create a line with nobody in it."""
        #: By key of a place, oldest first.
        self.waiting: dict[PlaceKey, Place] = {}
        #: Weight by key; keys that are not there have 1. None: no turns.
        self.weights: dict[str, int] | None = None
        #: The number of the turn served last, and of the next turn of each key that has one.
        self.now = 0
        self.shares: dict[str, int] = {}
        #: Keys whose turn has changed since the last save.
        self.touched: dict[str, None] = {}
        self._line: dict[str, _Share] = {}
        #: (turn, key) of keys with somebody waiting, and of others; old entries are passed over.
        self._order: list[tuple[int, str]] = []
        self._idle: list[tuple[int, str]] = []

    def restore(self, places: list[tuple[PlaceKey, Place]], shares: dict[str, int]) -> None:
        """Take in what was stored, oldest first."""
        self.shares = shares
        for key, place in places:
            self._add(key, place)
        self._order = [(shares[share], share) for share in self._line if share]
        self._idle = [(turn, share) for share, turn in shares.items() if share not in self._line]
        heapify(self._order)
        heapify(self._idle)

    def join(self, key: PlaceKey, place: Place) -> None:
        """Put a place at the end."""
        if place.share and place.share not in self._line:
            turn = max(self.shares.get(place.share, 0), self.now)
            self._set(place.share, turn)
            heappush(self._order, (turn, place.share))
        self._add(key, place)

    def leave(self, key: PlaceKey) -> Place | None:
        """Take a place out, wherever it stands; None: it is not there."""
        place = self.waiting.pop(key, None)
        if place is not None:
            share = self._line[place.share]
            share.count -= 1
            if not share.count:
                self._end(place.share)
        return place

    def first(self) -> PlaceKey:
        """Return the next to pass, of a line with somebody."""
        plain = self._line.get("")
        if plain is not None:
            return plain.first(self.waiting)
        while True:
            turn, share = self._order[0]
            if share in self._line and self.shares.get(share) == turn:
                return self._line[share].first(self.waiting)
            heappop(self._order)

    def serve(self, key: PlaceKey) -> Place:
        """Take the first out, and move its key on."""
        place = self.waiting[key]
        if place.share:
            self.now = self.shares[place.share]
            turn = min(self.now + self._step(place.share, place.cost), FAR)
            self._set(place.share, turn)
            heappush(self._order, (turn, place.share))
        self.leave(key)
        self._forget_idle()
        return place

    def forget(self) -> None:
        """Forget the turns of all keys; nobody may wait."""
        self.touched.update(dict.fromkeys(self.shares))
        self.shares.clear()
        self._order.clear()
        self._idle.clear()
        self.now = 0

    def correct(self, share: str, difference: int) -> None:
        """Move a key by the difference between cost and forecast."""
        turn = self.shares.get(share)
        if turn is None or not difference:
            return
        moved = min(max(0, turn + self._step(share, difference)), FAR)
        self._set(share, moved)
        heappush(self._order if share in self._line else self._idle, (moved, share))

    def _step(self, share: str, cost: int) -> int:
        return cost * TURN // max(1, (self.weights or {}).get(share, 1))

    def _set(self, share: str, turn: int) -> None:
        if self.shares.get(share) != turn:
            self.shares[share] = turn
            self.touched[share] = None

    def _add(self, key: PlaceKey, place: Place) -> None:
        self.waiting[key] = place
        share = self._line.get(place.share)
        if share is None:
            share = self._line[place.share] = _Share()
        share.add(key, place)

    def _end(self, share: str) -> None:
        del self._line[share]
        if share:
            heappush(self._idle, (self.shares[share], share))

    def _forget_idle(self) -> None:
        """Forget keys with a past turn: each begins again at the turn of the others."""
        left = _FORGET
        while left and self._idle and self._idle[0][0] <= self.now:
            turn, share = heappop(self._idle)
            if share not in self._line and self.shares.get(share) == turn:
                del self.shares[share]
                self.touched[share] = None
                left -= 1


class _Share:
    """The places of one key, by priority and by age. Former places are passed over."""

    __slots__ = ("_by_age", "_by_priority", "count")

    def __init__(self) -> None:
        self.count = 0
        self._by_age: deque[tuple[int, PlaceKey]] = deque()
        self._by_priority: list[tuple[int, int, PlaceKey]] = []

    def add(self, key: PlaceKey, place: Place) -> None:
        """Put a place behind all others of its priority."""
        self.count += 1
        self._by_age.append((place.ordinal, key))
        heappush(self._by_priority, (-place.priority, place.ordinal, key))

    def first(self, waiting: dict[PlaceKey, Place]) -> PlaceKey:
        """Return the first by priority and age, or now and then by age alone."""
        while not _is_there(waiting, *self._by_age[0]):
            self._by_age.popleft()
        while not _is_there(waiting, *self._by_priority[0][1:]):
            heappop(self._by_priority)
        oldest, key = self._by_age[0]
        _, ordinal, first = self._by_priority[0]
        if oldest != ordinal and fraction(str(oldest), str(ordinal)) < AGE_SHARE:
            return key
        return first


def _is_there(waiting: dict[PlaceKey, Place], ordinal: int, key: PlaceKey) -> bool:
    place = waiting.get(key)
    return place is not None and place.ordinal == ordinal
