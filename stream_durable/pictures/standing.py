"""Where the steps of a run stand, as far as a picture shows it, in few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from stream_durable.core.failure import Failure
from stream_durable.core.names import defined_name, helped, helper_kind, is_helper, is_member
from stream_durable.core.status import (
    CANCELLED,
    COMPENSATED,
    COMPLETED,
    FAILED,
    PENDING,
    READY,
    RETRYING,
    RUNNING,
    SKIPPED,
    WAITING,
)


class Standing(Protocol):
    """The parts used of a step's state."""

    @property
    def status(self) -> str:
        """A status of `core.status`."""

    @property
    def attempt(self) -> int:
        """The attempt, from 1; 0 before the beginning."""

    @property
    def started(self) -> datetime | None:
        """The beginning of the last attempt."""

    @property
    def finished(self) -> datetime | None:
        """The end."""

    @property
    def failure(self) -> Failure | None:
        """The failure, if any."""

    @property
    def child(self) -> str | None:
        """The last child run started by the step, if any."""


#: The steps of a run by name, with added steps and helpers.
States = Mapping[str, Standing]

#: In the order of counts: ended, under way, to come.
_ORDER = (COMPLETED, FAILED, SKIPPED, CANCELLED, COMPENSATED, RUNNING, WAITING, RETRYING, READY, PENDING)


def words_of(state: Standing) -> str:
    """Say where a step stands: `completed`, or `failed (card_declined), attempt 3`."""
    words = state.status
    code = None if state.failure is None else state.failure.code
    if code is not None and code != state.status:
        words += f" ({code})"
    return f"{words}, attempt {state.attempt}" if state.attempt > 1 else words


def counts_of(states: Iterable[Standing], what: str) -> str:
    """Say where several stand: `12 members: 10 completed, 2 running`."""
    counts = Counter(state.status for state in states)
    parts = ", ".join(f"{counts[status]} {status}" for status in _ORDER if counts[status])
    total = counts.total()
    return f"{total} {what}{'' if total == 1 else 's'}: {parts}"


def owner_of(name: str) -> str | None:
    """Return the step of the definition that a member belongs to, however deep; None: it is no member.

    `resize[3]` and, after a reset of `resize`, `resize~2[3]` are members; a helper is none.
    """
    return defined_name(name) if is_member(name) else None


def helped_by(name: str) -> tuple[str, str] | None:
    """Return a helper's step and kind; None for other names.

    For `resize[3]~compensate` the step is `resize`; for `~on_failure` an empty name: the run itself.
    """
    return (defined_name(helped(name)), helper_kind(name)) if is_helper(name) else None
