"""The lanes of a queue: what has begun, and behind it the first attempts of runs that are about to begin.

A backlog of starts then completes run by run, in a working set that memory holds, instead of all at the end.
A queue may have parts by priority, each with both lanes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: Ends the name of a queue's lane for first attempts; no queue's name ends with it.
FIRST: Final = ".first"
#: End the names of a queue's parts for priorities above and below 0; no queue's name ends with them.
HIGH: Final = ".high"
LOW: Final = ".low"


def first_lane(queue: str) -> str:
    """Return the lane for the first attempts of a queue or a part."""
    return queue + FIRST


def is_first(lane: str) -> bool:
    """Return whether a lane is for first attempts."""
    return lane.endswith(FIRST)


def queue_of(lane: str) -> str:
    """Return the queue of a lane."""
    return part_of(lane).removesuffix(HIGH).removesuffix(LOW)


def part_of(lane: str) -> str:
    """Return the part of a lane; without parts, the queue."""
    return lane.removesuffix(FIRST)


def part_for(queue: str, priority: int) -> str:
    """Return the part of a queue for a priority."""
    return queue if not priority else queue + (HIGH if priority > 0 else LOW)


def parts_of(queue: str, *, by_priority: bool) -> tuple[str, ...]:
    """Return the parts of a queue, the most urgent first; without priorities the queue itself."""
    return (queue + HIGH, queue, queue + LOW) if by_priority else (queue,)


def lanes_of(part: str) -> tuple[str, str]:
    """Return the lanes of a queue or a part, in the order in which they are served."""
    return part, first_lane(part)


def lanes_of_all(parts: Iterable[str]) -> tuple[str, ...]:
    """Return the lanes of several queues or parts."""
    return tuple(lane for part in parts for lane in lanes_of(part))
