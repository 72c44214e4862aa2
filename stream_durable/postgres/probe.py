"""Asks whether the database answers."""

from __future__ import annotations

from stream_durable.postgres.connection import Lane
from stream_durable.postgres.queries import queries
from stream_durable.settings import PostgresSettings


class PostgresProbe:
    """A separate connection, so that checks wait behind no batch."""

    def __init__(self, settings: PostgresSettings) -> None:
        """Connect when first asked."""
        self._lane = Lane(settings, keyed_plans=False)

    async def ask(self) -> None:
        """Raise TransientError if the database does not answer."""
        async with self._lane.use() as connection:
            await connection.fetchval(queries()["partition_count"])

    async def close(self) -> None:
        """Let go of the connection."""
        await self._lane.close()
