"""Messages about an attempt other than the result."""

from __future__ import annotations

from typing import Any

from stream_durable.core.failure import Failure
from stream_durable.core.messages import AttemptEnd, AttemptFailed, AttemptMessage, AttemptReturned
from stream_durable.sdk.answers import failure_from
from stream_durable.sdk.durations import milliseconds
from stream_durable.worker.emitting import with_emissions
from stream_durable.worker.job import Job


def cancelled(who: dict[str, Any]) -> AttemptFailed:
    """Return the message about a dropped attempt."""
    return AttemptFailed(**who, failure=Failure("cancelled", "the attempt was cancelled", retryable=False))


def report_of(end: AttemptEnd, job: Job) -> AttemptMessage:
    """Return the message about an attempt's end, with changes, logs and emissions that are left."""
    add_what_is_left(end, job)
    return with_emissions(end, job)


def given_back(who: dict[str, Any], job: Job, reason: str, delay_ms: int = 0) -> AttemptReturned:
    """Return the message for returning an attempt to another worker."""
    spent = None if job.values is None else job.values.take_spent()
    return AttemptReturned(**who, delay_ms=delay_ms, reason=reason, returns=job.returns, spent=spent)


def add_what_is_left(end: AttemptEnd, job: Job) -> None:
    """Add the attempt's remaining changes and logs before those of a worker process."""
    changes, logs = job.left()
    end.logs = (*logs, *end.logs)
    if job.values is not None:
        end.spent = job.values.take_spent()
    if type(end) is not AttemptFailed:
        end.changes = (*changes, *end.changes)


def delay_after(job: Job, failure: Failure) -> int | None:
    """Ask the author's own function, if there is one, how long to wait before the next attempt."""
    command, handler = job.command, job.handler
    try:
        if handler is None or handler.backoff is None:
            return None
        return milliseconds(handler.backoff(command.ordinal or command.attempt, failure))
    except Exception as error:
        # It must not hide why the attempt failed.
        reason = failure_from(error).message
        job.wrote("error", f"the policy's own delay is taken: backoff= failed: {reason}")
        return None
