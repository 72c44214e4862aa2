"""What is said of a connection that the server, or the network, has ended."""

from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from stream_durable.core.errors import TransientError
from stream_durable.postgres.connection import connect, translated
from stream_durable.settings import PostgresSettings


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"),
            "ConnectionDoesNotExistError 08003: connection was closed in the middle of operation",
        ),
        (
            asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
            "Postgres: the server has ended the connection",
        ),
        (ConnectionResetError(104, "ECONNRESET"), "Postgres: Connection reset by peer"),
    ],
)
def test_a_lost_connection_is_named_and_tried_again(error: Exception, text: str) -> None:
    with pytest.raises(TransientError) as raised, translated():
        raise error
    assert str(raised.value) == text


async def test_a_server_without_a_free_connection_is_named_and_asked_again(database: str) -> None:
    administrator = await asyncpg.connect(database)
    try:
        await administrator.execute("create role crowded login password 'crowded' connection limit 0")
        parts = urlsplit(database)
        address = parts._replace(netloc=f"crowded:crowded@{parts.netloc.rpartition('@')[2]}")
        with pytest.raises(TransientError, match=r"postgres\.dsn.*53300: too many connections for role"):
            await connect(PostgresSettings(dsn=urlunsplit(address)))
    finally:
        await administrator.execute("drop role crowded")
        await administrator.close()
