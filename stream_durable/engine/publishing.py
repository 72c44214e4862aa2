"""Speak after saving: what a commit left in the outbox is published, in order, until it is acknowledged.

One call is under way at a time and takes all that has been saved meanwhile, so order needs no care
and bursts batch by themselves. A call that fails is made again, whole: the same ids and bytes, and
readers drop repeats. What is acknowledged leaves the outbox with a later commit of its partition. A
crash anywhere repeats at most what the outbox still holds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stream_durable.core.errors import MissingTopicError
from stream_durable.engine import outbox
from stream_durable.engine.partition import Partition
from stream_durable.persistence import persist
from stream_durable.ports import Headers, Outgoing, Publisher
from stream_durable.telemetry import WORLD_REFUSED, Metrics, logger

_log = logger(__name__)

#: A topic of our own that is missing is asked for again after this long.
_TOPIC_SECONDS = 2.0


class _Row(NamedTuple):
    """An outbox row of a partition that we own."""

    partition: Partition
    from_offset: int
    messages: list[Outgoing]


class Publishing:
    """Publishes outbox rows in the order in which they were saved."""

    def __init__(self, publisher: Publisher, source: str, metrics: Metrics, *, rows_max: int = 512) -> None:
        """Publish as `source`; more than `rows_max` rows that wait hold up the next commit."""
        self._publisher = publisher
        self._metrics = metrics
        self._source = source
        self._rows_max = rows_max
        self._waiting: deque[_Row] = deque()
        metrics.outbox_rows.set_function(self._waiting.__len__)
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, partition: Partition, from_offset: int, messages: list[Outgoing]) -> None:
        """Take a row that has been saved."""
        self._waiting.append(_Row(partition, from_offset, messages))
        self._idle.clear()
        self._wake.set()
        if len(self._waiting) >= self._rows_max:
            self._room.clear()

    async def room(self) -> None:
        """Wait until the broker has caught up with us."""
        await self._room.wait()

    async def said(self) -> None:
        """Wait until everything that was saved has been acknowledged."""
        await self._idle.wait()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                rows = list(self._waiting)
                self._waiting.clear()
                self._room.set()
                await self._publish(rows)
            self._idle.set()

    async def publish_left(self, partition: Partition, rows: Iterable[tuple[int, bytes]]) -> None:
        """Publish what the last owner saved and may not have said, before anything new is said."""
        left = [_Row(partition, offset, outbox.unpack(body)) for offset, body in rows]
        if left:
            await self._publish(left)

    async def publish_now(self, messages: list[Outgoing]) -> None:
        """Publish what no outbox holds, before anything new is said."""
        source = self._source
        made = [outbox.with_headers(message, source) for message in messages]
        started = time.perf_counter()
        while missing := await self._attempt(made):
            if not all(outbox.is_commands(topic) for topic in missing):
                # Somebody has to make what we cannot do without; that can be waited for.
                await asyncio.sleep(_TOPIC_SECONDS)
            made = [outbox.sendable(one, missing) for one in made]
        self._metrics.publish_seconds.observe(time.perf_counter() - started)

    async def _attempt(self, made: Sequence[tuple[Outgoing, Headers | None]]) -> frozenset[str]:
        """Publish; return the topics that there are none of, if that is why not all is published."""
        try:
            await persist(lambda: self._publisher.publish(made), "publish", unless=MissingTopicError)
        except MissingTopicError as error:
            _log.warning(WORLD_REFUSED, reason=str(error), doing="publish")
            return error.topics
        return frozenset()

    async def _publish(self, rows: list[_Row]) -> None:
        await self.publish_now([message for row in rows for message in row.messages])
        for row in rows:
            row.partition.published.append(row.from_offset)
