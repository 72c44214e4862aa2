"""What differs is found and named: any column of any table, rows that are missing, rows that are too many."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from copy import deepcopy

import asyncpg
import pytest
from databases import Databases
from replay_world import PARTITIONS, MemoryLog, a_story, schema, start, world

from stream_durable.ports import Digest
from stream_durable.postgres.snapshot import TABLES, Snapshot
from stream_durable.replay.digest import Difference, compare
from stream_durable.replay.rebuild import World, rebuild
from stream_durable.replay.verify import RowDifference, _compare, shown, verify

KEYS = {
    "run": ("id",),
    "step": ("run_id", "name"),
    "attempt": ("run_id", "step", "attempt"),
    "run_attribute": ("run_id", "name"),
    "run_signal": ("run_id", "position"),
    "question": ("run", "step"),
    "signal_wait": ("run", "wait"),
    "channel_event": ("channel", "id"),
    "channel_wait": ("channel", "run", "wait"),
    "channel_expired": ("channel", "id"),
    "later": ("id",),
    "schedule": ("id",),
    "schedule_firing": ("schedule", "run"),
    "gate": ("name",),
    "gate_place": ("gate", "run", "step"),
    "gate_turn": ("gate", "share"),
    "admission": ("id",),
    "admission_member": ("admission", "run"),
    "timer": ("kind", "key", "name"),
}


class Two:
    """A live schema, and one that was rebuilt beside it."""

    def __init__(
        self, live: World, rebuilt: World, connection: asyncpg.Connection, *looks: asyncpg.Connection
    ) -> None:
        self.live, self.rebuilt, self.connection = live, rebuilt, connection
        self._looks = looks

    async def differences(self) -> list[RowDifference]:
        return (await verify(self.rebuilt, self.live.look)).rows

    async def compared(self) -> list[RowDifference]:
        """Compare as `verify` does, on connections that stay: they cost more than what is compared."""
        ours, theirs = self._looks
        async with ours.transaction(), theirs.transaction():
            live = Snapshot(ours)
            return (await _compare(live, Snapshot(theirs), await live.partitions(), 20)).rows


@pytest.fixture(scope="module")
def log() -> MemoryLog:
    return a_story()


@pytest.fixture
def rebuilt_twice(databases: Databases, log: MemoryLog) -> Iterator[str]:
    """The DSN of a database in which the story was folded into two schemas."""

    async def prepare(dsn: str) -> None:
        for name in ("live", "rebuilt"):
            await rebuild(await world(schema(dsn, name), log))

    name = databases.copy("a story told twice", prepare)
    yield databases.dsn(name)
    databases.drop(name)


@pytest.fixture
async def two(rebuilt_twice: str, log: MemoryLog) -> AsyncIterator[Two]:
    told = deepcopy(log)
    live = await world(schema(rebuilt_twice, "live"), told, is_made=True)
    rebuilt = await world(schema(rebuilt_twice, "rebuilt"), told, is_made=True)
    names = ("live", "live", "rebuilt")
    connections = [await asyncpg.connect(rebuilt_twice, server_settings={"search_path": n}) for n in names]
    yield Two(live, rebuilt, *connections)
    for connection in connections:
        await connection.close()


def other(value: object, column: str, kind: str) -> object:
    """Return a value that differs from this one and that the column takes."""
    if column == "status":
        return "cancelled" if value == "completed" else "completed"
    if column == "partition":
        assert isinstance(value, int)
        return (value + 1) % PARTITIONS
    if kind == "bool":
        return not value
    nothing = {"text": "", "bytea": b"", "int4": 0, "int8": 0}[kind]
    # Beyond those that the neighbours of a row have.
    more = {"text": "x", "bytea": b"\0", "int4": 1_000, "int8": 1_000}[kind]
    return (nothing if value is None else value) + more  # type: ignore[operator]


@pytest.mark.real
@pytest.mark.parametrize("table", TABLES)
async def test_a_planted_difference_in_any_column_is_found_and_named(two: Two, table: str) -> None:
    keys = KEYS[table]
    attributes = (await two.connection.prepare(f"select * from {table}")).get_attributes()

    for column, kind in ((attribute.name, attribute.type.name) for attribute in attributes):
        row = await two.connection.fetchrow(f"select * from {table} order by {', '.join(keys)} limit 1")
        assert row is not None
        key = tuple(row[name] for name in keys)
        planted = other(row[column], column, kind)
        where = " and ".join(f"{name} = ${i}" for i, name in enumerate(keys, 2))
        await two.connection.execute(f"update {table} set {column} = $1 where {where}", planted, *key)

        found = await two.compared()

        if column in keys:
            planted_key = tuple(planted if name == column else row[name] for name in keys)
            assert set(found) >= {
                RowDifference(table, tuple(map(str, planted_key)), None, "present", "missing"),
                RowDifference(table, tuple(map(str, key)), None, "missing", "present"),
            }
            key = planted_key
        else:
            told = tuple(map(str, key))
            assert found == [RowDifference(table, told, column, shown(planted), shown(row[column]))]
        await two.connection.execute(f"update {table} set {column} = $1 where {where}", row[column], *key)
    assert await two.differences() == []


@pytest.mark.real
@pytest.mark.parametrize("table", TABLES)
async def test_a_row_that_is_missing_is_named(two: Two, table: str) -> None:
    keys = ", ".join(KEYS[table])
    gone = await two.connection.fetchrow(
        f"delete from {table} where ({keys}) = (select {keys} from {table} order by {keys} desc limit 1)"
        f" returning {keys}"
    )

    found = [row for row in await two.differences() if row.table == table]

    assert gone is not None
    assert found == [RowDifference(table, tuple(map(str, gone)), None, "missing", "present")]


@pytest.mark.real
async def test_a_step_of_no_run_is_named(two: Two) -> None:
    await two.connection.execute(
        "insert into step (run_id, name, status, attempt, losses) values ('nobody', 'a', 'ready', 1, 0)"
    )

    assert await two.differences() == [RowDifference("step", ("nobody", "a"), None, "present", "missing")]


@pytest.mark.real
@pytest.mark.parametrize("column", ["log_clock", "fingerprint"])
async def test_a_difference_in_what_a_partition_remembers_is_named(two: Two, column: str) -> None:
    await two.connection.execute(f"update partition set {column} = 1 where id = 3")

    [found] = await two.differences()

    assert found[:4] == ("partition", ("3",), column, "1")


@pytest.mark.real
async def test_what_says_nothing_of_the_state_is_not_compared(two: Two) -> None:
    await two.connection.execute(
        "update partition set owner = 'somebody', owner_token = gen_random_uuid(), epoch = 9, stalls = 2"
    )
    await two.connection.execute("insert into outbox (partition, from_offset, body) values (0, 1, '')")

    assert await two.differences() == []


@pytest.mark.real
async def test_only_so_many_rows_of_a_table_are_named(two: Two) -> None:
    await two.connection.execute("update run set total = total + 1")

    found = await verify(two.rebuilt, two.live.look, rows_max=3)

    assert [row.key for row in found.rows] == [("run-0",), ("run-1",), ("run-10",)]
    assert found.has_more
    assert {d.table for d in found.differences} == {"run"}
    assert {d.partition for d in found.differences} == set(range(PARTITIONS))


@pytest.mark.real
async def test_payloads_are_not_shown(two: Two) -> None:
    await two.connection.execute("update run set input = 'a secret' where id = 'run-1'")

    [found] = await two.differences()

    assert "secret" not in found.live
    assert found.live.startswith("8 bytes, md5 ")


@pytest.mark.real
async def test_live_state_that_moves_on_is_compared_at_one_moment(two: Two) -> None:
    inbox = two.live.inbox
    inbox.add(*map(start, range(100, 140)))  # type: ignore[attr-defined]
    await rebuild(two.live, resume=True)
    inbox.add(*map(start, range(200, 240)))  # type: ignore[attr-defined]

    found = await verify(two.rebuilt, two.live.look)

    assert found.is_equal
    assert found.records == 40


def test_a_table_that_only_one_side_has_rows_of_differs() -> None:
    here, there = Digest(1, 5, 7), Digest(1, 5, 8)

    assert compare({("run", 0): here}, {("run", 0): here}) == []
    assert compare({("run", 0): here}, {("run", 0): there}) == [Difference("run", 0, here, there)]
    assert compare({("run", 0): here}, {}) == [Difference("run", 0, here, Digest(0, 0, 0))]
    assert compare({}, {("step", -1): there}) == [Difference("step", -1, Digest(0, 0, 0), there)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "None"), (7, "7"), ("a" * 80, "a" * 80), ("a" * 81, "a" * 80 + "…")],
)
def test_long_values_are_cut(value: object, text: str) -> None:
    assert shown(value) == text
