"""The engine's store: claims, batches and rows, one named statement each.

Three connections: for the strictly sequential batch loop; for takeovers and timers, so that a takeover
neither waits behind a batch nor delays one; and for the lock proving that this process lives.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg

from stream_durable.core.entities import ENTITIES, RARE_ROWS, SELDOM_ROWS, USUAL_ROWS
from stream_durable.core.errors import NewerFormatError, TransientError
from stream_durable.core.format import FORMAT
from stream_durable.core.run.rows import RunRow, StepRow
from stream_durable.core.run.signal_rows import SignalRow
from stream_durable.core.tables import Table
from stream_durable.ports import (
    NOTHING_OWNED,
    Attendance,
    Claim,
    Cursor,
    Keys,
    Loaded,
    Owned,
    RunPosition,
    Share,
    TimerPosition,
    check_owned,
)
from stream_durable.postgres.connection import Lane
from stream_durable.postgres.queries import queries, usual, without_rare
from stream_durable.settings import PostgresSettings

#: So many of a batch's arguments are what the usual statement takes, and so many, the last ones, are rare.
_USUAL = 5
_RARE = len(RARE_ROWS) + 2
_ROWS = (*USUAL_ROWS, *SELDOM_ROWS, *RARE_ROWS)


class PostgresStore:
    """State in a Postgres schema."""

    def __init__(self, settings: PostgresSettings) -> None:
        """Connect when first needed, to a schema that was found to be there."""
        self._batches = Lane(settings, keyed_plans=True, is_migrated=True)
        self._takeovers = Lane(settings, keyed_plans=True, is_migrated=True)
        self._presence = Lane(settings, keyed_plans=False, is_migrated=True)
        #: Under which we are present, and the connection that says so.
        self._number = secrets.randbelow(1 << 31)
        self._present: asyncpg.Connection | None = None
        #: Of which connection they are, and the usual statement, the one for most batches, and the whole one.
        self._commits: tuple[asyncpg.Connection, list[asyncpg.prepared_stmt.PreparedStatement]] | None = None

    def trouble(self) -> str | None:
        """Say why the database refuses everybody, if it does, as far as the last calls show."""
        return self._batches.trouble() or self._takeovers.trouble()

    async def attend(self) -> Attendance:
        """Hold a lock while this connection lasts, and return the holders of locks."""
        async with self._presence.use() as connection:
            # Where a connection that we have lost still holds it, that one speaks for us until it ends.
            if self._present is not connection and await connection.fetchval(
                queries()["presence_hold"], self._number
            ):
                self._present = connection
            found = await connection.fetch(queries()["presence_look"])
        living = found[0]["numbers"] if found else []
        orphans = {row["id"]: row["epoch"] for row in found if row["id"] is not None} if living else {}
        return Attendance(self._number, frozenset(living), orphans)

    async def claim(self, partition: int, owner: str, token: UUID, knows: int = FORMAT) -> Claim:
        """Become the owner of a partition, unless the format is beyond the owner's knowledge."""
        claim = await self._claim(partition, owner, token, knows, None)
        if claim is None:
            raise TransientError(f"the schema has no partition {partition}: run `stream-durable db migrate`")
        return claim

    async def adopt(
        self, partition: int, epoch: int, owner: str, token: UUID, knows: int = FORMAT
    ) -> Claim | None:
        """Do the same, if the partition is still of this epoch."""
        return await self._claim(partition, owner, token, knows, epoch)

    async def _claim(
        self, partition: int, owner: str, token: UUID, knows: int, epoch: int | None
    ) -> Claim | None:
        number = None if self._present is None else self._number
        async with self._takeovers.use() as connection:
            row = await connection.fetchrow(
                queries()["partition_claim"], partition, owner, token, knows, number, epoch
            )
            if row is None:
                found = await connection.fetchval(queries()["partition_format"], partition)
                if found is not None and found > knows:
                    raise NewerFormatError(f"partition {partition}", found, knows)
                return None
            left = await connection.fetch(queries()["outbox_left"], partition)
            held = await connection.fetch(queries()["backlog_left"], partition)
        return Claim(
            partition, row["epoch"], row["next_offset"], row["log_clock"], row["topic_id"],
            row["leader_epoch"], row["fingerprint"], row["generation"], row["stalls"],
            [(r["from_offset"], r["body"]) for r in left], row["must_redrive"],
            row["format"], tuple((r["from_offset"], r["commands"]) for r in held),
        )  # fmt: skip

    async def identify(self, partition: int, token: UUID, topic_id: str) -> None:
        """Record the identity of a partition's log."""
        async with self._takeovers.use() as connection:
            await connection.execute(queries()["partition_identify"], partition, token, topic_id)

    async def lose(self, partition: int, token: UUID, reason: str) -> None:
        """Mark a partition as stopped after the loss of the log."""
        async with self._takeovers.use() as connection:
            await connection.execute(queries()["partition_lose"], partition, token, reason)

    async def must_redrive(
        self, partition: int, token: UUID, *, is_due: bool, commands: bool = False,
        successor: UUID | None = None,
    ) -> None:  # fmt: skip
        """Record whether outstanding work, or commands alone, must be requested again."""
        async with self._takeovers.use() as connection:
            if commands:
                query = queries()["partition_must_redrive_commands"]
                await connection.execute(query, partition, token, is_due, successor)
            else:
                await connection.execute(queries()["partition_must_redrive"], partition, token, is_due)

    async def suspect(self, partition: int, token: UUID, offset: int) -> int:
        """Record the start of folding a record alone."""
        async with self._takeovers.use() as connection:
            return await connection.fetchval(queries()["partition_suspect"], partition, token, offset) or 0

    async def absolve(self, partition: int, token: UUID) -> None:
        """Clear the suspicion of records."""
        async with self._takeovers.use() as connection:
            await connection.execute(queries()["partition_absolve"], partition, token)

    async def new_generation(
        self, partition: int, token: UUID, topic_id: str, next_offset: int, reason: str
    ) -> int | None:
        """Go on with another log."""
        async with self._takeovers.use() as connection:
            query = queries()["partition_new_generation"]
            generation: int | None = await connection.fetchval(
                query, partition, token, topic_id, next_offset, reason
            )
            return generation

    async def commit(self, shares: Sequence[Share]) -> bool:
        """Write all shares with one statement, or nothing."""
        arguments = commit_arguments(shares)
        async with self._batches.use() as connection:
            if self._commits is None or self._commits[0] is not connection:
                query = queries()["batch_commit"]
                statements = (usual(query), without_rare(query), query)
                self._commits = connection, [await connection.prepare(q) for q in statements]
            short, longer, whole = self._commits[1]
            if any(arguments[-_RARE:]):
                return bool(await whole.fetchval(*arguments))
            if any(arguments[_USUAL:-_RARE]):
                return bool(await longer.fetchval(*arguments[:-_RARE]))
            return bool(await short.fetchval(*arguments[:_USUAL]))

    async def cursors(self, partitions: Sequence[int]) -> dict[int, Cursor]:
        """Read owner and position of these partitions."""
        async with self._batches.use() as connection:
            found = await connection.fetch(queries()["partition_cursors"], partitions)
        return {row[0]: Cursor(*row[1:]) for row in map(tuple, found)}

    async def backlog_row(self, partition: int, from_offset: int) -> bytes | None:
        """Return held commands."""
        async with self._takeovers.use() as connection:
            body: bytes | None = await connection.fetchval(queries()["backlog_row"], partition, from_offset)
            return body

    async def load(self, keys: Keys, owned: Owned = NOTHING_OWNED) -> Loaded:
        """Read entities: a query for each table, for runs only tables with rows; for found rows one more."""
        # The tokens are read last and by the same connection, which no restored database outlives.
        found: dict[type[Any], Sequence[Any]] = {}
        async with self._batches.use() as connection:
            for kind, wanted in keys.items():
                for table in ENTITIES[kind].tables:
                    if table.is_loaded and (asked := _asked(table, wanted, found)):
                        found[table.row] = await connection.fetch(queries()[f"{table.name}_load"], asked)
            if owned and any(found.values()):
                rows = await connection.fetch(queries()["partition_cursors"], list(owned))
                check_owned(owned, {row[0]: row[1] for row in rows})
        return found

    async def timers(
        self, partition: int, after: TimerPosition, until: int, limit: int
    ) -> list[TimerPosition]:
        """Return the next timers of a partition."""
        async with self._takeovers.use() as connection:
            found = await connection.fetch(queries()["timer_window"], partition, *after, until, limit)
        return [(row[0], row[1], row[2], row[3]) for row in found]

    async def unfinished(self, partition: int, after: RunPosition, limit: int) -> list[RunPosition]:
        """Return runs not yet ended."""
        async with self._takeovers.use() as connection:
            found = await connection.fetch(queries()["run_unfinished"], partition, *after, limit)
        return [RunPosition(*row) for row in found]

    async def close(self) -> None:
        """Let go of the connections."""
        for lane in (self._batches, self._takeovers, self._presence):
            await lane.close()


