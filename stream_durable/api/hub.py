"""Live changes for many watchers: one reader of the public events of a process, and a fan-out in memory.

The reader begins at the end of the log with the first watcher; nothing asks the database, and the engine does
not know. An id of an event holds the offsets after it, so that a watcher comes back where it left, at this
process or at another one, as long as the events since are remembered; otherwise it is asked to load again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from stream_durable.api.subjects import Scope
from stream_durable.client.edge import Edge
from stream_durable.core.errors import StreamDurableError
from stream_durable.core.lifecycle import EventHead
from stream_durable.core.moments import moment
from stream_durable.ports import LoggedEvent
from stream_durable.telemetry import DEPENDENCY_FAILED, logger

_log = logger(__name__)

#: Events remembered for watchers that come back.
REMEMBERED_MAX: Final = 10_000
#: Batches that wait for a watcher before it is asked to load again.
WAITING_MAX: Final = 256
#: A list and the overview change at most so often for a watcher.
PACE_SECONDS: Final = 1.0
#: Where a process writes more often in a quarter of a second, and to more streams, each rests after a write.
WRITES_MAX: Final = 125
STREAMS_MAX: Final = 4
REST_SECONDS: Final = 0.25
#: How long the reader goes on without watchers.
LINGER_SECONDS: Final = 300.0
_AGAIN_SECONDS: Final = 1.0


def frame(event: str, data: dict[str, Any]) -> bytes:
    """Return an event of a stream without its end."""
    return b"event: %b\ndata: %b\n" % (event.encode(), msgspec.json.encode(data))


class Watcher:
    """A stream of changes of some subjects, bounded in memory."""

    def __init__(self, runs: Iterable[str], scopes: Iterable[Scope]) -> None:
        """Wait for a hub."""
        self.runs = frozenset(runs)
        self.scopes = frozenset(scopes)
        #: The quarter of a second of its latest write.
        self.quarter = -1
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._is_behind = False
        self._is_over = False

    def put(self, data: bytes) -> None:
        """Hand over whole events; too many are replaced by the request to load again."""
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.clear()
            self._is_behind = True
        self._waiting.append(data)
        self._arrived.set()

    def end(self) -> None:
        """Let the stream end after all that waits."""
        self._is_over = True
        self._arrived.set()

    async def take(self, seconds: float) -> bytes | None:
        """Return all that waits, nothing after some seconds, or None at the end of the stream."""
        if not self._waiting and not self._is_over:
            self._arrived.clear()
            quiet = asyncio.get_running_loop().call_later(seconds, self._arrived.set)
            try:
                await self._arrived.wait()
            finally:
                quiet.cancel()
        if self._is_over and not self._waiting:
            return None
        begins = frame("reload", {"reason": "slow"}) + b"\n" if self._is_behind else b""
        data = begins + b"".join(self._waiting)
        self._waiting.clear()
        self._is_behind = False
        return data


class _Paced:
    """The watchers of a scope: the first change is passed on at once, later ones together."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.watchers: set[Watcher] = set()
        self.is_pending = False
        self.free_at = 0.0

    def frame(self) -> bytes:
        text = self.scope.text
        return frame("overview", {}) if text is None else frame("list", {"list": text})


class _Rest:
    """How long a stream rests after a write, with its changes gathered: not at all while few are written."""

    def __init__(self) -> None:
        self._quarter = self._writes = self._streams = 0
        self._was_busy = False

    def after_write(self, watcher: Watcher, now: float) -> float:
        quarter = int(now / REST_SECONDS)
        if quarter != self._quarter:
            self._was_busy = self._is_busy and quarter == self._quarter + 1
            self._quarter, self._writes, self._streams = quarter, 0, 0
        self._writes += 1
        self._streams += watcher.quarter != quarter
        watcher.quarter = quarter
        return REST_SECONDS if self._is_busy or self._was_busy else 0.0

    @property
    def _is_busy(self) -> bool:
        return self._writes > WRITES_MAX and self._streams > STREAMS_MAX


