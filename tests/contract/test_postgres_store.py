"""The store in Postgres meets the contract of stores."""

from collections.abc import AsyncIterator

import pytest
from contract.store_contract import *  # noqa: F403 - the tests of the contract

from stream_durable.postgres.migrate import migrate
from stream_durable.postgres.store import PostgresStore
from stream_durable.settings import PostgresSettings

pytestmark = pytest.mark.real


@pytest.fixture
async def store(database: str) -> AsyncIterator[PostgresStore]:
    settings = PostgresSettings(dsn=database, db_schema="contract")
    await migrate(settings, 4)
    store = PostgresStore(settings)
    yield store
    await store.close()
