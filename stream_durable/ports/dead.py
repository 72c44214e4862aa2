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
