"""A message for later, in memory."""

from __future__ import annotations

from typing import Final

from stream_durable.core.messages import Deferrable

#: What became of it; empty: it is still to be sent.
SENT: Final = "sent"
CANCELLED: Final = "cancelled"


class Later:
    """A signal or an event, and when it is to be sent; afterwards its id, so that repeats change nothing."""

    __slots__ = ("due", "id", "is_touched", "message", "outcome", "partition", "timer", "updated")

    def __init__(self, key: str, partition: int) -> None:
        """Create one without a message."""
        self.id = key
        self.partition = partition
        #: The moment, by log time; None: nothing was ever said of this id, or it was forgotten.
        self.due: int | None = None
        self.message: Deferrable | None = None
        self.outcome = ""
        #: When it is sent, and then when it is forgotten.
        self.timer: int | None = None
        self.updated = 0
        self.is_touched = False

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to remember."""
        return self.due is None

    @property
    def is_open(self) -> bool:
        """Whether it is still to be sent."""
        return self.due is not None and not self.outcome

    def weight(self) -> int:
        """Estimate the memory in bytes."""
        return 500 + (0 if self.message is None else len(self.message.data))
