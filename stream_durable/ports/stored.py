"""Stored runs, evidence, events, signals, schedules and messages for later."""

from __future__ import annotations

from typing import NamedTuple

from stream_durable.core.run.rows import RunRow, StepRow


class StoredRun(NamedTuple):
    """A stored run with steps, from one snapshot."""

    run: RunRow
    steps: list[StepRow]
    #: How many runs its steps have started.
    children: int = 0


class StoredEvidence(NamedTuple):
    """A message to a run that was not applied."""

    time: int
    #: Its place in the list of message types.
    type: int
    outcome: int
    #: Why it is dead.
    code: str | None
    reason: str | None
    #: Who sent it, if it says so.
    by: str | None = None


class StoredLater(NamedTuple):
    """A message for later, or without a body a run that has not begun."""

    due: int
    id: str
    body: bytes | None


class StoredSchedule(NamedTuple):
    """A schedule without its firings."""

    name: str
    body: bytes


class StoredEvent(NamedTuple):
    """An event kept by a channel for future waits, or an expired event without any taker."""

    channel: str
    id: str
    #: None: it expired.
    data: bytes | None
    expires: int
    #: The times of arrival and of the first wake-up.
    published: int | None
    taken: int | None
    sent_by: str | None = None


class StoredSignal(NamedTuple):
    """A signal kept by a run, or expired."""

    id: str
    name: str
    #: Whether it is kept until it expires.
    is_kept: bool
    sent_by: str | None
    came: int | None
    expires: int | None
