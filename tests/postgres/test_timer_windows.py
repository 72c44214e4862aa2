"""A partition with very many timers is taken over with one short query of its index."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import asyncpg
import pytest
from masses import NOW, SCHEMA

from stream_durable.ports import TimerPosition
from stream_durable.postgres.queries import queries
from stream_durable.postgres.store import PostgresStore
from stream_durable.settings import PostgresSettings

pytestmark = pytest.mark.real

COUNT = 300_000
START: TimerPosition = (-1, "channel", "", "")


@pytest.fixture
async def server(settings: PostgresSettings, database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database)
    # Of two partitions in turn, a millisecond apart, from a minute on.
    await connection.execute(
        f"insert into {SCHEMA}.timer (kind, key, name, partition, due) "
        f"select 'run', 'r' || n, '', n % 2, {NOW} + 60000 + n from generate_series(1, {COUNT}) n"
    )
    await connection.execute(f"analyze {SCHEMA}.timer")
    yield connection
    await connection.close()


async def test_a_window_costs_its_rows_whatever_stands_behind(
    store: PostgresStore, server: asyncpg.Connection
) -> None:
    begin = time.monotonic()
    assert await store.timers(0, START, NOW + 60_000, 50_000) == []
    near = await store.timers(0, START, NOW + 61_000, 50_000)
    full = await store.timers(0, START, NOW + 10**9, 6_250)
    # Two orders of magnitude above what it takes on an idle machine.
    assert time.monotonic() - begin < 20

    assert [due for due, *_ in near] == [NOW + 60_000 + n for n in range(2, 1_001, 2)]
    assert [due for due, *_ in full] == [NOW + 60_000 + n for n in range(2, 12_501, 2)]
    following = await store.timers(0, full[-1], NOW + 10**9, 1)
    assert following == [(NOW + 72_502, "run", "r12502", "")]


async def test_a_window_is_read_in_the_order_of_the_index(server: asyncpg.Connection) -> None:
    await server.execute(f"set search_path to {SCHEMA}")
    explained = await server.fetch(
        "explain (analyze, buffers, timing off) " + queries()["timer_window"], 0, *START, NOW + 10**9, 100
    )

    plan = "\n".join(row[0] for row in explained)
    assert "using timer_due on timer" in plan, plan
    assert "Sort" not in plan, plan
    assert "Rows Removed by Filter" not in plan, plan
