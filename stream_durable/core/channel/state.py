"""A channel in memory: kept events and open waits."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from operator import itemgetter
from typing import NamedTuple

#: (run, wait)
WaitKey = tuple[str, str]


class OpenWait(NamedTuple):
    """An open wait."""

    #: The attempt of the waiting step: messages about an earlier attempt change nothing.
    attempt: int
    #: Waits are woken in the order of opening.
    position: int


class KeptEvent(NamedTuple):
    """An event kept for future waits."""

    data: bytes
    expires: int
    #: The last of the waits that were open when the event came; None: none was left for it to wake.
    wakes_to: int | None = None
    #: The times of arrival and of the first wake-up; None: taken in by an older release, and nothing yet.
    published: int | None = None
    taken: int | None = None


class Channel:
    """Events and waits of one name and key."""

    __slots__ = (
        "due",
        "events",
        "expiries",
        "id",
        "is_new",
        "partition",
        "payload",
        "touched_events",
        "touched_waits",
        "updated",
        "waits",
        "waking",
    )

    def __init__(self, key: str, partition: int) -> None:
        """Create an empty channel."""
        self.id = key
        self.partition = partition
        self.events: dict[str, KeptEvent] = {}
        #: (time of expiry, id) of each event, the next one first.
        self.expiries: list[tuple[int, str]] = []
        #: In the order of their positions.
        self.waits: dict[WaitKey, OpenWait] = {}
        #: Events that have not yet woken all they wake, the oldest first: (id, last position).
        self.waking: deque[tuple[str, int]] = deque()
        self.due: int | None = None
        #: Bytes of payload held in memory, for `weight`.
        self.payload = 0
        self.updated = 0
        self.is_new = True
        self.touched_events: dict[str, None] = {}
        self.touched_waits: dict[WaitKey, None] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.events and not self.waits

    @property
    def last_position(self) -> int:
        """The position of the newest open wait."""
        return self.waits[next(reversed(self.waits))].position if self.waits else 0

    @property
    def claimed(self) -> int:
        """The last position of the waits assigned to an event being delivered."""
        return self.waking[-1][1] if self.waking else 0

    def keep_event(self, event_id: str, event: KeptEvent) -> None:
        """Keep an event until expiry."""
        self.events[event_id] = event
        insort(self.expiries, (event.expires, event_id))
        self.payload += len(event.data)

    def forget_event(self, event_id: str) -> None:
        """Keep an event no more."""
        event = self.events.pop(event_id)
        del self.expiries[bisect_left(self.expiries, (event.expires, event_id))]
        self.payload -= len(event.data)
        self.touched_events[event_id] = None

    def expired(self, now: int) -> int:
        """Return the number of expired entries of `expiries`, which come first."""
        return bisect_right(self.expiries, now, key=itemgetter(0))

    def add_wait(self, key: WaitKey, attempt: int) -> None:
        """Open a wait, behind all open waits."""
        self.waits[key] = OpenWait(attempt, max(self.last_position, self.claimed) + 1)
        self.touched_waits[key] = None

    def remove_wait(self, key: WaitKey) -> None:
        """Close a wait, if open."""
        if self.waits.pop(key, None) is not None:
            self.touched_waits[key] = None

    def weight(self) -> int:
        """Estimate the channel's memory in bytes."""
        return 700 + 300 * len(self.events) + self.payload + 350 * len(self.waits)
