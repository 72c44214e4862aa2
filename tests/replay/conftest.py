"""Schemas to fold into are made once, and copied for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from databases import Databases
from replay_world import PARTITIONS, schema

from stream_durable.postgres.migrate import make


@pytest.fixture
def database(databases: Databases) -> Iterator[str]:
    """The DSN of a database which is this test's own, with empty schemas for what was lived and a copy."""

    async def prepare(dsn: str) -> None:
        for name in ("live", "again"):
            await make(schema(dsn, name), PARTITIONS)

    name = databases.copy("two schemas", prepare)
    yield databases.dsn(name)
    databases.drop(name)
