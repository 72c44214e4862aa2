"""What clients read of the state.

A few connections, opened when needed: the one given back last is lent first, so that a quiet client
has one. Reads by key see whatever a reconciler has committed; a run and its steps are read in one
snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from stream_durable.core.rows import RunRow, StepRow
from stream_durable.ports import RunPage, RunPosition, RunSummary, StoredRun
from stream_durable.postgres.connection import Lane
from stream_durable.postgres.queries import queries
from stream_durable.settings import PostgresSettings

_CONNECTIONS = 4
#: Beyond every run there can be.
_NEWEST = RunPosition((1 << 63) - 1, "")

#: Sorts behind every text that may follow the beginning of an id.
_LAST = "\U0010ffff"


class PostgresViews:
    """The read models of one Postgres schema."""

    def __init__(self, settings: PostgresSettings) -> None:
        """Connect when first needed."""
        self._lanes = [Lane(settings, keyed_plans=False) for _ in range(_CONNECTIONS)]
        self._idle: asyncio.LifoQueue[Lane] = asyncio.LifoQueue()
        for lane in self._lanes:
            self._idle.put_nowait(lane)

    async def run_get(self, run: str) -> RunRow | None:
        """Return a run without its steps."""
        async with self._connection() as connection:
            row = await connection.fetchrow(queries()["run_load"], [run])
        return None if row is None else RunRow._make(row)

    async def run_with_steps(self, run: str) -> StoredRun | None:
        """Return a run and its steps, as they were at one moment."""
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            row = await connection.fetchrow(queries()["run_load"], [run])
            steps = [] if row is None else await connection.fetch(queries()["step_load"], [run])
        return None if row is None else StoredRun(RunRow._make(row), list(map(StepRow._make, steps)))

    async def run_list(
        self,
        *,
        status: Sequence[str] = (),
        workflow: str | None = None,
        limit: int = 50,
        after: RunPosition | None = None,
    ) -> RunPage:
        """Return a page of runs, newest first."""
        position = after or _NEWEST
        async with self._connection() as connection:
            # One more than asked for tells whether there are more.
            found = await connection.fetch(
                queries()["view_run_list"], list(status) or None, workflow, *position, limit + 1
            )
        runs = [RunSummary._make(row) for row in found[:limit]]
        following = RunPosition(runs[-1].created, runs[-1].id) if len(found) > limit and runs else None
        return RunPage(runs, following)

    async def step_list(self, run: str, *, after: str = "", limit: int = 1_000) -> list[StepRow]:
        """Return a page of the steps of a run that have a row, by name."""
        async with self._connection() as connection:
            found = await connection.fetch(queries()["view_step_list"], run, after, limit)
        return list(map(StepRow._make, found))

    async def run_ids(self, beginning: str, limit: int) -> list[str]:
        """Return ids of runs that begin like this, in order."""
        async with self._connection() as connection:
            found = await connection.fetch(queries()["view_run_ids"], beginning, beginning + _LAST, limit)
        return [row[0] for row in found]

    async def close(self) -> None:
        """Let go of the connections."""
        for lane in self._lanes:
            await lane.close()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        lane = await self._idle.get()
        try:
            async with lane.use() as connection:
                yield connection
        finally:
            self._idle.put_nowait(lane)
