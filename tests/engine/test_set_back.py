"""The database is put back to an earlier moment under a live instance: what was lost is folded again."""

import asyncpg
import pytest
from instances import running, settings_of
from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.local.kafka import LocalKafka
from stream_durable.postgres.snapshot import TABLES

pytestmark = pytest.mark.real

notes = Workflow("note")


@notes.step
async def write() -> str:
    return "written"


APP = App("set-back", workflows=[notes])
#: What a restored backup has as it was.
RESTORED = ("partition", *TABLES, "evidence", "outbox")


async def test_partitions_that_get_no_record_notice_it_too(
    kafka_broker: LocalKafka, database: str, prefix: str
) -> None:
    settings = settings_of(kafka_broker, database, prefix)
    connection = await asyncpg.connect(database)
    try:
        async with running(settings, APP) as instance:
            await connection.execute(f"set search_path = {settings.postgres.db_schema}")
            first = await instance.client.start(notes, id="first")
            await first.result(timeout="90s")
            async with connection.transaction(isolation="repeatable_read"):
                for table in RESTORED:
                    await connection.execute(f"create table kept_{table} as table {table}")
            runs = [await instance.client.start(notes, id=f"run-{i}") for i in range(20)]
            for run in runs:
                assert await run.result(timeout="90s") == "written"

            async with connection.transaction():
                await connection.execute(f"lock table {', '.join(RESTORED)}")
                for table in RESTORED:
                    await connection.execute(f"delete from {table}")
                    await connection.execute(f"insert into {table} select * from kept_{table}")
            assert await connection.fetchval("select count(*) from run") == 1

            async def are_back() -> bool:
                done = await connection.fetchval("select count(*) from run where status = 'completed'")
                return bool(done == 21)

            await eventually(are_back, "all runs have been folded again", seconds=60)
    finally:
        await connection.close()
