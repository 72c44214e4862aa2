"""One live instance for the whole folder: what it was sent before must not matter either."""

from collections.abc import AsyncIterator

import pytest_asyncio
from instances import running, settings_of
from kill.instance import Looks
from waiting import eventually

from bad_records.site import Site, allow_large_records, make_topics, name
from bad_records.workflows import app
from stream_durable.local.kafka import LocalKafka
from stream_durable.local.postgres import LocalPostgres


@pytest_asyncio.fixture(loop_scope="session", scope="package")
async def site(kafka_broker: LocalKafka, postgres_server: LocalPostgres) -> AsyncIterator[Site]:
    """A reconciler and a worker in this process, and runs that garbage may be about."""
    one = name()
    postgres_server.create_database(one)
    settings = settings_of(kafka_broker, postgres_server.dsn(one), one)
    await make_topics(settings)
    looks = Looks(settings)
    try:
        async with running(settings, app) as instance:
            await allow_large_records(settings, ["inbox", "commands.default"])
            # A start is refused if nobody has ever heard of its workflow.
            await eventually(lambda: _are_known(looks), "the workflows are known", seconds=60)
            site = Site(instance, looks)
            await site.prepare()
            yield site
    finally:
        looks.disconnect()
        postgres_server.drop_database(one)


async def _are_known(looks: Looks) -> bool:
    return await looks.definitions() == len(app.workflows)
