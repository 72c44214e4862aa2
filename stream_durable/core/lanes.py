"""The lanes of a queue: what has begun, and behind it the first attempts of runs that are about to begin.

A backlog of starts then completes run by run, in a working set that memory holds, instead of all at the end.
"""

from __future__ import annotations

from typing import Final

#: Ends the name of a queue's lane for first attempts; no queue's name ends with it.
FIRST: Final = ".first"


def first_lane(queue: str) -> str:
    """Return the lane for the first attempts of a queue."""
    return queue + FIRST


def is_first(lane: str) -> bool:
    """Return whether a lane is for first attempts."""
    return lane.endswith(FIRST)


def queue_of(lane: str) -> str:
    """Return the queue of a lane."""
    return lane.removesuffix(FIRST)


def lanes_of(queue: str) -> tuple[str, str]:
    """Return the lanes of a queue, in the order in which they are served."""
    return queue, first_lane(queue)
