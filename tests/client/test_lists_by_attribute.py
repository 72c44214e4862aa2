"""Lists of runs by attributes and in other orders: Postgres and memory find the same, by an index."""

import json
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from stream_durable.client.listing import cursor, read_cursor, read_order
from stream_durable.client.where import Where
from stream_durable.core.attributes import attributes_of, key_of
from stream_durable.core.failure import Failure
from stream_durable.core.run.attribute_rows import AttributeRow
from stream_durable.core.run.rows import RunRow
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.views import MemoryViews
from stream_durable.ports import AttributeTest, RunOrder, RunQuery, Share
from stream_durable.postgres.connection import connect
from stream_durable.postgres.migrate import migrate
from stream_durable.postgres.run_lists import count_query, list_query
from stream_durable.postgres.store import PostgresStore
from stream_durable.postgres.views import PostgresViews
from stream_durable.settings import PostgresSettings

pytestmark = pytest.mark.real

SCHEDULED = b'{"trigger":"schedule","scheduled":["nightly",5]}'
REGIONS = ("north", "south", "North", "", "é", "nor\tth", "x" * 900)


def held_to(text: str) -> AttributeTest:
    return Where.read(text).test()


@pytest.fixture
async def settings(database: str) -> PostgresSettings:
    made = PostgresSettings(dsn=database, db_schema="attributes")
    await migrate(made, 1)
    return made


def drawn(at: int, chance: random.Random) -> tuple[RunRow, list[AttributeRow]]:
    given: dict[str, Any] = {}
    if chance.random() < 0.8:
        given["amount"] = chance.choice([chance.randint(-3, 3), chance.uniform(-3, 3), 1e300, -0.0])
    if chance.random() < 0.6:
        given["region"] = chance.choice(REGIONS)
    if chance.random() < 0.3:
        given["vip"] = chance.random() < 0.5
    attributes = attributes_of(given)
    workflow = chance.choice(["order", "mail"])
    requests = chance.choice(
        [None, b'{"trigger":"event"}', b'{"trigger":"schedule","scheduled":["nightly",5]}']
    )
    status = chance.choice(["running", "completed", "failed"])
    row = RunRow(
        f"{chance.choice('abc')}{at:03}", 0, workflow, "f" * 16, status,
        chance.randint(1, 20), chance.randint(1, 20), None, "start", b"1", None, None, 0, 1, 0, 2, None, None,
        None, None, started=chance.choice([None, chance.randint(1, 20)]), requests=requests,
        parent=chance.choice([None, None, "p"]),
        attributes=msgspec.json.encode(attributes) if attributes else None,
    )  # fmt: skip
    if row.started is not None:
        row = row._replace(started=row.created + row.started)
    if row.status == "failed":
        failure = Failure(code=chance.choice(["Late", "Lost"]), message="", step=chance.choice([None, "pay"]))
        row = row._replace(failure=msgspec.json.encode(failure))
    if row.status != "running":
        row = row._replace(ended=(row.started or row.created) + chance.randint(0, 9))
    return row, [AttributeRow(row.id, one.name, 0, workflow, key_of(one)) for one in attributes]


QUERIES = [
    RunQuery(),
    RunQuery(attributes=(held_to("amount>=1"),)),
    RunQuery(attributes=(held_to("amount<0"), held_to("region!=north")), workflow="order"),
    RunQuery(attributes=(held_to('region=""'),)),
    RunQuery(attributes=(held_to("region~th"), held_to("vip=true"))),
    RunQuery(attributes=(held_to("amount!=1"),), status=("running",)),
    RunQuery(attributes=(held_to("amount=0"),)),
    RunQuery(attributes=(held_to("amount>0"), held_to("amount<=2"))),
    RunQuery(id_prefix="b"),
    RunQuery(attribute_text="or"),
    RunQuery(attribute_text="t"),
    RunQuery(trigger="client"),
    RunQuery(trigger="event"),
    RunQuery(trigger="schedule", attributes=(held_to("amount>=-1"),)),
    RunQuery(trigger="parent"),
    RunQuery(schedule="nightly"),
    RunQuery(failure_code="Lost"),
    RunQuery(failed_step="pay", failure_code="Late", attributes=(held_to("amount>=-3"),)),
    RunQuery(failed_step="", status=("failed",)),
]
SORTS = ("-created", "created", "started", "-started", "updated", "-duration", "duration", "amount",
         "-amount", "region", "-vip")  # fmt: skip


