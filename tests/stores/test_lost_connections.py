"""What is said of a connection that the server, or the network, has ended."""

import asyncpg
import pytest

from stream_durable.core.errors import TransientError
from stream_durable.postgres.connection import translated


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
