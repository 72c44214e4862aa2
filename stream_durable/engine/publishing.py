"""Publishes after saving: messages stored in the outbox by a commit are published at once.

Commands, and events that wake runs, are published while their commit is under way, so that steps start
sooner. If the commit fails, the next fold of the same records asks for the same, and readers see a repeat.
Cancellations wait: a cancelled attempt still wanted would never be repeated.

Each message has its own acknowledgement, in order per partition of its topic, so a stuck message delays
neither its neighbours nor other partitions. A message refused for good is replaced by a fact
(`outbox.instead`). An outbox row with every message settled is removed by a later commit of its partition,
rows in the order of saving. A crash anywhere repeats at most the contents of the outbox: same ids and bytes,
and readers drop repeats.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

from stream_durable.engine import outbox
from stream_durable.engine.partition import HeldRow, Partition, Row
from stream_durable.metrics import Metrics
from stream_durable.ports import Headers, Outgoing, Publisher, Refusal
from stream_durable.telemetry import MESSAGE_DROPPED, logger
from stream_durable.wire.topics import DEAD

_log = logger(__name__)


class Publishing:
    """Publishes outbox rows, per partition in the order of saving."""

    def __init__(
        self,
        publisher: Publisher,
        source: str,
        metrics: Metrics,
        *,
        bytes_max: int,
        hold: Callable[[Partition, bool], None],
    ) -> None:
        """Publish as `source`.

        `hold` is called for a partition with more than `bytes_max` unpublished, and again below half of
        `bytes_max`.
        """
        self._publisher = publisher
        self._metrics = metrics
        self._source = source
        self._bytes_max = bytes_max
        self._hold = hold
        self._rows = 0
        metrics.outbox_rows.set_function(lambda: self._rows)
        self._settled = asyncio.Event()

    @property
    def is_idle(self) -> bool:
        """Whether everything saved is published."""
        return not self._rows

    def begin(self, partition: Partition, row: Row, messages: list[Outgoing]) -> None:
        """Publish the first messages of a row, or the next ones, before it is saved."""
        row.ahead += len(messages)
        row.under_way += 1
        self.say(messages, lambda: self._delivered(partition, row))

    def add(self, partition: Partition, row: Row, messages: list[Outgoing]) -> None:
        """Publish a saved row, except messages published ahead."""
        partition.unpublished.append(row)
        partition.unpublished_bytes += row.bytes
        self._rows += 1
        row.under_way += 1
        rest = messages[row.ahead :] if row.ahead else messages
        self.say(rest, lambda: self._delivered(partition, row))
        if partition.unpublished_bytes > self._bytes_max:
            partition.is_full = True
            self._hold(partition, True)  # noqa: FBT003

    def publish_left(self, partition: Partition, rows: Iterable[tuple[int, bytes]]) -> None:
        """Publish what the last owner saved and may not have published, before anything new."""
        for offset, body in rows:
            self.add(partition, Row(offset, len(body)), outbox.unpack(body))

    def add_held(self, partition: Partition, row: HeldRow, commands: list[Outgoing]) -> None:
        """Publish commands of a row that was held back."""
        row.under_way += 1
        partition.held_under_way += 1
        self.say(commands, lambda: self._delivered_held(partition, row))

    async def publish_now(self, messages: list[Outgoing]) -> None:
        """Publish messages outside any outbox, and wait until all are settled."""
        settled = asyncio.Event()
        self.say(messages, settled.set)
        await settled.wait()

    async def settled(self, partitions: Iterable[Partition]) -> None:
        """Wait until everything saved for these partitions is published, except what is held back."""
        left = list(partitions)
        while any(partition.unpublished or partition.held_under_way for partition in left):
            self._settled.clear()
            await self._settled.wait()

    def say(self, messages: list[Outgoing], then: Callable[[], None]) -> None:
        """Publish messages, or replacements for refused ones, then call `then`."""
        source, started = self._source, time.perf_counter()

        def done(refusals: list[Refusal]) -> None:
            self._metrics.publish_seconds.observe(time.perf_counter() - started)
            if not refusals:
                then()
                return
            told = (self._instead(messages[refusal.at], refusal) for refusal in refusals)
            self.say([message for message in told if message is not None], then)

        def instead(refusal: Refusal) -> tuple[Outgoing, Headers | None] | None:
            if not outbox.may_be_shortened(messages[refusal.at]):
                return None
            # In its place: readers are promised the statements about a run in their order.
            told = messages[refusal.at] = outbox.shortened_statement(messages[refusal.at], refusal)
            self._metrics.count_refused(refusal.code)
            return outbox.with_headers(told, source)

        self._publisher.send([outbox.with_headers(message, source) for message in messages], done, instead)

    def _instead(self, message: Outgoing, refusal: Refusal) -> Outgoing | None:
        told = outbox.instead(message, refusal)
        self._metrics.count_refused(refusal.code)
        if told is None:
            _log.error(MESSAGE_DROPPED, topic=message.topic, code=refusal.code, reason=refusal.reason)
        elif told.topic == DEAD != message.topic:
            self._metrics.count_dead_letters(f"refused_{refusal.code}")
        return told

    def _delivered(self, partition: Partition, row: Row) -> None:
        row.under_way -= 1
        rows = partition.unpublished
        while rows and not rows[0].under_way:
            over = rows.popleft()
            self._rows -= 1
            partition.published.append(over.from_offset)
            partition.unpublished_bytes -= over.bytes
        self._settled.set()
        if partition.is_full and partition.unpublished_bytes * 2 < self._bytes_max:
            partition.is_full = False
            self._hold(partition, False)  # noqa: FBT003

    def _delivered_held(self, partition: Partition, row: HeldRow) -> None:
        row.under_way -= 1
        partition.held_under_way -= 1
        if row.is_out and not row.under_way:
            partition.begun.append(row.from_offset)
        self._settled.set()
