"""The words for where a run and a step stand. Rows, events, commands and pages use these strings."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

PENDING: Final = "pending"
READY: Final = "ready"
RUNNING: Final = "running"
WAITING: Final = "waiting"
RETRYING: Final = "retrying"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
CANCELLED: Final = "cancelled"

#: A run in one of these never changes again.
RUN_ENDED: Final = frozenset({COMPLETED, FAILED, CANCELLED})
#: A step in one of these never changes again.
STEP_ENDED: Final = frozenset({COMPLETED, FAILED, SKIPPED, CANCELLED})
#: A step in one of these lets the steps after it begin.
STEP_PASSED: Final = frozenset({COMPLETED, SKIPPED})


class Outcome(IntEnum):
    """What became of a message: kept as evidence for every record of the inbox."""

    APPLIED = 0
    #: Said before, with the same effect: nothing changed.
    DUPLICATE = 1
    #: Came after the matter was settled otherwise: nothing changed.
    LATE = 2
    #: Could not be read or made no sense: the bytes and the reason are on the dead letter topic.
    DEAD = 3
