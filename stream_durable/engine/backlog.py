"""Holds back first commands of runs while this reconciler is behind; publishes them in portions as runs end.

Of many starts at once all come before the first result: their commands published at once would put every run
under way, in a working set that no memory holds. Commands held back are saved with the state, in rows of
their own, and read again when their turn has come; none is in memory meanwhile, nor are the runs of a long
backlog. They are published in the order of saving, per partition, and so are cancellations in their lane. A
successor goes on in portions, too.

A reconciler that keeps up holds nothing back. A higher priority is never held back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

from stream_durable.core.effects import CancelAttempt, Command
from stream_durable.core.entities import Entity
from stream_durable.core.lanes import is_first
from stream_durable.core.messages import Kind
from stream_durable.core.run.state import Run
from stream_durable.engine import outbox
from stream_durable.engine.log_clock import LogClock
from stream_durable.engine.partition import HeldRow, Partition
from stream_durable.engine.publishing import Publishing
from stream_durable.metrics import Metrics
from stream_durable.ports import Record, Store
from stream_durable.retrying import retry_transient

#: Records older than this on arrival: others wait behind them.
_BEHIND_MS = 300
#: Without a record for so long there is nothing to be behind of.
_QUIET_SECONDS = 0.1
#: How often it is looked whether more may begin.
_LOOK_SECONDS = 0.02
#: After this the number of runs under way may double, or halve if this reconciler is behind.
_STEP_SECONDS = 0.5
#: So many times as many runs as begin at once are kept in memory before they begin: most backlogs end here.
KEPT_TIMES = 40

Commands = list[tuple[str, Command | CancelAttempt]]


class Backlog:
    """The commands held back in owned partitions."""

    def __init__(
        self,
        store: Store,
        publishing: Publishing,
        partitions: Mapping[int, Partition],
        clock: LogClock,
        metrics: Metrics,
        writing: asyncio.Lock,
        begin_at_once: int,
        recall: Callable[[Iterable[str]], Awaitable[None]],
    ) -> None:
        """Hold back nothing yet; `writing` is the lock for saving, and `recall` loads runs about to begin.

        At least `begin_at_once` runs are under way, and more as long as this reconciler keeps up: where
        workers are slower, these decide what begins.
        """
        self._store = store
        self._publishing = publishing
        self._partitions = partitions
        self._clock = clock
        self._writing = writing
        self._begin_at_once = begin_at_once
        self._recall = recall
        self._is_behind = False
        #: So many may be under way.
        self._most = begin_at_once
        #: When records came last, and when `_most` was last changed, by the loop's time.
        self._heard = self._changed = 0.0
        #: Runs begun in portions, less those that have ended since: an estimate, since others end as well.
        self._under_way = 0
        self._has_rows = asyncio.Event()
        metrics.backlog_commands.set_function(self._count)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is held back."""
        return not any(partition.held for partition in self._partitions.values())

    @property
    def is_long(self) -> bool:
        """Whether more runs are held back than stay in memory."""
        room = KEPT_TIMES * self._begin_at_once
        for partition in self._partitions.values():
            for row in partition.held:
                room -= row.count - row.at
                if room < 0:
                    return True
        return False

    def hear(self, records: list[Record], count: int) -> None:
        """Take note of records that have just arrived, with how many there are in their batch."""
        self._heard = _now()
        self._is_behind = count > self._begin_at_once or self._clock.age_ms(records[0].time) > _BEHIND_MS

    def holds(self, partition: Partition) -> bool:
        """Whether commands of runs about to begin are held back: none overtakes an earlier one."""
        return self._is_behind or bool(partition.held)

    def added(self, partition: Partition, from_offset: int, count: int) -> None:
        """Record a saved row of held commands."""
        partition.held.append(HeldRow(from_offset, count))
        self.wake()

    def wake(self) -> None:
        """Look for rows of a partition that was taken over."""
        if not self._has_rows.is_set():
            self._has_rows.set()
            self._changed = _now()

    def ended(self, touched: Mapping[tuple[Kind, str], Entity]) -> None:
        """Count the runs among saved entities that have ended."""
        if self._under_way:
            over = sum(type(one) is Run and one.has_lanes and one.is_over for one in touched.values())
            self._under_way = max(0, self._under_way - over)

    def leave(self, partitions: Iterable[Partition]) -> None:
        """Begin no further rows of these partitions, and publish the rest of a row that is published in part.

        A successor publishes rows as a whole.
        """
        for partition in partitions:
            partition.is_leaving = True
            if partition.held and partition.held[0].at:
                row = partition.held[0]
                self._publish_portion(partition, row, row.count)

    async def run(self) -> None:
        """Publish held commands in portions, until cancelled."""
        while True:
            await self._has_rows.wait()
            if (room := self._room()) > 0:
                await self._publish(room)
            if self.is_idle:
                self._has_rows.clear()
                self._most, self._under_way = self._begin_at_once, 0
            else:
                await asyncio.sleep(_LOOK_SECONDS)

    def _room(self) -> int:
        """Return how many runs may begin now."""
        now = _now()
        is_behind = self._is_behind and (self._writing.locked() or now - self._heard < _QUIET_SECONDS)
        if now - self._changed > _STEP_SECONDS:
            self._changed = now
            self._most = max(self._begin_at_once, self._most // 2 if is_behind else self._most * 2)
        return (self._begin_at_once if is_behind else self._most) - self._under_way

    async def _publish(self, room: int) -> None:
        """Publish held commands of so many runs, in turn from all partitions that have some."""
        owners = [p for p in self._partitions.values() if p.held and not p.is_leaving]
        for left, partition in zip(range(len(owners), 0, -1), owners, strict=True):
            room -= await self._publish_of(partition, -(-room // left))

    async def _publish_of(self, partition: Partition, room: int) -> int:
        """Publish so many commands of a partition; return how many there were."""
        published = 0
        while published < room and partition.held:
            row = partition.held[0]
            if row.messages is None:
                offset = row.from_offset
                body = await retry_transient(
                    partial(self._store.backlog_row, partition.id, offset), "read held commands"
                )
                messages = [] if body is None else outbox.unpack(body)
                await self._recall(message.key.decode() for message in messages if message.key is not None)
                if self._partitions.get(partition.id) is not partition or partition.is_leaving:
                    break
                row.messages = messages
            published += self._publish_portion(partition, row, room - published)
        self._under_way += published
        return published

    def _publish_portion(self, partition: Partition, row: HeldRow, room: int) -> int:
        """Publish so many commands of a row that was read, at most; return how many there were."""
        messages = row.messages or []
        portion = messages[row.at : row.at + room]
        row.at += len(portion)
        if row.at == len(messages):
            partition.held.popleft()
            row.is_out = True
        self._publishing.add_held(partition, row, portion)
        return len(portion)

    def _count(self) -> int:
        return sum(row.count - row.at for p in self._partitions.values() for row in p.held)


def parted(commands: Commands) -> tuple[Commands, Commands]:
    """Return the commands to be published with their batch, and those to be held back."""
    now: Commands = []
    held: Commands = []
    for one in commands:
        (held if _may_wait(*one) else now).append(one)
    return now, held


def _may_wait(lane: str, command: Command | CancelAttempt) -> bool:
    if not is_first(lane):
        return False
    if isinstance(command, CancelAttempt):
        # Behind its attempt, which may be held.
        return True
    return command.priority <= 0 and not (command.passes or command.returns or command.losses)


def _now() -> float:
    return asyncio.get_running_loop().time()
