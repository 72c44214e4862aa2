"""Format and owner of each partition, for upgrades."""

from __future__ import annotations

from typing import NamedTuple

from stream_durable.postgres.connection import connect, translated
from stream_durable.postgres.queries import queries
from stream_durable.settings import PostgresSettings


class Standing(NamedTuple):
    """Where a partition stands."""

    partition: int
    format: int
    owner: str | None
    #: The newest format known to the owner.
    owner_format: int
    next_offset: int
    #: Log time of the last record folded, in milliseconds.
    log_clock: int


async def server_time(settings: PostgresSettings) -> int:
    """Return the time by the server's clock, in milliseconds."""
    connection = await connect(settings)
    try:
        with translated():
            return int(await connection.fetchval(queries()["server_time"]))
    finally:
        connection.terminate()


async def formats(settings: PostgresSettings) -> list[Standing]:
    """Return where each partition stands."""
    connection = await connect(settings)
    try:
        with translated():
            return [Standing(*row) for row in await connection.fetch(queries()["partition_formats"])]
    finally:
        connection.terminate()


async def is_superuser(settings: PostgresSettings) -> bool:
    """Return whether our role may do everything in this database."""
    connection = await connect(settings)
    try:
        with translated():
            return bool(await connection.fetchval(queries()["role_is_superuser"]))
    finally:
        connection.terminate()
