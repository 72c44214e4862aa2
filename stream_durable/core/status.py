"""The words for where a run and a step stand. Rows, events, commands and pages use these strings."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

PENDING: Final = "pending"
READY: Final = "ready"
RUNNING: Final = "running"
WAITING: Final = "waiting"
RETRYING: Final = "retrying"
#: Failed for good, and not ended: a person decides.
HELD: Final = "held"
PAUSED: Final = "paused"
CANCELLING: Final = "cancelling"
COMPENSATING: Final = "compensating"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"
CANCELLED: Final = "cancelled"
COMPENSATED: Final = "compensated"
COMPENSATION_FAILED: Final = "compensation_failed"
#: Ended without having begun: another run of its workflow took it in.
MERGED: Final = "merged"

#: Final statuses of a run: only a retry changes them.
RUN_ENDED: Final = frozenset({COMPLETED, FAILED, CANCELLED, COMPENSATED, COMPENSATION_FAILED, MERGED})
#: A step in one of these never changes again, within the same try of the graph.
STEP_ENDED: Final = frozenset({COMPLETED, FAILED, SKIPPED, CANCELLED, COMPENSATED})
#: Statuses of a step that let later steps begin.
STEP_PASSED: Final = frozenset({COMPLETED, SKIPPED, COMPENSATED})
#: Statuses of a step with an attempt possibly at a worker.
STEP_ASKED: Final = frozenset({READY, RUNNING})

_STOPPED: Final = frozenset({COMPLETED, FAILED, SKIPPED, CANCELLED})
_OVER: Final = _STOPPED | {HELD}
#: The legal moves of a step, by status. A reset step begins at `pending` again from any status; only a group
#: is reopened from its end.
STEP_MOVES: Final[Mapping[str, frozenset[str]]] = {
    # One that a pause holds between two attempts, or two passes, may run out of time.
    PENDING: frozenset({READY, RUNNING, WAITING, HELD, FAILED, SKIPPED, CANCELLED}),
    # Back, if it has snoozed and the run is paused.
    READY: _OVER | {PENDING, RUNNING, WAITING, RETRYING},
    RUNNING: _OVER | {READY, WAITING, RETRYING},
    # A step that waits inside its function goes on, or is held like one that begins.
    WAITING: _OVER | {READY, PENDING},
    RETRYING: frozenset({READY, PENDING, FAILED, HELD, SKIPPED, CANCELLED}),
    # Begun again it may begin at once, or have to wait for a place.
    HELD: _STOPPED | {PENDING, READY, RUNNING, WAITING},
    COMPLETED: frozenset({COMPENSATED, RUNNING}),
    FAILED: frozenset({RUNNING, RETRYING}),
    SKIPPED: frozenset({RUNNING}),
    CANCELLED: frozenset({RUNNING, RETRYING}),
    COMPENSATED: frozenset({RUNNING}),
}
#: How a run may move. `waiting` and `paused` are how a run that is `running` is shown to people.
RUN_MOVES: Final[Mapping[str, frozenset[str]]] = {
    # One that is retried waits to be let in again, and is cancelled like one under way.
    PENDING: frozenset({RUNNING, CANCELLED, FAILED, CANCELLING, MERGED}),
    # Compensated at once: it was before, and is retried in part, and nothing is left to be undone.
    RUNNING: frozenset({COMPLETED, FAILED, CANCELLED, CANCELLING, COMPENSATING, COMPENSATED, PENDING}),
    CANCELLING: frozenset({CANCELLED, COMPENSATING, COMPENSATED}),
    COMPENSATING: frozenset({COMPENSATED, COMPENSATION_FAILED, RUNNING}),
    COMPLETED: frozenset({RUNNING}),
    FAILED: frozenset({RUNNING}),
    CANCELLED: frozenset({RUNNING}),
    COMPENSATED: frozenset({RUNNING}),
    MERGED: frozenset({RUNNING}),
    COMPENSATION_FAILED: frozenset({COMPENSATING}),
}


class Outcome(IntEnum):
    """What became of a message: kept as evidence for every record of the inbox."""

    APPLIED = 0
    #: Said before, with the same effect: nothing changed.
    DUPLICATE = 1
    #: Came after the matter was settled otherwise: nothing changed.
    LATE = 2
    #: Could not be read or made no sense: the bytes and the reason are on the dead letter topic.
    DEAD = 3
