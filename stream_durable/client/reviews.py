"""Decisions about held steps, and acts for earlier attempts, as in the state of a run."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from stream_durable.core.failure import Failure
from stream_durable.core.moments import moment
from stream_durable.core.run.from_outside import Decision
from stream_durable.core.run.state import Step


class Review(NamedTuple):
    """What a person decided about a held step."""

    step: str
    #: The id returned by the call.
    id: str
    decision: Decision
    at: datetime
    #: Who decided, if that was said, and why.
    by: str
    reason: str
    #: Since when the step was held, in which attempt, and for which failure.
    held: datetime
    attempt: int
    failure: Failure | None


class Act(NamedTuple):
    """What a person or another system did for an earlier attempt of a wait."""

    #: The wait, by its whole name.
    wait: str
    at: datetime
    #: Such as `answered`, `claimed`, `came` or `ended from outside`.
    what: str
    #: Who did it.
    by: str
    #: A comment, or the name of a signal or event.
    text: str


def reviews_of(name: str, step: Step) -> tuple[Review, ...]:
    """Return all decisions about a step, oldest first."""
    return tuple(
        Review(
            name, one.id, one.decision, moment(one.at), one.by, one.reason, moment(one.held), one.attempt,
            one.failure,
        )
        for one in (() if step.detail is None else step.detail.reviews)
    )  # fmt: skip


def acts_of(name: str, step: Step) -> tuple[Act, ...]:
    """Return the acts for earlier attempts of a wait, or for waits inside a step, oldest first."""
    return tuple(
        Act(one.wait or name, moment(one.at), one.what, one.by, one.text)
        for one in (() if step.detail is None else step.detail.past)
    )
