"""What the database refuses: the record that is to blame is set aside, nobody else is, and others go on."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
from instances import Instance, running, settings_of
from waiting import eventually

from stream_durable import App, Workflow
from stream_durable.core.errors import TransientError
from stream_durable.core.ids import partition_of
from stream_durable.local.kafka import LocalKafka
from stream_durable.postgres.connection import Lane
from stream_durable.settings import Settings

pytestmark = pytest.mark.real

notes = Workflow("note")
SECRET = "4111-1111"


@notes.step
async def write(input: str) -> str:  # noqa: A002 - the name that binds it
    return input


APP = App("refusing", workflows=[notes])

#: Refuses a row that one record makes, as a column does that is too narrow for it.
TRIGGER = """
create function refuse() returns trigger language plpgsql as $$
begin
  if new.id = 'bad' then
    raise exception 'cannot hold %', convert_from(new.input, 'UTF8') using errcode = '22001';
  end if;
  return new;
end $$;
create trigger refusing before insert on run for each row execute function refuse();
"""


END_OTHERS = """
select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = $1
"""


@pytest.fixture
def settings(kafka_broker: LocalKafka, database: str, prefix: str) -> Settings:
    return settings_of(kafka_broker, database, prefix)


@pytest.fixture
async def admin(settings: Settings, database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(
        database,
        server_settings={"search_path": settings.postgres.db_schema, "default_transaction_read_only": "off"},
    )
    yield connection
    await connection.close()


def begun(instance: Instance, ids: list[str]) -> "asyncio.Task[list[str]]":
    """Start runs and wait for what they come to, however long their start takes."""

    async def one(run: str) -> str:
        handle = await instance.client.start(notes, SECRET, id=run)
        output: str = await handle.result()
        return output

    return asyncio.create_task(asyncio.wait_for(asyncio.gather(*map(one, ids)), 60))  # type: ignore[arg-type]


def refused(instance: Instance, *codes: str) -> float:
    name = "stream_durable_commits_refused_total"
    found = [instance.metrics.registry.get_sample_value(name, {"code": code}) for code in codes]
    return sum(each or 0.0 for each in found)


async def test_a_record_that_cannot_be_stored_is_set_aside_alone(
    settings: Settings, admin: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(settings, APP) as instance:
        await admin.execute(TRIGGER)
        hopeless = begun(instance, ["bad"])

        assert await begun(instance, [f"good-{i}" for i in range(60)]) == [SECRET] * 60

        [letter] = await instance.dead_letters(1)
        assert (letter.code, letter.key) == ("unstorable", b"bad")
        assert "22001" in letter.reason
        found = await admin.fetch("select code, reason, key from dead_letter")
        assert [row["code"] for row in found if row["code"] != "unknown_run"] == ["unstorable"], found
        # Its first step may have been called ahead of the commit: the result finds no run.
        assert {row["key"] for row in found} == {b"bad"}
        hopeless.cancel()
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [
        ("alter table run add constraint nosy check (status <> 'completed') not valid",
         "alter table run drop constraint nosy"),
        ("alter table step rename column worker to hand", "alter table step rename column hand to worker"),
        ("alter table step rename to stage", "alter table stage rename to step"),
    ],
    ids=["a constraint of somebody's", "a column that is gone", "a table that is gone"],
)  # fmt: skip
async def test_what_is_nobodys_fault_is_waited_for_and_buries_nothing(
    settings: Settings, admin: asyncpg.Connection, breaks: str, mends: str
) -> None:
    async with running(settings, APP) as instance:
        assert await begun(instance, ["before"]) == [SECRET]
        await admin.execute(breaks)

        runs = begun(instance, [f"run-{i}" for i in range(20)])

        async def has_refused() -> bool:
            return refused(instance, "systemic", "statement") >= 3

        await eventually(has_refused, "the database has refused", seconds=60)
        await admin.execute(mends)
        assert await runs == [SECRET] * 20
        assert await admin.fetchval("select count(*) from dead_letter") == 0
        assert await admin.fetchval("select max(suspicions) from partition") == 0


async def test_a_row_that_somebody_refuses_holds_its_own_partition_alone(
    settings: Settings, admin: asyncpg.Connection
) -> None:
    """A trigger of somebody's says nothing about the record, and nothing about the others."""
    async with running(settings, APP) as instance:
        await admin.execute(TRIGGER.replace("22001", "P0001"))
        ids = [f"run-{i}" for i in range(40)]
        homes = {run: partition_of(run, settings.kafka.partitions) for run in [*ids, "bad"]}
        held = begun(instance, ["bad", *(run for run in ids if homes[run] == homes["bad"])])
        others = [run for run in ids if homes[run] != homes["bad"]]

        assert await begun(instance, others) == [SECRET] * len(others)
        await admin.execute("drop trigger refusing on run")

        assert set(await held) == {SECRET}
        assert await admin.fetchval("select count(*) from dead_letter") == 0


async def test_a_row_that_should_not_be_there_holds_its_own_partition_alone(
    settings: Settings, admin: asyncpg.Connection
) -> None:
    """Somebody has put back a table, say: a key of ours is taken, and no process has to end for it."""
    async with running(settings, APP) as instance:
        assert await begun(instance, ["before"]) == [SECRET]
        ids = [f"run-{i}" for i in range(40)]
        home = partition_of(ids[0], settings.kafka.partitions)
        await admin.execute(
            "insert into evidence (partition, generation, from_offset, to_offset, clock, exceptions, records)"
            " select id, 0, o, o + 1, 0, 0, '' from partition, "
            "generate_series(next_offset, next_offset + 40) o where id = $1",
            home,
        )
        taken = begun(instance, [run for run in ids if partition_of(run, settings.kafka.partitions) == home])
        others = [run for run in ids if partition_of(run, settings.kafka.partitions) != home]

        assert await begun(instance, others) == [SECRET] * len(others)
        assert not taken.done()
        assert refused(instance, "statement") > 0
        await admin.execute("delete from evidence where partition = $1 and records = ''", home)

        assert set(await taken) == {SECRET}
        assert await admin.fetchval("select count(*) from dead_letter") == 0


async def test_a_read_only_database_is_waited_for(settings: Settings, admin: asyncpg.Connection) -> None:
    name = await admin.fetchval("select current_database()")

    async def become_read_only(value: str) -> None:
        await admin.execute(f"alter database {name} set default_transaction_read_only = {value}")
        await admin.fetch(END_OTHERS, name)

    async with running(settings, APP) as instance:
        assert await begun(instance, ["before"]) == [SECRET]
        await become_read_only("on")

        runs = begun(instance, [f"run-{i}" for i in range(20)])

        async def has_refused() -> bool:
            return refused(instance, "systemic") >= 2

        await eventually(has_refused, "the database has refused", seconds=60)
        await become_read_only("off")
        assert await runs == [SECRET] * 20
        assert await admin.fetchval("select count(*) from dead_letter") == 0


async def test_sessions_that_are_ended_all_the_time_are_transient(
    settings: Settings, admin: asyncpg.Connection
) -> None:
    """Whatever the driver raises then, and however it is called, the caller may try again."""
    lane = Lane(settings.postgres, keyed_plans=True)
    name = await admin.fetchval("select current_database()")
    ended = answered = 0

    async def end_them() -> None:
        while ended + answered < 400:
            await admin.fetch(END_OTHERS, name)

    ending = asyncio.create_task(end_them())
    while ended + answered < 400:
        try:
            async with lane.use() as connection:
                await connection.fetch("select generate_series(1, 1000)")
            answered += 1
        except TransientError:
            ended += 1
    await ending
    await lane.close()
    assert ended > 10
