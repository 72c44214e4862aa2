"""Two instances on one Kafka and one Postgres: the same programs at once in both, and neither sees the other.

They differ in `prefix` and `postgres.db_schema` alone. Workflows, steps, events and queues have the same
names in both, and in the last test also runs, keys and messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from threading import Barrier
from typing import Final, NamedTuple

import asyncpg
import pytest
import test_inputs_on_both as inputs
import test_language_on_both as language
import test_waits_on_both as waits
from confluent_kafka.admin import AdminClient
from instances import SECONDS, Instance, running, settings_of
from waiting import eventually

from stream_durable import App, Breaker, RunFilter, Workflow
from stream_durable.client import RunCount
from stream_durable.local.kafka import LocalKafka
from stream_durable.postgres.migrate import migrate
from stream_durable.settings import Settings
from stream_durable.testing import Engine
from stream_durable.testing.real import RealBackend

pytestmark = pytest.mark.real

Scenario = Callable[[Engine], Awaitable[None]]

#: What each does besides running steps.
SCENARIOS: Final[dict[str, Scenario]] = {
    "children": language.test_children_and_repetition,
    "large values": language.test_bad_and_large_values,
    "compensations and hooks": language.test_a_saga_is_undone_and_everybody_is_told,
    "breakers and time-outs": language.test_restarts_time_outs_and_breakers,
    "orders to runs": language.test_orders_to_runs_and_steps,
    "queues, delays and lists": language.test_starts_later_on_other_queues_and_lists,
    "repeats of every record": language.test_nothing_happens_twice,
    "questions and a takeover": inputs.test_a_takeover_and_repeats_change_nothing,
    "events and signals": waits.test_open_waits_are_listed_over_all_runs_and_found_by_what_is_known,
}


@pytest.fixture
def shared(kafka_broker: LocalKafka, empty_database: str) -> Settings:
    return settings_of(kafka_broker, empty_database, "unused")


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_program_runs_in_both_at_once(shared: Settings, name: str) -> None:
    """What it asserts of one instance would be false if anything of the other got there."""
    both_begun = Barrier(2)

    def one() -> None:
        with Engine(RealBackend(shared)) as engine:
            both_begun.wait(SECONDS)
            asyncio.run(SCENARIOS[name](engine))
            # Neither ends before the other has done everything.
            both_begun.wait(SECONDS)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(one), threads.submit(one)]:
            done.result()


class Shared(NamedTuple):
    """Something that has one name for all users of the services, and how an instance names its own."""

    what: str
    #: With `{prefix}` or `{schema}`.
    named: tuple[str, ...]


#: All that Kafka and Postgres know by a name, and that two instances could therefore share.
SHARED: Final = {
    "topics": Shared("topics of the cluster", (
        "{prefix}.inbox", "{prefix}.events", "{prefix}.commands.default", "{prefix}.commands.default.first",
        "{prefix}.steps", "{prefix}.runs", "{prefix}.blobs", "{prefix}.definitions", "{prefix}.verdicts",
        "{prefix}.control", "{prefix}.dead",
    )),
    "groups": Shared("consumer groups with members or offsets", (
        "{prefix}.reconciler", "{prefix}.ingress", "{prefix}.worker.default", "{prefix}.worker.default.first",
    )),
    "schemas": Shared("schemas with tables, types or functions", ("{schema}",)),
    "locks": Shared("first numbers of advisory locks held, which say that a reconciler lives", ("{schema}",)),
    "channels": Shared("channels on which sessions listen", ()),
}  # fmt: skip


async def names_in_use(settings: Settings) -> dict[str, set[str]]:
    """Return what the services know by name now, beyond what they have of themselves."""
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
    groups = await asyncio.to_thread(lambda: admin.list_consumer_groups().result(SECONDS))
    topics = await asyncio.to_thread(lambda: admin.list_topics(timeout=SECONDS).topics)
    server = await asyncpg.connect(settings.postgres.dsn.get_secret_value())
    try:
        return {
            "topics": {name for name in topics if not name.startswith("__")},
            "groups": {group.group_id for group in groups.valid},
            "schemas": {row[0] for row in await server.fetch(_SCHEMAS)},
            "locks": {str(row[0]) for row in await server.fetch(_LOCKS)},
            "channels": {row[0] for row in await server.fetch(_LISTENING)},
        }
    finally:
        await server.close()


_SCHEMAS = """
select distinct nspname from pg_namespace n
where nspname not like 'pg\\_%' and nspname <> 'information_schema' and (
  exists (select from pg_class where relnamespace = n.oid)
  or exists (select from pg_type where typnamespace = n.oid)
  or exists (select from pg_proc where pronamespace = n.oid)
)
"""
_LOCKS = """
select distinct coalesce(
  (select nspname from pg_namespace where hashtext(nspname)::bigint & 4294967295 = classid::bigint),
  'of nobody'
) from pg_locks
where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
"""
_LISTENING = (
    "select query from pg_stat_activity where query ilike 'listen %' and datname = current_database()"
)

orders = Workflow("order")
paid = orders.wait_event("paid", "payment.captured", key="input.id")
released = orders.wait_signal("released", after=paid)


@orders.step(breaker=Breaker("bank", failures=1, window="1h", reset="1h"))
def charge(paid: str, released: str, input: dict[str, str]) -> str:  # noqa: A002 - the word for it everywhere
    if released == "break":
        raise RuntimeError("no line to the bank")
    return f"{input['at']} {paid} {released} " + "x" * 1_000_000


app = App("shop", workflows=[orders])


@pytest.fixture
async def before(kafka_broker: LocalKafka, empty_database: str, prefix: str) -> dict[str, set[str]]:
    """What is in use before the instances are made."""
    return await names_in_use(settings_of(kafka_broker, empty_database, prefix))


@pytest.fixture
async def both(
    kafka_broker: LocalKafka, empty_database: str, prefix: str, before: dict[str, set[str]]
) -> AsyncIterator[tuple[Instance, Instance]]:
    async with AsyncExitStack() as stack:
        found = []
        for name in ("a", "b"):
            settings = settings_of(kafka_broker, empty_database, f"{prefix}_{name}").override(
                {"postgres.db_schema": f"{prefix}_{name}"}
            )
            found.append(await stack.enter_async_context(running(settings, app)))
            for each in app.registrations():
                await found[-1].ports.catalogue.register(*each)
        yield found[0], found[1]


async def is_status(instance: Instance, run: str, status: str) -> bool:
    return (await instance.client.run(run).state()).status == status


async def waits_for(instance: Instance, step: str) -> None:
    async def is_waiting() -> bool:
        return (await instance.client.run("r").state()).steps[step].status == "waiting"

    await eventually(is_waiting, f"{instance.settings.prefix}: {step} waits", seconds=SECONDS)


async def test_runs_of_one_id_and_one_key_in_both_are_two_runs(
    both: tuple[Instance, Instance], before: dict[str, set[str]]
) -> None:
    """The same ids of runs, of events and of messages, and a breaker of one name."""
    a, b = both
    for instance, at in ((a, "A"), (b, "B")):
        await instance.emit(
            {"start": "order", "id": "r", "input": {"id": "42", "at": at}, "message_id": "1"}, key="r"
        )
        await instance.begun("r")
        await waits_for(instance, "paid")

    await a.emit({"type": "payment.captured", "key": "42", "data": "euros", "message_id": "2"}, key="r")
    await waits_for(a, "released")
    await a.emit({"signal": "released", "run": "r", "data": "tom", "message_id": "3"}, key="r")
    assert (await a.client.run("r").result(timeout="30s"))[:12] == "A euros tom "
    await a.emit({"signal": "released", "run": "nobody"})
    assert [one.code for one in await a.dead_letters(1)] == ["unknown_run"]
    await a.emit({"start": "order", "id": "broken", "input": {"id": "43", "at": "A"}}, key="broken")
    await a.emit({"type": "payment.captured", "key": "43", "data": "euros"}, key="broken")
    await a.emit({"signal": "released", "run": "broken", "data": "break"}, key="broken")
    await a.begun("broken")
    await eventually(partial(is_status, a, "broken", "failed"), "the breaker opens", seconds=SECONDS)

    # All that happened in A would have reached B long before what is sent to it now.
    assert (await b.client.run("r").state()).steps["paid"].status == "waiting"
    await b.emit({"type": "payment.captured", "key": "42", "data": "pounds", "message_id": "2"}, key="r")
    await waits_for(b, "released")
    await b.emit({"signal": "released", "run": "r", "data": "ann", "message_id": "3"}, key="r")
    assert (await b.client.run("r").result(timeout="30s"))[:13] == "B pounds ann "
    assert await a.client.count(RunFilter()) == RunCount(2, is_exact=True)
    assert await b.client.count(RunFilter()) == RunCount(1, is_exact=True)
    assert "stream_durable_dead_letters_total{" not in b.metrics.render().decode()

    await everything_is_named(before, a.settings, b.settings)


async def everything_is_named(before: dict[str, set[str]], *instances: Settings) -> None:
    """What has come into use belongs to an instance, and each has all of its own; `before` was there."""
    found = await names_in_use(instances[0])
    for kind, shared in SHARED.items():
        expected = {
            name.format(prefix=of.prefix, schema=of.postgres.db_schema)
            for name in shared.named
            for of in instances
        }
        # The broker is shared with other tests, the database is not.
        is_shared = kind in ("topics", "groups")
        assert found[kind] - (before[kind] if is_shared else set()) == expected, shared.what


async def test_a_migration_of_one_schema_waits_for_none_of_another(shared: Settings) -> None:
    first, second = (shared.override({"postgres.db_schema": name}).postgres for name in ("first", "second"))
    holder = await asyncpg.connect(first.dsn.get_secret_value())
    try:
        assert await holder.fetchval("select pg_try_advisory_lock(hashtextextended('first', 7235101))")
        assert await asyncio.wait_for(migrate(second, 1), SECONDS)
        waiting: list[str] = []
        held = asyncio.create_task(migrate(first, 1, say=waiting.append))

        async def has_said() -> bool:
            return bool(waiting)

        await eventually(has_said, "the migration says what it waits for", seconds=SECONDS)
        assert not held.done()
    finally:
        await holder.close()
    assert await asyncio.wait_for(held, SECONDS)
