"""Where the calls of functions beside the graph stand."""

from __future__ import annotations


class Ring:
    """Where the calls of a function beside the graph stand: derived from their steps."""

    __slots__ = ("ids", "next", "open")

    def __init__(self) -> None:
        """Create the ring of a function not called yet."""
        #: The number of the next call.
        self.next = 0
        #: The ids of calls that are remembered.
        self.ids: set[str] = set()
        #: The numbers of calls that have not ended, in order; some may have ended meanwhile.
        self.open: list[int] = []
