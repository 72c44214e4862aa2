"""The clock."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time, replaceable in tests and in the simulator."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""
