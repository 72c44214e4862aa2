"""The state as a whole, for replays."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from stream_durable.ports.partitions import PartitionState


class Digest(NamedTuple):
    """A number identifying a set of rows, in any order.

    The number of rows, and the sums over both halves of a 128-bit hash of each row. Sums do not depend on
    order; exact sums, unlike exclusive or, do not cancel out for two errors.
    """

    rows: int
    high: int
    low: int


class RowMark(NamedTuple):
    """A row by primary key, with the hash of the whole row."""

    key: tuple[str, ...]
    hash: str


class State(Protocol):
    """A consistent view of everything folded; time stands still while open."""

    async def partitions(self) -> list[PartitionState]:
        """Return where every partition stands."""

    async def is_empty(self) -> bool:
        """Return whether nothing was ever folded."""

    async def digests(self) -> dict[tuple[str, int], Digest]:
        """Return a digest for each (table, partition) with rows."""

    def marks(self, table: str, partitions: Sequence[int]) -> AsyncGenerator[list[RowMark], None]:
        """Iterate over the rows of a table in these partitions, by key, in bounded batches."""

    async def row(self, table: str, key: Sequence[str]) -> Mapping[str, Any] | None:
        """Return a row, column by column."""
