"""Time enters the log as a record: when a moment has come, its message is put on the inbox.

A timer is a row in the store and, when its moment is near, an entry in a heap of its partition. The owner
sleeps until the nearest moment and polls nothing. Firing twice is harmless, since the entity compares the
moment with the one it asked for; so a timer is forgotten when the entity says so in a commit, not when it
fired.

Of a partition only so many fired timers are on the inbox at a time: a mass of due timers is worked off in
order, and the records that come meanwhile stand behind few of them.

With few due, a timer is fired at the exact moment. Of many, timers due close together are fired together, up
to `APART_SECONDS` late, and the consequences are folded and saved together too. For the same reason schedules
fire at whole seconds, up to one late, if their moment was known for some time.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Sequence
from typing import Final

from stream_durable.core.entities import ENTITIES, timer_fired
from stream_durable.core.errors import TransientError
from stream_durable.core.messages import MESSAGE_TYPES, Kind
from stream_durable.metrics import Metrics
from stream_durable.ports import Clock, Outgoing, Publisher, Refusal, Store, TimerPosition, TimerRow
from stream_durable.telemetry import DEPENDENCY_FAILED, MESSAGE_DROPPED, logger
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import INBOX

_log = logger(__name__)

#: The next window is loaded this long before the current one ends, or half the horizon before.
_LEAD_MS = 5_000
#: Fired timers of a partition that are not folded yet, at most.
UNDER_WAY_MAX: Final = 1_000
#: After so long without any of them being folded the next ones are fired: some may never be.
_STALLED_SECONDS: Final = 1.0
#: A partition loads at once what it may if there are as many of them.
WINDOWS_MIN: Final = 8
#: So often timers are fired one by one in a row; beyond that, rounds are so far apart.
IN_A_ROW_MAX: Final = 10
APART_SECONDS: Final = 0.15
_SHORTEST_SECONDS: Final = 0.001
#: Schedules fire at multiples of this, unless the moment is nearer than that when it comes to memory.
TOGETHER_MS: Final = 1_000
KNOWN_LONG_MS: Final = 3_000
#: Looked at the clock at least this often, so that a suspended machine or a clock step is noticed.
_LOOK_SECONDS = 1.0

_START: TimerPosition = (-1, "channel", "", "")
#: When a timer is fired, its moment, and what it belongs to.
_Entry = tuple[int, int, Kind, str, str]
#: Where the messages of timers stand in the list of message types.
_TYPES: Final = tuple(
    MESSAGE_TYPES.index(entity.timer) for entity in ENTITIES.values() if entity.timer is not None
)


class Near:
    """The near timers of one partition."""

    __slots__ = ("_heap", "due", "is_behind", "meanwhile", "moved", "under_way", "until")

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        #: Whether due timers were left for lack of room: they wait for nothing else.
        self.is_behind = False
        #: The moment of each timer; entries of the heap with another one are void.
        self.due: dict[tuple[str, str, str], int] = {}
        #: Up to here timers are in memory.
        self.until = _START
        #: What commits have written while more timers are being read.
        self.meanwhile: dict[tuple[Kind, str, str], int | None] | None = None
        #: Fired and not folded yet, and when one of them was fired or folded last, by the loop's clock.
        self.under_way = 0
        self.moved = 0.0

    @property
    def next_due(self) -> int | None:
        """The nearest moment at which a timer is to be fired."""
        heap, due = self._heap, self.due
        while heap and due.get(heap[0][2:]) != heap[0][1]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def push(self, position: TimerPosition, now: int) -> bool:
        """Hold a timer; return whether it is new."""
        if self.due.get(position[1:]) == position[0]:
            return False
        self.due[position[1:]] = position[0]
        heapq.heappush(self._heap, (_moment_of(position, now), *position))
        return True

    def pop(self, now: int, count: int) -> list[TimerPosition]:
        """Remove and return at most so many due timers, the earliest first."""
        popped: list[TimerPosition] = []
        while len(popped) < count and (due := self.next_due) is not None and due <= now:
            position = heapq.heappop(self._heap)[1:]
            # Not when it is acknowledged: by then the entity may have asked for the same moment again.
            del self.due[position[1:]]
            popped.append(position)
        self.is_behind = len(popped) == count
        return popped


class Rounds:
    """The moments of firing: `IN_A_ROW_MAX` at once, then one each `APART_SECONDS`."""

    __slots__ = ("_free",)

    def __init__(self) -> None:
        """Begin with all at once."""
        #: When all of them are free again, by the loop's clock.
        self._free = 0.0

    def wait(self, time: float) -> float:
        """Return the seconds until the next round; 0: now. No sleep is shorter than a millisecond."""
        seconds = self._free - time - (IN_A_ROW_MAX - 1) * APART_SECONDS
        return seconds if seconds >= _SHORTEST_SECONDS else 0.0

    def take(self, time: float) -> None:
        """Count a round."""
        self._free = max(self._free, time) + APART_SECONDS


class Timers:
    """The near timers of owned partitions."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        clock: Clock,
        metrics: Metrics,
        *,
        horizon_ms: int,
        held_max: int,
    ) -> None:
        """Hold timers due within `horizon_ms`, of all partitions about `held_max` at most."""
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._horizon_ms = horizon_ms
        self._lead_ms = min(_LEAD_MS, horizon_ms // 2)
        self._held_max = held_max
        self._near: dict[int, Near] = {}
        self._rounds = Rounds()
        self._wake = asyncio.Event()

    @property
    def held(self) -> int:
        """How many timers are in memory."""
        return sum(len(near.due) for near in self._near.values())

    async def load(self, partition: int) -> None:
        """Load the nearest timers of a partition, from the beginning."""
        near = self._near[partition] = Near()
        await self._load_more(partition, near)

    def drop(self, partitions: Iterable[int]) -> None:
        """Forget timers of partitions no longer owned."""
        for partition in partitions:
            self._near.pop(partition, None)

    def apply(self, rows: Iterable[TimerRow]) -> None:
        """Take over the timers written by a commit."""
        now = self._clock.now()
        for kind, key, name, partition, due in rows:
            near = self._near.get(partition)
            if near is None:
                continue
            if near.meanwhile is not None:
                near.meanwhile[kind, key, name] = due
            if due is not None and (due, kind, key, name) <= near.until:
                if near.push((due, kind, key, name), now):
                    self._wake.set()
            elif near.due.pop((kind, key, name), None) is not None and self._has_room(near):
                self._wake.set()

    def folded(self, partition: int, types: Sequence[int]) -> None:
        """Count fired timers among saved records, given by their places in the list of message types."""
        near = self._near.get(partition)
        if near is None or not near.under_way:
            return
        if count := sum(map(types.count, _TYPES)):
            near.under_way = max(0, near.under_way - count)
            near.moved = asyncio.get_running_loop().time()
            self._wake.set()

    async def run(self) -> None:
        """Fire timers until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            now, time = self._clock.now(), loop.time()
            seconds, has_fired = _LOOK_SECONDS, False
            short, wait = None, self._rounds.wait(time)
            for partition, near in self._near.items():
                until = self._fire_due(partition, near, now, time, wait)
                has_fired |= until == 0.0
                seconds = min(seconds, until or _LOOK_SECONDS)
                if near.meanwhile is None and self._has_room(near):
                    if near.until[0] - self._lead_ms <= now:
                        short = (partition, near)
                    else:
                        seconds = min(seconds, (near.until[0] - self._lead_ms - now) / 1_000)
            if has_fired:
                self._rounds.take(time)
            if short is not None:
                await self._refill(*short)
            elif has_fired:
                # Others have their turn, however many timers there are.
                await asyncio.sleep(0)
            else:
                await self._sleep(seconds)

    def _fire_due(self, partition: int, near: Near, now: int, time: float, wait: float) -> float:
        """Fire due timers as allowed; return the seconds until there is more, 0: after firing."""
        due = near.next_due
        if due is None:
            return _LOOK_SECONDS
        if due > now:
            return (due - now) / 1_000
        if wait and not near.is_behind:
            return wait
        if count := _room_of(near, time):
            self._fire(partition, near, near.pop(now, count), time)
            return 0.0
        return near.moved + _STALLED_SECONDS - time

    async def _sleep(self, seconds: float) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    def _fire(self, partition: int, near: Near, positions: Sequence[TimerPosition], time: float) -> None:
        """Put due timers on the inbox; a blocked partition delays no other."""
        near.under_way, near.moved = near.under_way + len(positions), time
        messages = [
            (Outgoing(INBOX, partition, key.encode(), encode(timer_fired(kind, key, name, due))), None)
            for due, kind, key, name in positions
        ]

        def done(refusals: list[Refusal]) -> None:
            for refusal in refusals:
                # It stays in the store, and the next owner of the partition tries again.
                _log.error(MESSAGE_DROPPED, topic=INBOX, code=refusal.code, reason=refusal.reason)
            self._metrics.timers_fired.inc(len(positions) - len(refusals))

        self._publisher.send(messages, done)

    async def _refill(self, partition: int, near: Near) -> None:
        try:
            await self._load_more(partition, near)
        except TransientError as error:
            _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="load timers")
            await asyncio.sleep(0.5)

    async def _load_more(self, partition: int, near: Near) -> None:
        after, limit = near.until, self._window
        now = self._clock.now()
        horizon = now + self._horizon_ms
        meanwhile = near.meanwhile = {}
        try:
            rows = await self._store.timers(partition, after, horizon, limit)
        finally:
            near.meanwhile = None
        end: TimerPosition = (horizon, "run", "\U0010ffff", "")
        until = near.until = max(after, rows[-1] if len(rows) == limit else end)
        for position in rows:
            # What was read is older than what was written while it was read.
            if position[1:] not in meanwhile:
                near.push(position, now)
        for (kind, key, name), due in meanwhile.items():
            if due is not None and (due, kind, key, name) <= until:
                near.push((due, kind, key, name), now)
        self._wake.set()

    @property
    def _window(self) -> int:
        """How many timers of a partition are loaded at once."""
        return max(1, self._held_max // max(WINDOWS_MIN, len(self._near)))

    def _has_room(self, near: Near) -> bool:
        """Return whether more timers of a partition may be loaded: those in memory are due before them."""
        return len(near.due) * 2 <= self._window


def _moment_of(position: TimerPosition, now: int) -> int:
    """Return when a timer is to be fired."""
    due, kind = position[:2]
    if kind != "schedule" or due - now < KNOWN_LONG_MS:
        return due
    return -(-due // TOGETHER_MS) * TOGETHER_MS


def _room_of(near: Near, time: float) -> int:
    """Return how many timers of a partition may be fired now; few at a time would be many batches."""
    if time - near.moved >= _STALLED_SECONDS:
        near.under_way = 0
    return UNDER_WAY_MAX - near.under_way if near.under_way * 2 <= UNDER_WAY_MAX else 0
