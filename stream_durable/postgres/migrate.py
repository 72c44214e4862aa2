"""Applies migrations, forward only, step by step, without downtime.

A step that needs a lock waits for it only shortly and retries, because every later statement queues behind a
waiting lock; long work is done without such a lock. Progress is recorded with each step, so an interrupted
migration continues after the last completed step. One process migrates at a time.

`expand` files may run before the new code is deployed, `contract` files only after the old code is gone. A
file changed after its application is an error: the schema would differ from the files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

import asyncpg

from stream_durable.core.errors import BrokenError, RejectedError
from stream_durable.postgres.connection import connect, translated
from stream_durable.postgres.migration_files import Migration, Step, migrations
from stream_durable.postgres.queries import queries
from stream_durable.settings import PostgresSettings

#: How long a step waits for a lock, blocking all later statements; and the pause between tries.
LOCK_MS = 100
_PAUSE_SECONDS = 0.5
#: Interval of progress messages.
_SAY_SECONDS = 10.0

Say = Callable[[str], None]


def _silent(line: str) -> None:
    """Say nothing."""


async def migrate(
    settings: PostgresSettings, partition_count: int, *, say: Say = _silent, last: int | None = None
) -> list[str]:
    """Bring the schema up to date, or up to file `last`; return the names of the files that were applied."""
    connection = await connect(settings, is_patient=True)
    try:
        with translated():
            await _lock(connection, settings.db_schema, say)
            await connection.execute(
                await connection.fetchval(queries()["migration_schema"], settings.db_schema)
            )
            await connection.execute(queries()["migration_table"])
            await connection.execute(queries()["migration_step_table"])
            pending = [m for m in await _pending(connection) if last is None or m.version <= last]
            await _apply_all(connection, pending, say)
            if last is None:
                await _name_message_types(connection)
            await _make_partitions(connection, partition_count)
    finally:
        connection.terminate()
    return [migration.name for migration in pending]


async def _lock(connection: asyncpg.Connection, schema: str, say: Say) -> None:
    """Take the lock of migrations of a schema. Waiting statements would delay `create index concurrently`."""
    since = said = monotonic()
    while not await connection.fetchval(queries()["migration_lock"], schema):
        if monotonic() >= said:
            say(f"waiting for another migration of this schema ({monotonic() - since:.0f} s)")
            said += _SAY_SECONDS
        await asyncio.sleep(_PAUSE_SECONDS)


async def _apply_all(connection: asyncpg.Connection, pending: list[Migration], say: Say) -> None:
    is_empty = not await connection.fetchval(queries()["migration_is_begun"])
    for migration in pending:
        if is_empty:
            async with connection.transaction():
                await connection.execute(migration.at_once)
                await _note(connection, migration)
        else:
            await _apply(connection, migration, say)
            await _note(connection, migration)


async def _apply(connection: asyncpg.Connection, migration: Migration, say: Say) -> None:
    done = await _done(connection, migration)
    steps = migration.steps
    for number, step in enumerate(steps, 1):
        if step.name in done:
            continue
        what = f"{migration.name}, step {number} of {len(steps)}: {step.name}"
        say(what)
        apply = _apply_concurrently if step.is_concurrent else _apply_locked
        await _observed(apply(connection, migration, step), what, say)


async def _apply_concurrently(connection: asyncpg.Connection, migration: Migration, step: Step) -> None:
    """Apply a step without long locks; remains of an interrupted index are removed first."""
    is_valid = None
    if step.builds is not None:
        is_valid = await connection.fetchval(queries()["migration_index_state"], step.builds)
    if is_valid is False:
        await connection.execute(await connection.fetchval(queries()["migration_index_drop"], step.builds))
    if not is_valid:
        await connection.execute(step.text)
    await connection.execute(queries()["migration_step_record"], migration.version, step.name)


async def _apply_locked(connection: asyncpg.Connection, migration: Migration, step: Step) -> None:
    """Apply a step as soon as its locks are to be had without holding others up."""
    while True:
        try:
            async with connection.transaction():
                await connection.execute(queries()["migration_lock_limit"], str(LOCK_MS))
                await connection.execute(step.text)
                await connection.execute(queries()["migration_step_record"], migration.version, step.name)
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return


async def _observed(work: Awaitable[None], what: str, say: Say) -> None:
    """Wait for a step, logging the progress now and then."""
    task = asyncio.ensure_future(work)
    since = monotonic()
    try:
        while not (await asyncio.wait([task], timeout=_SAY_SECONDS))[0]:
            say(f"{what}: {monotonic() - since:.0f} s so far")
    finally:
        task.cancel()
    await task


async def _note(connection: asyncpg.Connection, migration: Migration) -> None:
    await connection.execute(
        queries()["migration_record"], migration.version, migration.name, migration.checksums[0]
    )


async def _done(connection: asyncpg.Connection, migration: Migration) -> set[str]:
    if await connection.fetchval(queries()["migration_step_table_exists"]) is None:
        return set()
    return {row[0] for row in await connection.fetch(queries()["migration_steps_done"], migration.version)}


async def make(settings: PostgresSettings, partition_count: int) -> None:
    """Create a missing schema; refuse a schema created by another release."""
    pending = await check(settings)
    if pending and len(pending) != len(migrations()):
        raise RejectedError(
            "schema_behind",
            f"the schema {settings.db_schema} was made by an older release and lacks {', '.join(pending)}",
        )
    await migrate(settings, partition_count)


async def drop(settings: PostgresSettings) -> None:
    """Remove the schema with all content."""
    connection = await connect(settings)
    try:
        with translated():
            await connection.execute(
                await connection.fetchval(queries()["migration_drop"], settings.db_schema)
            )
    finally:
        connection.terminate()


async def check(settings: PostgresSettings) -> list[str]:
    """Return the files still to be applied, with the steps of begun files."""
    connection = await connect(settings)
    try:
        with translated():
            return [await _lacking(connection, migration) for migration in await _pending(connection)]
    finally:
        connection.terminate()


async def _lacking(connection: asyncpg.Connection, migration: Migration) -> str:
    done = await _done(connection, migration)
    left = [step.name for step in migration.steps if step.name not in done]
    return f"{migration.name} (left of it: {', '.join(left)})" if done else migration.name


async def _name_message_types(connection: asyncpg.Connection) -> None:
    # A process that only checks its schema does without the messages.
    from stream_durable.core.messages import MESSAGE_TYPES  # noqa: PLC0415

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
        if applied.get(migration.version, migration.checksum) not in migration.checksums:
            raise BrokenError(f"migration {migration.name} was changed after it had been applied")
    return [m for m in migrations() if m.version not in applied]
