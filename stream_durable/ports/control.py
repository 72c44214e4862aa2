"""The control topic."""

from __future__ import annotations

from typing import Protocol

from stream_durable.wire.control import ControlState


class Control(Protocol):
    """Paused queues and present workers, on a compacted topic."""

    #: As far as read.
    state: ControlState

    @property
    def position(self) -> int:
        """The offset behind the last record read."""

    async def catch_up(self) -> None:
        """Read the topic to the end. Raises `TransientError` if it cannot be read."""

    async def more(self) -> None:
        """Wait until more has been read. Raises `TransientError` if the topic cannot be read."""
