"""Places shared by several queues without starvation."""

from __future__ import annotations


class Shares:
    """A number of places. Half of them are for any queue; the others are divided among the queues.

    A single queue has all places. With fewer places than queues nothing is divided.
    """

    __slots__ = ("_free", "_held", "_kept", "_own", "_used")

    def __init__(self, places: int, queues: int) -> None:
        """None is taken yet."""
        self._own = 0
        if 1 < queues <= places:
            self._own = max(1, places // (2 * queues))
        self._used = [0] * queues
        self._free = places
        #: Queues without a place for now.
        self._held: set[int] = set()
        #: Free places that are kept for queues which have not used up their own.
        self._kept = self._own * queues

    def has(self, queue: int) -> bool:
        """Whether there is a place for this queue."""
        return (self._free > self._kept or self._used[queue] < self._own) and queue not in self._held

    def used(self, queue: int) -> int:
        """Return how many places a queue has taken."""
        return self._used[queue]

    def hold(self, queue: int) -> None:
        """Give this queue no place until `release`; taken places stay."""
        self._held.add(queue)

    def is_held(self, queue: int) -> bool:
        """Whether this queue gets no place."""
        return queue in self._held

    def release(self, queue: int) -> None:
        """Give this queue places again."""
        self._held.discard(queue)

    def take(self, queue: int) -> None:
        """Take a place; there must be one."""
        if self._used[queue] < self._own:
            self._kept -= 1
        self._used[queue] += 1
        self._free -= 1

    def leave(self, queue: int) -> None:
        """Give a place back."""
        self._used[queue] -= 1
        self._free += 1
        if self._used[queue] < self._own:
            self._kept += 1
