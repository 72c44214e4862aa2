"""The ingress: moves records from the events topic, and from bound topics of others, to the inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from stream_durable.core.bindings import Bad
from stream_durable.engine.bound import BoundTopics
from stream_durable.engine.intake import Intake
from stream_durable.metrics import Metrics
from stream_durable.ports import Catalogue, CommandLog, LogBounds, Publisher, Record
from stream_durable.wire.events import FromOutside
from stream_durable.wire.records import read as read_record
from stream_durable.wire.tokens import NO_TOKENS, Tokens
from stream_durable.wire.topics import EVENTS


class _Events:
    """The events topic, read from its first record on."""

    topic = EVENTS
    origin = ""
    bad: Bad = "dead"

    def __init__(self, ttl_ms: int) -> None:
        self._ttl_ms = ttl_ms

    async def first(self, partition: int, bounds: LogBounds) -> int:
        return bounds.low

    async def prepare(self, records: Sequence[Record]) -> None:
        """Nothing is to be looked up."""

    async def settled(self) -> None:
        """Reading never stops at a record."""

    def skip_of(self, record: Record, topic_id: str) -> None:
        """Reading never stops at a record."""

    def read(self, record: Record, own_id: str) -> FromOutside:
        return read_record(
            record.key, record.value, record.headers, own_id=own_id, ttl_ms=self._ttl_ms, time=record.time
        )


class Ingress:
    """Serves assigned partitions of the events topic, and bindings."""

    def __init__(
        self,
        log: CommandLog,
        publisher: Publisher,
        catalogue: Catalogue,
        metrics: Metrics,
        *,
        ttl_ms: int,
        bytes_max: int = 16_000_000,
        tokens: Tokens = NO_TOKENS,
        bound: BoundTopics | None = None,
    ) -> None:
        """Take nothing yet; events without a wait are kept for `ttl_ms`.

        A partition waits while more than `bytes_max` lack an acknowledgement from the inbox.
        """
        self._events = Intake(
            log, _Events(ttl_ms), publisher, catalogue, metrics, bytes_max=bytes_max, tokens=tokens
        )
        self._bound = bound

    @property
    def partitions(self) -> list[int]:
        """The partitions of the events topic being read."""
        return self._events.partitions

    @property
    def is_member(self) -> bool:
        """Whether the group of the events topic has taken us in, with partitions or to stand by."""
        return self._events.is_member

    async def run(self) -> None:
        """Move records until cancelled; acknowledged records are committed."""
        if self._bound is None:
            await self._events.run()
            return
        bound = asyncio.create_task(self._bound.run())
        try:
            await self._events.run()
        finally:
            bound.cancel()
            await asyncio.gather(bound, return_exceptions=True)
