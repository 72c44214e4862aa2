"""The log of a simulated process: the memory log at the other end of a bad connection."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from stream_durable.memory.broker import Broker
from stream_durable.memory.ports import MemoryLog
from stream_durable.memory.process import Process, immediately
from stream_durable.memory.remote import KAFKA
from stream_durable.ports import Assigned, LogBounds, LogEvent, LogLost, Record, Revoked
from stream_durable.positions import Positions


class RemoteLog:
    """A consumer in a group: orders are carried out a little later, in order."""

    def __init__(self, process: Process, broker: Broker, topic: str, group: str, *, records_max: int) -> None:
        """Serve a process."""
        self._process = process
        self.log = MemoryLog(
            broker, topic, group, process.beside, records_max=records_max, latency=process.weather.delay,
            client=process.name,
        )  # fmt: skip

        #: How often the reader has heard of each partition that it is taken away.
        self._times_revoked: Counter[int] = Counter()
        #: What the reader was promised, and records that it got with others left out before them.
        self._positions = Positions()
        self.leaps: list[str] = []
        #: When the last commit that was ordered arrives; orders arrive in order.
        self._ordered = 0.0
        #: What else was ordered, the oldest first, and when all of it is carried out.
        self._orders: deque[Callable[[], None]] = deque()
        self._ordered_until = 0.0

    def open(self) -> None:
        """Join the group."""
        self.log.open()

    async def next(self) -> LogEvent:
        """Wait for the next events."""
        self._process.alive()
        event = await self.log.next()
        if isinstance(event, list):
            self._hand_over(event)
        elif isinstance(event, Revoked):
            self._hear_revoked(event)
        elif isinstance(event, LogLost):
            self._positions.forget([event.partition])
        await self._process.crash_point("log.next")
        return event

    def on_arrival(self, call: Callable[[], None] | None) -> None:
        """Call this whenever something has arrived; with None no more."""

        def arrive() -> None:
            if call is not None and not self._process.falls("log.records"):
                call()

        self.log.on_arrival(None if call is None else arrive)

    def take_records(self) -> list[Record] | None:
        """Return arrived records if next in order."""
        self._process.alive()
        if (records := self.log.take_records()) is not None:
            self._hand_over(records)
        return records

    def _hand_over(self, records: list[Record]) -> None:
        """Note records left out before one of these, also expired ones."""
        at = self._positions.leap(records)
        while at is not None:
            record = records[at]
            due = self._positions.due(record.partition)
            if left_out := [each.offset for each in self.log.lived(record.partition, due, record.offset)]:
                self.leaps.append(
                    f"{self._process.name} got offset {record.offset} of {self.log.name}/{record.partition} "
                    f"and not {left_out}"
                )
            self._positions.pass_over(record)
            at = self._positions.leap(records, at)

    async def moved(self) -> Assigned | Revoked:
        """Wait until partitions are given or taken away."""
        self._process.alive()
        event = await self.log.moved()
        if isinstance(event, Revoked):
            self._hear_revoked(event)
        await self._process.crash_point("log.next")
        return event

    def _hear_revoked(self, event: Revoked) -> None:
        self._positions.forget(event.partitions)
        self._times_revoked.update(event.partitions)

    def fetch(self, partition: int, offset: int, leader_epoch: int) -> None:
        """Begin to fetch a partition."""
        self._process.alive()
        self.log.look(partition)
        self._positions.begin(partition, offset)
        heard = self._times_revoked[partition]

        def fetch() -> None:
            # Void after a revocation that the reader had not heard of, even if the partition has come back.
            if self.log.times_revoked[partition] == heard:
                self.log.fetch(partition, offset, leader_epoch)

        self._order(fetch)

    def stop_fetching(self, partition: int) -> None:
        """Stop fetching from a partition, and drop records read but not taken."""
        self._process.alive()
        self.log.begin_stop(partition)
        self._order(lambda: self._stop(partition))

    def _stop(self, partition: int) -> None:
        self.log.stop_fetching(partition)
        self.log.has_stopped(partition)

    def _order(self, call: Callable[[], None]) -> None:
        """Let the log's thread do something later: until then it reads on."""
        weather = self._process.weather
        delay = weather.delay()
        self._ordered_until = max(self._ordered_until, weather.loop.time() + delay)
        self._orders.append(call)
        self._process.beside(delay, self._follow)

    def _follow(self) -> None:
        while self._orders:
            self._orders.popleft()()

    async def bounds(self, partition: int) -> LogBounds:
        """Return the identity of a partition's log, after earlier requests are carried out."""
        left = self._ordered_until - self._process.weather.loop.time()
        if left > 0.0:
            await asyncio.sleep(left)
        return await self._process.call("log.bounds", KAFKA, lambda: immediately(self.log.bounds(partition)))

    def adopt(self, partition: int) -> None:
        """Fetch a partition not yet assigned by the group."""
        self._process.alive()
        self.log.hear(partition, is_ours=True)
        self._order(lambda: self.log.adopt(partition))

    def disown(self, partition: int) -> None:
        """Stop fetching an adopted partition."""
        self._process.alive()
        self.log.hear(partition, is_ours=False)
        self._order(lambda: self.log.disown(partition))
        self.stop_fetching(partition)

    def note_progress(self, offsets: dict[int, int]) -> None:
        """Nobody looks at the lag here."""

    async def committed(self, partition: int) -> tuple[int | None, str | None]:
        """Return the committed offset and metadata of a partition."""
        await asyncio.sleep(max(0.0, self._ordered - self._process.weather.loop.time()))
        return await self._process.call(
            "log.committed", KAFKA, lambda: immediately(self.log.committed(partition))
        )

    def commit(self, marks: list[tuple[int, int, str]], done: Callable[[bool], None]) -> None:
        """Commit; sometimes stored but reported as failed, sometimes not stored."""
        process, weather = self._process, self._process.weather
        process.alive()
        is_refused = weather.is_out(KAFKA) or weather.chance(weather.faults.refuse, "log.commit refused")
        is_lost = weather.chance(weather.faults.lose_answer, "log.commit answer lost")

        def arrive() -> None:
            stored = not is_refused and self.log.store_marks(marks)
            process.later(weather.delay(), lambda: done(stored and not is_lost))

        now = weather.loop.time()
        self._ordered = max(self._ordered, now + weather.delay())
        weather.later(self._ordered - now, arrive)

    async def close(self) -> None:
        """Leave the group, after earlier requests are carried out."""
        self._process.alive()
        await self.log.close()
