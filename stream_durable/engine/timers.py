"""Time enters the log as a record: when a moment has come, its message is put on the inbox.

A timer is a row in the store and, when its moment is near, an entry in the heap of the partition's
owner. The heap sleeps until the nearest moment and polls nothing. Firing twice is harmless, since
the entity compares the moment with the one it asked for; so a timer is forgotten when the entity
says so in a commit, not when it fired.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable

from stream_durable.core.entities import timer_fired
from stream_durable.core.errors import TransientError
from stream_durable.core.messages import Kind
from stream_durable.metrics import Metrics
from stream_durable.ports import Clock, Outgoing, Publisher, Refusal, Store, TimerPosition, TimerRow
from stream_durable.telemetry import DEPENDENCY_FAILED, MESSAGE_DROPPED, logger
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import INBOX

_log = logger(__name__)

#: The next window is loaded this long before the current one ends.
_LEAD_MS = 5_000
#: How many timers fire at once.
_FIRE_MAX = 1_000
#: Looked at the clock at least this often, so that a suspended machine or a clock step is noticed.
_LOOK_SECONDS = 1.0

_START: TimerPosition = (-1, "channel", "", "")


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
        window_max: int,
    ) -> None:
        """Hold timers due within `horizon_ms`, at most `window_max` loaded at once per partition."""
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._metrics = metrics
        self._horizon_ms = horizon_ms
        self._window_max = window_max
        #: (due, kind, key, name), partition: ordered by due.
        self._heap: list[tuple[TimerPosition, int]] = []
        self._due: dict[tuple[str, str, str], int] = {}
        #: How far each partition's timers are in memory.
        self._until: dict[int, TimerPosition] = {}
        #: What commits have written of a partition while more of its timers are being read.
        self._meanwhile: dict[int, dict[tuple[Kind, str, str], int | None]] = {}
        self._wake = asyncio.Event()

    async def load(self, partition: int) -> None:
        """Load the nearest timers of a partition, from the beginning."""
        self.drop([partition])
        self._until[partition] = _START
        await self._load_more(partition)

    def drop(self, partitions: Iterable[int]) -> None:
        """Forget timers of partitions no longer owned."""
        gone = set(partitions)
        for partition in gone:
            self._until.pop(partition, None)
            self._meanwhile.pop(partition, None)
        kept = []
        for entry in self._heap:
            if entry[1] in gone:
                self._due.pop(entry[0][1:], None)
            else:
                kept.append(entry)
        heapq.heapify(kept)
        self._heap = kept

    def apply(self, rows: Iterable[TimerRow]) -> None:
        """Take over the timers written by a commit."""
        for kind, key, name, partition, due in rows:
            until = self._until.get(partition)
            if partition in self._meanwhile:
                self._meanwhile[partition][kind, key, name] = due
            if due is None or until is None:
                self._due.pop((kind, key, name), None)
                continue
            position: TimerPosition = (due, kind, key, name)
            if position <= until:
                self._push(position, partition)
            else:
                self._due.pop((kind, key, name), None)

    async def run(self) -> None:
        """Fire timers until cancelled."""
        while True:
            now = self._clock.now()
            due = self._heap[0][0][0] if self._heap else None
            refill = min(((until[0] - _LEAD_MS, p) for p, until in self._until.items()), default=None)
            if due is not None and due <= now:
                self._fire(now)
                # Others have their turn, however many timers there are.
                await asyncio.sleep(0)
            elif refill is not None and refill[0] <= now:
                await self._refill(refill[1])
            else:
                nearest = min(x for x in (due, refill and refill[0], now + 3_600_000) if x is not None)
                await self._sleep((nearest - now) / 1_000)

    async def _sleep(self, seconds: float) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(min(seconds, _LOOK_SECONDS)):
                await self._wake.wait()
        except TimeoutError:
            return

    def _fire(self, now: int) -> None:
        """Put due timers on the inbox; a blocked partition delays no other."""
        fired: dict[int, list[TimerPosition]] = {}
        for _ in range(_FIRE_MAX):
            if not self._heap or self._heap[0][0][0] > now:
                break
            position, partition = heapq.heappop(self._heap)
            if self._due.get(position[1:]) == position[0]:
                # Not when it is acknowledged: by then the entity may have asked for the same moment again.
                del self._due[position[1:]]
                fired.setdefault(partition, []).append(position)
        for partition, positions in fired.items():
            self._publish(partition, positions)

    def _publish(self, partition: int, positions: list[TimerPosition]) -> None:
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

    async def _refill(self, partition: int) -> None:
        try:
            await self._load_more(partition)
        except TransientError as error:
            _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="load timers")
            await asyncio.sleep(0.5)

    async def _load_more(self, partition: int) -> None:
        after = self._until[partition]
        horizon = self._clock.now() + self._horizon_ms
        meanwhile = self._meanwhile[partition] = {}
        is_latest = False
        try:
            rows = await self._store.timers(partition, after, horizon, self._window_max)
        finally:
            # Dropped, or loaded from the beginning since: these rows may lack what was written afterwards.
            if is_latest := self._meanwhile.get(partition) is meanwhile:
                del self._meanwhile[partition]
        if not is_latest:
            return
        end: TimerPosition = (horizon, "run", "\U0010ffff", "")
        until = self._until[partition] = max(after, rows[-1] if len(rows) == self._window_max else end)
        for position in rows:
            # What was read is older than what was written while it was read.
            if position[1:] not in meanwhile:
                self._push(position, partition)
        for (kind, key, name), due in meanwhile.items():
            if due is not None and (due, kind, key, name) <= until:
                self._push((due, kind, key, name), partition)

    def _push(self, position: TimerPosition, partition: int) -> None:
        if self._due.get(position[1:]) == position[0]:
            return
        self._due[position[1:]] = position[0]
        heapq.heappush(self._heap, (position, partition))
        self._wake.set()
