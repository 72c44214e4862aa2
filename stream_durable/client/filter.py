"""The conditions for listing, counting and changing many runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from stream_durable.client.where import Where
from stream_durable.core.errors import RejectedError
from stream_durable.core.status import (
    CANCELLING,
    COMPENSATED,
    COMPENSATING,
    COMPENSATION_FAILED,
    FAILED,
    PAUSED,
    PENDING,
    RUN_ENDED,
    RUNNING,
    WAITING,
)
from stream_durable.ports import RunQuery
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.workflow import Workflow

#: A moment; a duration is so long ago.
Moment = datetime | Duration

#: Statuses of runs that have not ended.
OPEN: Final = frozenset({PENDING, RUNNING, WAITING, PAUSED, CANCELLING, COMPENSATING})
#: What starts runs.
TRIGGERS: Final = ("client", "event", "schedule", "parent")
#: Statuses of runs that ended without success.
LOST: Final = frozenset({FAILED, COMPENSATED, COMPENSATION_FAILED})
#: Statuses of runs that need somebody until they are retried or marked as reviewed.
MARKED: Final = frozenset({FAILED, COMPENSATION_FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Conditions for runs; a run must meet all given conditions.

    >>> RunFilter(workflow="order", status="waiting", created_before="7d")  # doctest: +ELLIPSIS
    RunFilter(workflow='order', ...)
    """

    workflow: Workflow | str | None = None
    #: The version of the workflow.
    fingerprint: str | None = None
    #: One, or any of several.
    status: str | Sequence[str] = ()
    #: Only runs that ended as failed, compensated or compensation_failed, unless cancelled by somebody.
    failed: bool = False
    #: Only runs with held steps, about which a person has to decide.
    needs_review: bool = False
    #: Only open runs that have missed their due time, or have steps that did.
    overdue: bool = False
    #: Only failed runs that somebody has marked as reviewed, or that nobody has.
    reviewed: bool | None = None
    tag: str | None = None
    #: The queue of steps without a queue.
    queue: str | None = None
    #: The parent run.
    parent: str | None = None
    #: From this moment on, and before this moment. A run is `updated` when it changes, and last when it ends.
    created_since: Moment | None = None
    created_before: Moment | None = None
    updated_since: Moment | None = None
    updated_before: Moment | None = None
    #: A text within the JSON of the input, letter for letter.
    input_text: str | None = None
    #: Conditions on attributes: `"amount>=9.5"`, `"region=north"`, or `Where` with a typed value.
    attributes: str | Where | Sequence[str | Where] = ()
    #: A text within a text among the attributes, letter for letter.
    attribute_text: str | None = None
    #: The beginning of the id.
    id_prefix: str | None = None
    #: What started the run: `client`, `event`, `schedule` or `parent`.
    trigger: str | None = None
    #: The schedule that started the run.
    schedule: str | None = None
    #: The code of the failure, and the step that failed; an empty text: none did.
    failure_code: str | None = None
    failed_step: str | None = None

    @property
    def where(self) -> tuple[Where, ...]:
        """The conditions on attributes."""
        given = self.attributes
        several = [given] if isinstance(given, str | Where) else given
        return tuple(one if isinstance(one, Where) else Where.read(one) for one in several)

    def query(self, among: frozenset[str] | None = None, now: datetime | None = None) -> RunQuery | None:
        """Return the query with fixed moments, or None if no run in a status of `among` can match.

        Durations count back from `now`, by default the time of this machine.
        """
        chosen = _statuses(self.status)
        marked = None if self.reviewed is None else MARKED
        for narrower in (LOST if self.failed else None, marked, among):
            if narrower is not None:
                chosen = chosen & narrower if chosen else narrower
                if not chosen:
                    return None
        now = now or datetime.now(UTC)
        return RunQuery(
            workflow=self.workflow.name if isinstance(self.workflow, Workflow) else self.workflow,
            fingerprint=self.fingerprint,
            status=tuple(sorted(chosen)),
            tag=self.tag,
            queue=self.queue,
            parent=self.parent,
            created_since=_millis("created_since", self.created_since, now),
            created_before=_millis("created_before", self.created_before, now),
            updated_since=_millis("updated_since", self.updated_since, now),
            updated_before=_millis("updated_before", self.updated_before, now),
            input_text=self.input_text,
            unasked=self.failed or among is LOST,
            needs_review=self.needs_review,
            overdue=self.overdue,
            reviewed=self.reviewed,
            attributes=tuple(one.test() for one in self.where),
            attribute_text=self.attribute_text,
            id_prefix=self.id_prefix,
            trigger=_trigger(self.trigger),
            schedule=self.schedule,
            failure_code=self.failure_code,
            failed_step=self.failed_step,
        )


def since_epoch(name: str, moment: datetime) -> int:
    """Return a moment in milliseconds; one without a time zone could be any of many."""
    if moment.tzinfo is None:
        text = f"{name}={moment.isoformat()} has no time zone: write datetime.now(UTC), or append Z or +02:00"
        raise RejectedError("bad_time", text)
    return int(moment.timestamp() * 1_000)


def _millis(name: str, moment: Moment | None, now: datetime) -> int | None:
    if moment is None:
        return None
    if isinstance(moment, datetime):
        return since_epoch(name, moment)
    return since_epoch(name, now) - milliseconds(moment)


def _trigger(given: str | None) -> str | None:
    if given not in (None, *TRIGGERS):
        raise RejectedError("bad_trigger", f"{given!r} starts no run; there are {', '.join(TRIGGERS)}")
    return given


def _statuses(given: str | Sequence[str]) -> frozenset[str]:
    chosen = frozenset([given] if isinstance(given, str) else given)
    if unknown := chosen - OPEN - RUN_ENDED:
        known = ", ".join(sorted(OPEN | RUN_ENDED))
        raise RejectedError("bad_status", f"no run is ever {sorted(unknown)[0]!r}; there are {known}")
    return chosen
