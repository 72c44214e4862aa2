"""Migrations: numbered files, forward only, each in a transaction, all under one lock.

`expand` files may run before the new code is there, `contract` files only after the old code is
gone. A file that was changed after it had been applied is an error: the database would not be what
the files say.
"""

from __future__ import annotations

from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from stream_durable.core.errors import BrokenError, RejectedError
from stream_durable.core.messages import MESSAGE_TYPES
from stream_durable.postgres.connection import connect, translated
from stream_durable.postgres.queries import queries
from stream_durable.settings import PostgresSettings


class Migration(NamedTuple):
    """One file."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Tell whether the file is still the one that was applied."""
        return sha256(self.text.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return all files in order."""
    folder = files("stream_durable.postgres").joinpath("migrations")
    return sorted(
        Migration(int(file.name.split("_", 1)[0]), file.name, file.read_text())
        for file in folder.iterdir()
        if file.name.endswith(".sql")
    )


async def migrate(settings: PostgresSettings, partition_count: int) -> list[str]:
    """Bring the schema up to date; return the names of the files that were applied."""
    connection = await connect(settings)
    applied = []
    try:
        with translated():
            await connection.execute(queries()["migration_lock"])
            await connection.execute(
                await connection.fetchval(queries()["migration_schema"], settings.db_schema)
            )
            await connection.execute(queries()["migration_table"])
            for migration in await _pending(connection):
                async with connection.transaction():
                    await connection.execute(migration.text)
                    await connection.execute(
                        queries()["migration_record"], migration.version, migration.name, migration.checksum
                    )
                applied.append(migration.name)
            await _name_message_types(connection)
            await _make_partitions(connection, partition_count)
    finally:
        connection.terminate()
    return applied


async def make(settings: PostgresSettings, partition_count: int) -> None:
    """Make a schema that is not there yet; refuse to touch one that another release has made."""
    pending = await check(settings)
    if pending and len(pending) != len(migrations()):
        raise RejectedError(
            "schema_behind",
            f"the schema {settings.db_schema} was made by an older release and lacks {', '.join(pending)}",
        )
    await migrate(settings, partition_count)


async def drop(settings: PostgresSettings) -> None:
    """Remove the schema and all that is in it."""
    connection = await connect(settings)
    try:
        with translated():
            await connection.execute(
                await connection.fetchval(queries()["migration_drop"], settings.db_schema)
            )
    finally:
        connection.terminate()


async def check(settings: PostgresSettings) -> list[str]:
    """Return the names of the files that still have to be applied."""
    connection = await connect(settings)
    try:
        with translated():
            return [m.name for m in await _pending(connection)]
    finally:
        connection.terminate()


async def _name_message_types(connection: asyncpg.Connection) -> None:
    names = [str(kind.__struct_config__.tag) for kind in MESSAGE_TYPES]
    await connection.execute(queries()["migration_message_types"], list(range(len(names))), names)


async def _make_partitions(connection: asyncpg.Connection, count: int) -> None:
    there = await connection.fetchval(queries()["partition_count"])
    if there and there != count:
        raise RejectedError(
            "partition_count",
            f"this schema was made for {there} partitions, not for {count}: a key would change its partition "
            "and its run would be torn apart. To grow, make new topics and a new schema and drain the old.",
        )
    await connection.execute(queries()["partition_create"], count)


async def _pending(connection: asyncpg.Connection) -> list[Migration]:
    if await connection.fetchval(queries()["migration_table_exists"]) is None:
        return migrations()
    applied = {row[0]: row[1] for row in await connection.fetch(queries()["migration_applied"])}
    for migration in migrations():
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            raise BrokenError(f"migration {migration.name} was changed after it had been applied")
    return [m for m in migrations() if m.version not in applied]
