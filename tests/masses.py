"""A schema for masses of timers, and a store that counts what it reads of them."""

from __future__ import annotations

from stream_durable.ports import TimerPosition
from stream_durable.postgres.store import PostgresStore

SCHEMA = "masses"
NOW = 1_764_000_000_000


class Counting(PostgresStore):
    """Counts the queries for timers, and the rows that they brought."""

    queries = rows = 0

    async def timers(
        self, partition: int, after: TimerPosition, until: int, limit: int
    ) -> list[TimerPosition]:
        found = await super().timers(partition, after, until, limit)
        self.queries, self.rows = self.queries + 1, self.rows + len(found)
        return found
