"""Dead letters."""

from __future__ import annotations

from typing import NamedTuple


class DeadRow(NamedTuple):
    """A record impossible to apply, kept whole."""

    partition: int
    generation: int
    offset: int
    code: str
    reason: str
    key: bytes | None
    value: bytes | None
    time: int


#: (time, partition, generation, offset): dead letters, newest first.
DeadPosition = tuple[int, int, int, int]


class DeadSummary(NamedTuple):
    """A record of the inbox that could not be applied, as a line of a list."""

    #: Log time.
    time: int
    #: Of the inbox, and which of its logs.
    partition: int
    generation: int
    offset: int
    code: str
    reason: str
    key: bytes | None
    #: Size of the value; None: there is none.
    bytes: int | None
