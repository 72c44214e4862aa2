"""Partitions of the inbox."""

from __future__ import annotations

from typing import NamedTuple


class PartitionState(NamedTuple):
    """A partition's row: progress of the fold, and owner."""

    partition: int
    owner: str | None
    next_offset: int
    clock: int
    fingerprint: int
    generation: int
    topic_id: str | None
    format: int = 1


class PartitionSummary(NamedTuple):
    """A partition of the inbox as a line of a list."""

    partition: int
    #: The last owner; None: there was none.
    owner: str | None
    #: Number of takeovers, in all and since the last progress.
    takeovers: int
    next_offset: int
    stalls: int
    #: The reason of a standstill, if the log was lost.
    lost_reason: str | None
    #: Commands of runs about to begin that are held back, since the reconciler is behind.
    held: int = 0
