"""Fill and outline colour of each status. Words always say the status too."""

from __future__ import annotations

from typing import Final, NamedTuple

from stream_durable.core.status import (
    CANCELLED,
    COMPENSATED,
    COMPLETED,
    FAILED,
    HELD,
    PENDING,
    READY,
    RETRYING,
    RUNNING,
    SKIPPED,
    WAITING,
)


class Colour(NamedTuple):
    """A colour light enough for black text, with the nearest number for terminals."""

    fill: str
    line: str
    terminal: int


COLOURS: Final = {
    PENDING: Colour("#f1f3f5", "#868e96", 90),
    READY: Colour("#e3fafc", "#0c8599", 36),
    RUNNING: Colour("#99e9f2", "#0b7285", 36),
    WAITING: Colour("#d0ebff", "#1971c2", 34),
    RETRYING: Colour("#ffec99", "#e67700", 33),
    HELD: Colour("#ffdeeb", "#a61e4d", 35),
    COMPLETED: Colour("#d3f9d8", "#2b8a3e", 32),
    FAILED: Colour("#ffc9c9", "#c92a2a", 31),
    SKIPPED: Colour("#e9ecef", "#495057", 90),
    CANCELLED: Colour("#fff3bf", "#5c940d", 33),
    COMPENSATED: Colour("#ffe8cc", "#d9480f", 33),
}
