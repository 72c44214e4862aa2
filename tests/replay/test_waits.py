"""Waits that a run and its channel disagree about are found, and those in good order are not."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from instances import Instance, running, settings_of
from waiting import eventually

from stream_durable import App, Workflow, bootstrap
from stream_durable.local.kafka import LocalKafka
from stream_durable.replay.waits import StrayWait, Wait

pytestmark = pytest.mark.real

order = Workflow("order")
order.wait_event("paid", "paid", key="input.id")
app = App("waits", workflows=[order])

CHANNEL, RUN = "paid/seven", "order-7"
WAIT = Wait(CHANNEL, RUN, "paid")


class Rows:
    """An instance in which a run waits, and a hand in its rows."""

    def __init__(self, instance: Instance, connection: asyncpg.Connection) -> None:
        self._instance = instance
        self._connection = connection

    async def strays(self) -> list[StrayWait]:
        return await bootstrap.stray_waits(self._instance.settings, patience_seconds=0.1)

    async def waits(self) -> int:
        return int(await self._connection.fetchval("select count(*) from channel_wait"))

    async def do(self, query: str, *arguments: object) -> None:
        await self._connection.execute(query, *arguments)


@pytest.fixture
async def rows(kafka_broker: LocalKafka, database: str, prefix: str) -> AsyncIterator[Rows]:
    settings = settings_of(kafka_broker, database, prefix)
    async with running(settings, app) as instance:
        await instance.client.start(order, {"id": "seven"}, id=RUN)
        connection = await asyncpg.connect(
            database, server_settings={"search_path": settings.postgres.db_schema}
        )
        try:
            found = Rows(instance, connection)
            await eventually(found.waits, "the run waits on its channel", seconds=60)
            yield found
        finally:
            await connection.close()


async def test_a_wait_that_both_sides_know_is_none(rows: Rows) -> None:
    assert await rows.strays() == []


async def test_a_run_waits_on_a_channel_that_has_forgotten_it(rows: Rows) -> None:
    await rows.do("delete from channel_wait")

    assert await rows.strays() == [StrayWait("unknown_wait", WAIT)]


async def test_a_run_waits_on_a_channel_that_keeps_an_event_for_it(rows: Rows) -> None:
    await rows.do("delete from channel_wait")
    kept = "insert into channel_event (channel, id, partition, data, expires) values ($1, 'e', 0, 'null', $2)"
    await rows.do(kept, CHANNEL, 1 << 52)

    assert await rows.strays() == [StrayWait("missed_event", WAIT)]


async def test_an_event_whose_time_is_over_is_not_kept_for_anybody(rows: Rows) -> None:
    await rows.do("delete from channel_wait")
    kept = "insert into channel_event (channel, id, partition, data, expires) values ($1, 'e', 0, 'null', 0)"
    await rows.do(kept, CHANNEL)

    assert await rows.strays() == [StrayWait("unknown_wait", WAIT)]


@pytest.mark.parametrize(
    "change",
    [
        "update run set status = 'completed', ended = updated",
        "update step set status = 'completed'",
        "update step set attempt = attempt + 1",
    ],
)
async def test_a_channel_holds_a_wait_that_its_run_is_not_in(rows: Rows, change: str) -> None:
    await rows.do(change)

    assert StrayWait("unwanted_wait", WAIT) in await rows.strays()


async def test_a_channel_holds_a_wait_of_nobody(rows: Rows) -> None:
    await rows.do(
        "insert into channel_wait (channel, run, wait, partition) values ('paid/x', 'nobody', 'paid', 0)"
    )

    assert await rows.strays() == [StrayWait("unwanted_wait", Wait("paid/x", "nobody", "paid"))]
