"""Migrations go on where they stopped, lead to one schema by every way, and hold up nobody who writes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from stream_durable.bench.migrating import measure
from stream_durable.core.errors import BrokenError
from stream_durable.postgres.migrate import LOCK_MS, check, migrate
from stream_durable.postgres.migration_files import Migration, migrations
from stream_durable.settings import PostgresSettings

pytestmark = pytest.mark.real

FIRST_SHIPPED = (Path(__file__).parent / "0002_as_first_shipped.sql").read_text()
SECONDS = 60.0


@pytest.fixture
def settings(empty_database: str) -> PostgresSettings:
    return PostgresSettings(dsn=empty_database, db_schema="growing")


@pytest.fixture
async def server(empty_database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(empty_database, server_settings={"search_path": "growing"})
    yield connection
    await connection.close()


async def shape(server: asyncpg.Connection) -> list[Any]:
    """Everything that the schema is made of."""
    columns = await server.fetch(
        "select c.relname, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod),"
        " a.attnotnull, a.attstorage, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum),"
        " obj_description(c.oid)"
        " from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0"
        " left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum"
        " where c.relnamespace = 'growing'::regnamespace order by 1, 3"
    )
    indexes = await server.fetch(
        "select pg_get_indexdef(i.indexrelid), i.indisvalid from pg_index i"
        " join pg_class c on c.oid = i.indrelid where c.relnamespace = 'growing'::regnamespace order by 1"
    )
    constraints = await server.fetch(
        "select conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated from pg_constraint"
        " where connamespace = 'growing'::regnamespace order by 1, 2"
    )
    return [tuple(row) for rows in (columns, indexes, constraints) for row in rows]


async def made_at_once(settings: PostgresSettings, server: asyncpg.Connection) -> list[Any]:
    await migrate(settings, 4)
    found = await shape(server)
    await server.execute("drop schema growing cascade")
    return found


async def as_first_shipped(server: asyncpg.Connection) -> None:
    old = Migration(2, "0002_expand_language.sql", FIRST_SHIPPED)
    await server.execute(FIRST_SHIPPED)
    await server.execute("insert into schema_migration values (2, $1, $2)", old.name, old.checksum)
    await server.execute("drop table schema_migration_step")


async def test_every_way_leads_to_the_same_schema(
    settings: PostgresSettings, server: asyncpg.Connection
) -> None:
    expected = await made_at_once(settings, server)

    await migrate(settings, 4, last=1)
    await migrate(settings, 4)
    assert await shape(server) == expected
    noted = await server.fetchval("select checksum from schema_migration where version = 2")
    assert noted == Migration(2, "", FIRST_SHIPPED).checksum, "an older release takes it for its own"
    await server.execute("drop schema growing cascade")

    await migrate(settings, 4, last=1)
    await as_first_shipped(server)
    assert await migrate(settings, 4) == [m.name for m in migrations() if m.version > 2]
    assert await shape(server) == expected
    assert await check(settings) == []


@pytest.mark.parametrize("broken_off", range(1, len(migrations()[1].steps)))
async def test_a_migration_that_was_broken_off_goes_on_where_it_was(
    settings: PostgresSettings, server: asyncpg.Connection, broken_off: int
) -> None:
    expected = await made_at_once(settings, server)
    await migrate(settings, 4, last=1)
    second = migrations()[1]
    said: list[str] = []

    def until(line: str) -> None:
        if ", step " not in line or line.endswith("so far"):
            # A wait for the lock, or for a step that takes long, is reported in between.
            return
        said.append(line)
        if len(said) > broken_off:
            raise KeyError("broken off")

    with pytest.raises(KeyError):
        await migrate(settings, 4, say=until)
    pending = await check(settings)

    left = [step.name for step in second.steps[broken_off:]]
    assert pending[0] == f"{second.name} (left of it: {', '.join(left)})"
    said.clear()
    await migrate(settings, 4, say=said.append)
    steps = [line for line in said if ", step " in line]
    assert steps[0].endswith(f"step {broken_off + 1} of {len(second.steps)}: {left[0]}")
    assert await shape(server) == expected


async def test_an_index_that_was_left_half_built_is_built_anew(
    settings: PostgresSettings, server: asyncpg.Connection, empty_database: str
) -> None:
    expected = await made_at_once(settings, server)
    await migrate(settings, 4, last=1)
    other = await asyncpg.connect(empty_database, server_settings={"search_path": "growing"})
    transaction = other.transaction(isolation="repeatable_read")
    await transaction.start()
    await other.fetch("select * from run")
    # It waits for the transaction, gives up, and leaves the index behind, as a crash would.
    await server.execute("set statement_timeout = '500ms'")
    with pytest.raises(asyncpg.QueryCanceledError):
        await server.execute("create index concurrently run_created_alone on run (created)")
    await other.close()
    assert [row for row in await shape(server) if row[1] is False]

    await migrate(settings, 4)

    assert await shape(server) == expected


async def test_several_migrate_at_once(settings: PostgresSettings, server: asyncpg.Connection) -> None:
    expected = await made_at_once(settings, server)
    await migrate(settings, 4, last=1)

    applied = await asyncio.gather(*(migrate(settings, 4) for _ in range(4)))

    assert sorted(map(len, applied)) == [0, 0, 0, len(migrations()) - 1]
    assert await shape(server) == expected


async def test_who_writes_is_not_held_up_behind_a_migration_that_waits(
    settings: PostgresSettings, server: asyncpg.Connection, empty_database: str
) -> None:
    await migrate(settings, 4, last=1)
    reader = await asyncpg.connect(empty_database, server_settings={"search_path": "growing"})
    transaction = reader.transaction()
    await transaction.start()
    await reader.fetch("select * from run")
    said: list[str] = []
    migrating = asyncio.create_task(migrate(settings, 4, say=said.append))
    try:
        async with asyncio.timeout(SECONDS):
            slow = 0
            for _ in range(20):
                loop = asyncio.get_running_loop()
                since = loop.time()
                # Needs a lock that the waiting migration's lock excludes: it queues behind it.
                await server.execute("update run set updated = updated where id = 'none'")
                slow += loop.time() - since > LOCK_MS / 1_000 + 2
                await server.execute("select pg_sleep(0.05)")
            assert not migrating.done()
            assert not slow
            await transaction.rollback()
            assert len(await migrating) == len(migrations()) - 1
    finally:
        migrating.cancel()
        await reader.close()


async def test_who_writes_is_not_held_up_by_a_migration_of_many_rows(settings: PostgresSettings) -> None:
    said: list[str] = []

    before, during = await measure(settings, 60_000, quiet=2, say=said.append)

    assert before.commits
    assert during.commits > 20, "commits went on"
    # Of a migration that locks the tables, the longest commit takes as long as all of it.
    assert during.longest < max(1_000, 500 * during.seconds), (said, before, during)
    assert await check(settings) == []


async def test_a_file_that_was_changed_is_refused(
    settings: PostgresSettings, server: asyncpg.Connection
) -> None:
    await migrate(settings, 4)
    await server.execute("update schema_migration set checksum = 'another' where version = 2")

    with pytest.raises(BrokenError, match="was changed after it had been applied"):
        await check(settings)