def commit_arguments(shares: Sequence[Share]) -> list[list[Any]]:
    """Return the rows of a batch as arguments of the statement, rare kinds last."""
    rows: dict[type[Any], list[Any]] = {row: [] for row in _ROWS}
    for share in shares:
        for kind, those in share.rows.items():
            rows[kind] += those
    return [
        [
            (s.partition, s.token, s.from_offset, s.to_offset, s.clock, s.leader_epoch, s.fingerprint,
             s.generation, s.evidence, s.exceptions, s.outbox, s.format)
            for s in shares
        ],
        *map(rows.__getitem__, USUAL_ROWS),
        [(s.partition, offset) for s in shares for offset in s.published],
        [row for s in shares for row in s.timers],
        [row for s in shares for row in s.dead],
        *map(rows.__getitem__, SELDOM_ROWS),
        *map(rows.__getitem__, RARE_ROWS),
        [(s.partition, s.from_offset, s.held_count, s.held) for s in shares if s.held is not None],
        [(s.partition, offset) for s in shares for offset in s.begun],
    ]  # fmt: skip


def _asked(table: Table, keys: Sequence[str], found: Mapping[type[Any], Sequence[Any]]) -> Sequence[str]:
    """Return the entities to read from a table: for runs, as indicated by their rows."""
    if table.row is StepRow:
        return [row["id"] for row in found.get(RunRow, ())]
    if table.row is SignalRow:
        return [row["id"] for row in found.get(RunRow, ()) if row["mail"] == b""]
    return keys
