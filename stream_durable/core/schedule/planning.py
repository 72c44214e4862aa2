"""When a schedule fires next: asked of the calendar, answered on the log."""

from __future__ import annotations

from itertools import islice
from typing import Final

from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import SCHEDULES
from stream_durable.core.messages import Plan, ScheduleNext
from stream_durable.core.schedule.moments import jittered, moments, next_moment
from stream_durable.core.schedule.state import Schedule

#: The timers of a schedule: of its rule, and of back-fills.
RULE: Final = ""
PACE: Final = "backfill"
#: After so long without an answer the next moment is asked for once more: the answer was lost with its log.
ASK_AGAIN_MS: Final = 60_000
#: Missed moments are counted up to this.
MISSED_MAX: Final = 1_000


def begin_again(schedule: Schedule, now: int, out: Effects) -> None:
    """Go by the rule from now on; earlier moments do not count."""
    schedule.revision += 1
    schedule.after = now
    schedule.next = None
    schedule.has_no_more = False
    ask(schedule, now, out)


def ask(schedule: Schedule, now: int, out: Effects) -> None:
    """Put the next moment on the log; nothing while the schedule is off."""
    schedule.is_touched = True
    plan = schedule.plan
    if plan is None or schedule.off is not None:
        wake_at(schedule, None, out)
        return
    at, missed, failure = None, 0, None
    try:
        at, missed = _next(schedule, plan, now)
    except RejectedError as error:
        failure = Failure(error.code, str(error), retryable=False)
    out.messages.append(
        ScheduleNext(
            key=schedule.id, format=SCHEDULES, revision=schedule.revision, after=schedule.after, at=at,
            missed=missed, failure=failure,
        )
    )  # fmt: skip
    wake_at(schedule, now + ASK_AGAIN_MS, out)


def wake_at(schedule: Schedule, moment: int | None, out: Effects) -> None:
    """Set or clear the timer of the rule."""
    schedule.is_touched = True
    if moment != schedule.timer:
        schedule.timer = moment
        out.timers["schedule", schedule.id, RULE] = moment


def _next(schedule: Schedule, plan: Plan, now: int) -> tuple[int | None, int]:
    """Return the next moment to be caught up, and the number of missed moments before."""
    rule, after, created = plan.rule, schedule.after, schedule.created
    late = now - plan.catch_up_ms
    found = next_moment(rule, after, created)
    if found is None or jittered(rule, schedule.id, found) >= late:
        return found, 0
    missed = sum(1 for _ in islice(moments(rule, after, created, late - rule.jitter_ms), MISSED_MAX))
    return next_moment(rule, max(after, late - rule.jitter_ms - 1), created), missed