class Hub:
    """All watchers of one process, and the reader for them."""

    def __init__(self, edge: Edge) -> None:
        """Read nothing yet."""
        self._edge = edge
        self._watchers: set[Watcher] = set()
        self._by_run: dict[str, set[Watcher]] = {}
        self._paced: dict[Scope, _Paced] = {}
        self._rest = _Rest()
        self._positions: list[int] = []
        self._remembered: deque[LoggedEvent] = deque()
        #: Positions before all remembered events.
        self._floor: list[int] = []
        self._reader: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def watchers(self) -> int:
        """The number of watchers."""
        return len(self._watchers)

    @property
    def id(self) -> str:
        """The id of the present moment: offsets of all partitions."""
        return ".".join(map(str, self._positions))

    async def watch(self, watcher: Watcher, after: str | None) -> None:
        """Let a watcher see changes from now on, or after an id; its stream begins with `hello`."""
        await self._reading()
        if self._is_closed:
            watcher.end()
            return
        self._add(watcher)
        watcher.put(self._with_id([b"retry: 2000\n" + frame("hello", {})]))
        if after is None or after == self.id:
            return
        missed = self._since(after)
        if missed is None:
            watcher.put(self._with_id([frame("reload", {"reason": "expired"})]))
        elif frames := self._frames(watcher, missed):
            watcher.put(self._with_id(frames))

    def leave(self, watcher: Watcher) -> None:
        """Forget a watcher."""
        self._watchers.discard(watcher)
        for run in watcher.runs:
            found = self._by_run.get(run, set())
            found.discard(watcher)
            if not found:
                self._by_run.pop(run, None)
        for scope in watcher.scopes:
            paced = self._paced.get(scope)
            if paced is not None:
                paced.watchers.discard(watcher)
                if not paced.watchers:
                    del self._paced[scope]
        if not self._watchers and self._reader is not None and self._lingering is None:
            loop = asyncio.get_running_loop()
            self._lingering = loop.call_later(LINGER_SECONDS, self._stop_reading)

    async def rest(self, watcher: Watcher) -> None:
        """Return after a pause for a stream that has written: none while few streams write."""
        if seconds := self._rest.after_write(watcher, asyncio.get_running_loop().time()):
            await asyncio.sleep(seconds)

    def alive(self) -> bytes:
        """Return the event that keeps a quiet connection open, with the latest id."""
        return self._with_id([frame("alive", {})])

    async def close(self) -> None:
        """Say goodbye to all watchers, and stop reading."""
        self._is_closed = True
        for watcher in self._watchers:
            watcher.put(self._with_id([frame("goodbye", {})]))
            watcher.end()
        reader, self._reader = self._reader, None
        if self._lingering is not None:
            self._lingering.cancel()
        if reader is not None:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader

    def _add(self, watcher: Watcher) -> None:
        self._watchers.add(watcher)
        for run in watcher.runs:
            self._by_run.setdefault(run, set()).add(watcher)
        for scope in watcher.scopes:
            self._paced.setdefault(scope, _Paced(scope)).watchers.add(watcher)

    async def _reading(self) -> None:
        """Return when the position is known."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if self._reader is None and not self._is_closed:
            self._ready = asyncio.get_running_loop().create_future()
            self._reader = asyncio.create_task(self._read())
        if self._ready is not None:
            await asyncio.shield(self._ready)

    async def _read(self) -> None:
        while True:
            try:
                async with self._edge.flow() as flow:
                    self._begin(flow.positions)
                    async for batch in flow.batches:
                        self._take(batch)
            except StreamDurableError as error:
                if self._ready is not None and not self._ready.done():
                    self._reader = None
                    self._ready.set_exception(error)
                    return
                _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="follow all runs")
                await asyncio.sleep(_AGAIN_SECONDS)

    def _begin(self, positions: Sequence[int]) -> None:
        """Take over the positions of a new reader; changes before it may have been missed."""
        self._positions, self._floor = list(positions), list(positions)
        self._remembered.clear()
        for watcher in self._watchers:
            watcher.put(self._with_id([frame("reload", {"reason": "away"})]))
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _stop_reading(self) -> None:
        """Stop reading: nobody has watched for long."""
        self._lingering = None
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()

    def _take(self, batch: Sequence[LoggedEvent]) -> None:
        """Remember events, and pass them to the watchers of their runs and scopes."""
        frames: dict[Watcher, list[bytes]] = {}
        for event in batch:
            self._positions[event.place] = event.offset + 1
            self._remembered.append(event)
            if len(self._remembered) > REMEMBERED_MAX:
                oldest = self._remembered.popleft()
                self._floor[oldest.place] = oldest.offset + 1
            watchers = self._by_run.get(event.head.run)
            if watchers:
                made = frame("run", shown(event.head))
                for watcher in watchers:
                    frames.setdefault(watcher, []).append(made)
        end = self._end()
        for watcher, made_for in frames.items():
            watcher.put(b"\n".join(made_for) + end)
        now = asyncio.get_running_loop().time()
        for paced in self._paced.values():
            if not paced.is_pending and _concerns(paced.scope, batch):
                self._pace(paced, now)

    def _pace(self, paced: _Paced, now: float) -> None:
        """Pass a change on at once, or at the end of the pause after the one before."""
        if now >= paced.free_at:
            self._pass_on(paced, now)
        else:
            paced.is_pending = True
            asyncio.get_running_loop().call_at(paced.free_at, self._pass_on, paced, paced.free_at)

    def _pass_on(self, paced: _Paced, now: float) -> None:
        paced.is_pending, paced.free_at = False, now + PACE_SECONDS
        made = self._with_id([paced.frame()])
        for watcher in paced.watchers:
            watcher.put(made)

    def _since(self, after: str) -> list[LoggedEvent] | None:
        """Return the events after an id; None: not all of them are remembered."""
        try:
            positions = [int(part) for part in after.split(".")]
        except ValueError:
            return None
        if len(positions) != len(self._floor) or any(map(int.__lt__, positions, self._floor)):
            return None
        return [event for event in self._remembered if event.offset >= positions[event.place]]

    def _frames(self, watcher: Watcher, events: Sequence[LoggedEvent]) -> list[bytes]:
        runs = [frame("run", shown(one.head)) for one in events if one.head.run in watcher.runs]
        return runs + [_Paced(scope).frame() for scope in watcher.scopes if _concerns(scope, events)]

    def _with_id(self, frames: Sequence[bytes]) -> bytes:
        """Return whole events, of which the last carries the id."""
        return b"\n".join(frames) + self._end()

    def _end(self) -> bytes:
        return b"id: %b\n\n" % self.id.encode()


def shown(head: EventHead) -> dict[str, Any]:
    """Return the data of an event: names, numbers and times, and no value of a user."""
    return {
        "type": head.type,
        "run": head.run,
        "workflow": head.workflow,
        "fingerprint": head.fingerprint,
        "step": head.step,
        "attempt": head.attempt,
        "sequence": head.sequence,
        "time": moment(head.time),
    }


def _concerns(scope: Scope, events: Sequence[LoggedEvent]) -> bool:
    return (scope.is_everything and bool(events)) or any(scope.takes(event.head) for event in events)