async def test_postgres_and_memory_find_the_same_in_the_same_order(settings: PostgresSettings) -> None:
    chance = random.Random(16)
    store, memory, token = PostgresStore(settings), MemoryStore(1), uuid4()
    rows = [drawn(at, chance) for at in range(300)]
    for one in (store, memory):
        await one.claim(0, "owner", token)
        share = Share(0, token, 0, 1, 1, 1, 1, 0)
        share.rows |= {
            RunRow: [row for row, _ in rows],
            AttributeRow: [a for _, found in rows for a in found],
        }
        assert await one.commit([share])
    views, other = PostgresViews(settings), MemoryViews(memory)
    found_any = set()
    for since, width, at_most in ((1, 5, 1_000), (-2, 7, 1_000), (1, 5, 20)):
        flow = await views.run_flow(since, width=width, count=4, at_most=at_most)
        assert flow == await other.run_flow(since, width=width, count=4, at_most=at_most)
        assert any(one.failed for one in flow)

    for query in QUERIES:
        count = await views.run_count(query, at_most=1_000)
        assert count == await other.run_count(query, at_most=1_000)
        assert await views.run_statuses(query, at_most=1_000) == await other.run_statuses(
            query, at_most=1_000
        )
        for sort in SORTS:
            order = read_order(sort)
            whole = (await other.run_list(query, limit=1_000, order=order)).runs
            paged: list[Any] = []
            after = None
            while True:
                page = await views.run_list(query, limit=17, after=after, order=order)
                paged += page.runs
                if page.following is None:
                    break
                after = read_cursor(cursor(page.following), order)
            assert [run.id for run in paged] == [run.id for run in whole], (query, sort)
            assert paged == whole
            found_any |= {(query, bool(whole))}
    await store.close()
    await views.close()
    assert {query for query, found in found_any if found} == set(QUERIES)


@pytest.fixture
async def filled(settings: PostgresSettings) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(settings, is_patient=True)
    await connection.execute(FILL)
    yield connection
    await connection.close()


NARROW = (held_to("amount>=199900"),)


@pytest.mark.parametrize(
    ("query", "order"),
    [
        (RunQuery(attributes=NARROW), RunOrder()),
        (RunQuery(attributes=NARROW, workflow="order"), RunOrder()),
        (RunQuery(attributes=(held_to("region=r7"),), workflow="order"), RunOrder(by="updated", is_up=True)),
        (RunQuery(workflow="order"), RunOrder(attribute="amount")),
        (RunQuery(workflow="order"), RunOrder(attribute="amount", is_up=True)),
        (RunQuery(workflow="order", attributes=(held_to("amount<=500"),)), RunOrder(attribute="amount")),
        (RunQuery(attributes=NARROW), RunOrder(attribute="amount")),
        (RunQuery(attributes=NARROW, workflow="order"), None),
    ],
)
async def test_among_many_runs_attributes_are_found_by_their_index(
    filled: asyncpg.Connection, query: RunQuery, order: RunOrder | None
) -> None:
    if order is None:
        statement, *arguments = *count_query("view_run_count", query), 1_000
    else:
        statement, arguments = list_query(query, order, None, 51)

    plan = json.loads(await filled.fetchval("explain (analyze, format json) " + statement, *arguments))[0]

    nodes = _nodes(plan["Plan"])
    assert "run_attribute_value" in {node.get("Index Name") for node in nodes}, plan
    assert not [node for node in nodes if node["Node Type"] == "Seq Scan"], plan
    read = sum(n["Actual Rows"] * n["Actual Loops"] for n in nodes if "Index Name" in n)
    assert read < 10_000, plan


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for below in plan.get("Plans", ()) for node in _nodes(below))]


#: 200,000 runs, each with an amount of its own and one of 1,000 regions.
FILL = """
insert into run (id, partition, workflow, fingerprint, status, created, updated, ended, start_id, input,
  step_sequence, run_sequence, done, total)
select 'order-' || i, 0, case when i % 10 = 0 then 'mail' else 'order' end, 'f', 'completed', i / 200,
  i / 200, i / 200, 's', '1', 0, 0, 0, 1
from generate_series(1, 200000) as i;
insert into run_attribute (run_id, name, partition, workflow, value)
select 'order-' || i, 'amount', 0, case when i % 10 = 0 then 'mail' else 'order' end,
  'n' || encode(set_byte(float8send(i::float8), 0, get_byte(float8send(i::float8), 0) | 128), 'hex')
from generate_series(1, 200000) as i;
insert into run_attribute (run_id, name, partition, workflow, value)
select 'order-' || i, 'region', 0, case when i % 10 = 0 then 'mail' else 'order' end, 'tr' || i % 1000
from generate_series(1, 200000) as i;
analyze run;
analyze run_attribute;
"""
