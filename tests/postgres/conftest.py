"""Fixtures for tests of masses of timers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from masses import SCHEMA, Counting

from stream_durable.postgres.migrate import migrate
from stream_durable.settings import PostgresSettings


@pytest.fixture
async def settings(database: str) -> PostgresSettings:
    found = PostgresSettings(dsn=database, db_schema=SCHEMA)
    await migrate(found, 2)
    return found


@pytest.fixture
async def store(settings: PostgresSettings) -> AsyncIterator[Counting]:
    store = Counting(settings)
    yield store
    await store.close()
