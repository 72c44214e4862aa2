"""A channel in memory: the events it still keeps and the waits that are open."""

from __future__ import annotations


class Channel:
    """Where events and waits of one name and key meet."""

    __slots__ = (
        "due",
        "events",
        "id",
        "is_new",
        "partition",
        "payload",
        "touched_events",
        "touched_waits",
        "updated",
        "waits",
    )

    def __init__(self, key: str, partition: int) -> None:
        """A channel on which nothing has happened yet."""
        self.id = key
        self.partition = partition
        #: id -> (data, when it expires).
        self.events: dict[str, tuple[bytes, int]] = {}
        #: (run, wait).
        self.waits: set[tuple[str, str]] = set()
        self.due: int | None = None
        #: Bytes of payload held in memory, for `weight`.
        self.payload = 0
        self.updated = 0
        self.is_new = True
        self.touched_events: dict[str, None] = {}
        self.touched_waits: dict[tuple[str, str], None] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.events and not self.waits

    def weight(self) -> int:
        """Estimate the bytes this channel takes in memory."""
        return 700 + 300 * len(self.events) + self.payload + 250 * len(self.waits)
