"""Log time as dates and times, for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload


@overload
def moment(millis: int) -> datetime: ...
@overload
def moment(millis: int | None) -> datetime | None: ...
def moment(millis: int | None) -> datetime | None:
    """Return log time as a date and time; None for none."""
    return None if millis is None else datetime.fromtimestamp(millis / 1_000, UTC)
