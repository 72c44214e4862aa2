"""The source of an intake: a topic, and the use of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from stream_durable.core.bindings import Bad
from stream_durable.core.orders import Order
from stream_durable.ports import LogBounds, Record
from stream_durable.wire.events import FromOutside


class Feed(Protocol):
    """A topic, and the use of records."""

    @property
    def topic(self) -> str:
        """The name as in `Outgoing`."""

    @property
    def origin(self) -> str:
        """The beginning of the reason of each dead letter."""

    @property
    def bad(self) -> Bad:
        """The treatment of unusable records."""

    async def first(self, partition: int, bounds: LogBounds) -> int:
        """Return where to begin in a partition without a position."""

    async def prepare(self, records: Sequence[Record]) -> None:
        """Make lookups for reading these records."""

    async def settled(self) -> None:
        """Wait until earlier orders to the log are carried out."""

    def skip_of(self, record: Record, topic_id: str) -> Order | None:
        """Return the order to go past this record, where an unusable record stops its partition."""

    def read(self, record: Record, own_id: str) -> FromOutside | None:
        """Return the message of a record; None: there is none. Raises for an unusable record."""
