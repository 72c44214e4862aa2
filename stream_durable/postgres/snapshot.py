"""A consistent view of a schema: one read-only transaction with one snapshot.

The transaction may stay open for the time of a rebuild; meanwhile the server keeps deleted rows.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from stream_durable.core import entities
from stream_durable.ports import Digest, PartitionState, RowMark
from stream_durable.postgres.connection import connect, translated
from stream_durable.postgres.queries import queries
from stream_durable.replay.holes import Uneven
from stream_durable.replay.waits import Wait
from stream_durable.settings import PostgresSettings

#: The tables that make up the state, in the order in which differences are told.
TABLES = (*(table.name for table in entities.TABLES), "timer")
_MARKS = 5_000
#: The driver's own bound, which cannot be lifted, on a statement that the server does not bound.
_DAY_SECONDS = 86_400.0


class _Offsets(msgspec.Struct):
    """The column of evidence that is read here."""

    offsets: list[int]


_offsets = msgspec.json.Decoder(_Offsets).decode


@asynccontextmanager
async def snapshot(settings: PostgresSettings) -> AsyncIterator[Snapshot]:
    """Open a view of the present schema."""
    connection = await connect(settings)
    try:
        with translated():
            await connection.fetchrow(queries()["digest_limits"])
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield Snapshot(connection)
    finally:
        connection.terminate()


class Snapshot:
    """The state at the first query."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        """Query within the open transaction of this connection."""
        self._connection = connection

    async def partitions(self) -> list[PartitionState]:
        """Return where every partition stands."""
        return [PartitionState(*row) for row in await self._fetch("digest_partition")]

    async def is_empty(self) -> bool:
        """Return whether nothing was ever folded."""
        return bool(await self._connection.fetchval(queries()["digest_empty"]))

    async def digests(self) -> dict[tuple[str, int], Digest]:
        """Return a digest for each (table, partition) with rows."""
        return {
            (table, row["partition"]): Digest(row["rows"], int(row["high"]), int(row["low"]))
            for table in TABLES
            for row in await self._fetch(f"digest_{table}")
        }

    async def marks(self, table: str, partitions: Sequence[int]) -> AsyncGenerator[list[RowMark], None]:
        """Iterate over the rows of a table in these partitions, by key."""
        query = queries()[f"mark_{table}"]
        cursor = await self._connection.cursor(query, list(partitions), timeout=_DAY_SECONDS)
        while rows := await cursor.fetch(_MARKS, timeout=_DAY_SECONDS):
            yield [RowMark(tuple(row)[:-1], row[-1]) for row in rows]

    async def row(self, table: str, key: Sequence[str]) -> Mapping[str, Any] | None:
        """Return a row, column by column."""
        row = await self._connection.fetchrow(queries()[f"row_{table}"], *key)
        return None if row is None else dict(row)

    async def uneven(self, batches: int, limit: int) -> list[Uneven]:
        """Return stretches of evidence with missing offsets, from the newest batches of each partition."""
        rows = await self._fetch("evidence_uneven", batches, limit)
        return [Uneven(row[0], row[1], row[2], _offsets(row[3]).offsets) for row in rows]

    async def unwanted(self, limit: int) -> list[Wait]:
        """Return waits on channels that no step of a run is in."""
        return [Wait(*row) for row in await self._fetch("waits_unwanted", limit)]

    async def unanswered(self, waits: Sequence[Wait]) -> list[tuple[Wait, bool]]:
        """Return the waits unknown to their channel, and whether the channel keeps an event."""
        columns = zip(*waits, strict=True) if waits else ((), (), ())
        rows = await self._fetch("waits_unanswered", *map(list, columns))
        return [(Wait(*row[:3]), row["is_missed"]) for row in rows]

    async def _fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await self._connection.fetch(
            queries()[query], *arguments, timeout=_DAY_SECONDS
        )
        return found
