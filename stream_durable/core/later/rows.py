"""Messages for later as rows and back, column by column."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from stream_durable.core.later.state import Later
from stream_durable.core.messages import Deferrable
from stream_durable.core.tables import Parts, Rows, Table

_encode = msgspec.json.Encoder().encode
_decode: Callable[[bytes], Deferrable] = msgspec.json.Decoder(Deferrable).decode


class LaterRow(NamedTuple):
    """A message for later; without a moment, a deletion."""

    id: str
    partition: int
    #: When it is sent.
    due: int | None
    #: When it is sent, and then when the row is deleted.
    timer: int | None = None
    #: Empty: it is still to be sent; else `sent` or `cancelled`.
    outcome: str = ""
    #: The message in JSON, until it is sent or cancelled.
    body: bytes | None = None


TABLES = (Table("later", LaterRow, key=1, needs="due"),)


def write(later: Later, rows: Rows) -> None:
    """Add the row, if it has changed since the last save."""
    if later.is_touched:
        body = None if later.message is None else _encode(later.message)
        row = LaterRow(later.id, later.partition, later.due, later.timer, later.outcome, body)
        rows.of(LaterRow).append(row)
        later.is_touched = False


def thaw(key: str, partition: int, parts: Parts, graphs: object) -> Later | None:
    """Return the message of its row (id, due, timer, outcome, body)."""
    [found] = parts
    if not found:
        return None
    later = Later(key, partition)
    [(_, later.due, later.timer, later.outcome, body)] = found
    later.message = None if body is None else read_body(body)
    return later


def read_body(body: bytes) -> Deferrable:
    """Return the message of a row."""
    return _decode(body)
