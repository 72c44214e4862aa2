"""A channel in memory: kept events and open waits."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict, deque
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


class Holder(NamedTuple):
    """The wait that an event was offered to."""

    run: str
    wait: str
    attempt: int


class Reader(NamedTuple):
    """A reaction of a run, with its place among the events."""

    #: Which opening of the run: messages about an earlier one change nothing.
    ordinal: int
    #: The number of the last event that it has taken in, or that came before its time.
    cursor: int
    #: The number of the last event on its way; 0: none is.
    given: int = 0


class KeptEvent(NamedTuple):
    """An event kept for future waits."""

    data: bytes
    #: 0: over, but the event is kept for a wait that it was offered to, or for reactions.
    expires: int
    #: The last of the waits that were open when the event came; None: none was left for it to wake.
    wakes_to: int | None = None
    #: The times of arrival and of the first wake-up; None: taken in by an older release, and nothing yet.
    published: int | None = None
    taken: int | None = None
    #: Who has it of those that take, and whether the offer was accepted.
    holder: Holder | None = None
    is_used: bool = False
    #: Strictly increasing; 0: taken in by an older release.
    number: int = 0
    #: Who published it.
    by: str = ""

    @property
    def is_offered(self) -> bool:
        """Whether a wait has to say yet whether it takes the event."""
        return self.holder is not None and not self.is_used


class Channel:
    """Events and waits of one name and key."""

    __slots__ = (
        "cursors",
        "due",
        "events",
        "expiries",
        "free",
        "id",
        "idle",
        "is_new",
        "lost",
        "offers",
        "order",
        "partition",
        "payload",
        "readers",
        "takers",
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
        #: The entries of `expiries` that no wait which takes has, and those that one was offered.
        self.free: list[tuple[int, str]] = []
        self.offers: dict[Holder, str] = {}
        #: In the order of their positions: waits that every event wakes, and waits of which each takes one.
        #: Ordered, for a dict whose first entries are removed one by one takes ever longer to find the next.
        self.waits: OrderedDict[WaitKey, OpenWait] = OrderedDict()
        self.takers: OrderedDict[WaitKey, OpenWait] = OrderedDict()
        #: Events that have not yet woken all they wake, the oldest first: (id, last position).
        self.waking: deque[tuple[str, int]] = deque()
        #: The numbers of kept events, in order, each with the event's id.
        self.order: list[tuple[int, str]] = []
        self.readers: dict[WaitKey, Reader] = {}
        #: The cursors of all readers, and (cursor, run, reaction) of those that have none under way.
        self.cursors: list[int] = []
        self.idle: list[tuple[int, str, str]] = []
        self.due: int | None = None
        #: Bytes of payload held in memory, for `weight`.
        self.payload = 0
        self.updated = 0
        self.is_new = True
        self.touched_events: dict[str, None] = {}
        #: Events that expired since the last save without anybody having had them.
        self.lost: dict[str, KeptEvent] = {}
        self.touched_waits: dict[WaitKey, None] = {}

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.events and not self.waits and not self.takers and not self.readers

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
        insort(self.free, (event.expires, event_id))
        self.order.append((event.number, event_id))
        self.payload += len(event.data)

    def forget_event(self, event_id: str) -> None:
        """Keep an event no more."""
        event = self.events.pop(event_id)
        if event.expires:
            _remove(self.expiries, (event.expires, event_id))
        if event.holder is None and event.expires:
            _remove(self.free, (event.expires, event_id))
        if event.number:
            _remove(self.order, (event.number, event_id))
        self.payload -= len(event.data)
        self.touched_events[event_id] = None

    def lose_event(self, event_id: str) -> None:
        """Drop an expired event; without any taker so far the event is evidence."""
        event = self.events[event_id]
        if event.taken is None:
            self.lost[event_id] = event
        self.forget_event(event_id)

    def offer_event(self, event_id: str, holder: Holder, now: int) -> KeptEvent:
        """Let a wait have an event that no other wait takes, until it answers."""
        event = self.events[event_id]
        if event.holder is None:
            _remove(self.free, (event.expires, event_id))
        taken = now if event.taken is None else event.taken
        event = self.events[event_id] = event._replace(holder=holder, taken=taken)
        self.offers[holder] = event_id
        self.touched_events[event_id] = None
        return event

    def note_taker(self, event_id: str, now: int) -> None:
        """Keep on record that somebody has had an event: the first time alone, for it is a row to write."""
        event = self.events[event_id]
        if event.taken is None:
            self.events[event_id] = event._replace(taken=now)
            self.touched_events[event_id] = None

    def use_event(self, event_id: str) -> None:
        """Give an offered event to its holder for good."""
        event = self.withdraw_offer(event_id)
        self.events[event_id] = event._replace(is_used=True)
        if not event.expires and not self.is_to_read(event):
            self.forget_event(event_id)

    def free_event(self, event_id: str) -> None:
        """Take an offered event back, and forget it if its time is over."""
        event = self.withdraw_offer(event_id)
        self.events[event_id] = event._replace(holder=None)
        if event.expires:
            insort(self.free, (event.expires, event_id))
        elif not self.is_to_read(event):
            self.forget_event(event_id)

    def withdraw_offer(self, event_id: str) -> KeptEvent:
        """Expect no answer to an offer any more."""
        event = self.events[event_id]
        assert event.holder is not None
        del self.offers[event.holder]
        self.touched_events[event_id] = None
        return event

    def outlast(self, event_id: str) -> None:
        """Keep an event beyond its time, for an offer or for reactions."""
        event = self.events[event_id]
        _remove(self.expiries, (event.expires, event_id))
        if event.holder is None:
            _remove(self.free, (event.expires, event_id))
        self.events[event_id] = event._replace(expires=0)
        self.touched_events[event_id] = None

    def is_to_read(self, event: KeptEvent) -> bool:
        """Return whether a reaction still needs an event."""
        return bool(self.cursors) and self.cursors[0] < event.number

    @property
    def last_number(self) -> int:
        """The highest number of an event, as far as still known."""
        last = self.order[-1][0] if self.order else 0
        return max(last, self.cursors[-1]) if self.cursors else last

    def next_free(self, now: int) -> str | None:
        """Return the event to take that expires first."""
        over = bisect_right(self.free, now, key=itemgetter(0))
        return self.free[over][1] if over < len(self.free) else None

    def expired(self, now: int) -> int:
        """Return the number of expired entries of `expiries`, which come first."""
        return bisect_right(self.expiries, now, key=itemgetter(0))

    def add_wait(self, key: WaitKey, attempt: int) -> None:
        """Open a wait, behind all open waits."""
        self.waits[key] = OpenWait(attempt, max(self.last_position, self.claimed) + 1)
        self.touched_waits[key] = None

    def add_taker(self, key: WaitKey, attempt: int) -> None:
        """Open a wait that takes, behind all others that do."""
        last = self.takers[next(reversed(self.takers))].position if self.takers else 0
        self.takers[key] = OpenWait(attempt, last + 1)
        self.touched_waits[key] = None

    def remove_wait(self, key: WaitKey) -> None:
        """Close a wait, if open."""
        if self.waits.pop(key, None) is not None or self.takers.pop(key, None) is not None:
            self.touched_waits[key] = None

    def weight(self) -> int:
        """Estimate the channel's memory in bytes."""
        waiting = len(self.waits) + len(self.takers) + len(self.readers)
        return 700 + 380 * len(self.events) + self.payload + 350 * waiting


def _remove(entries: list[tuple[int, str]], entry: tuple[int, str]) -> None:
    del entries[bisect_left(entries, entry)]
