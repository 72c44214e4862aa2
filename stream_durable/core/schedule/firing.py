"""Effects of a firing: starting a run, waiting, cancelling others, or being left out."""

from __future__ import annotations

from typing import assert_never

from msgspec import Raw

from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import SCHEDULES
from stream_durable.core.ids import clipped
from stream_durable.core.messages import (
    BackfillSchedule,
    CancelRun,
    Plan,
    ScheduledRunEnded,
    StartScheduled,
)
from stream_durable.core.schedule.planning import PACE
from stream_durable.core.schedule.state import (
    BACKFILL_MAX,
    OPEN_MAX,
    QUEUED,
    QUEUED_MAX,
    SKIPPED,
    STARTED,
    Cause,
    Firing,
    Schedule,
    run_of,
)
from stream_durable.core.status import COMPENSATED, COMPENSATION_FAILED, COMPLETED, FAILED

#: What a start weighs, beside its input.
_LOAD = 1_000
#: Runs that hold up a firing are asked for their end this often at most: its report may be lost with a log.
_ASK_MS = 3_600_000
_ASKED_MAX = 10
_FAILED = frozenset({FAILED, COMPENSATED, COMPENSATION_FAILED})


def fire_moment(schedule: Schedule, moment: int, now: int, out: Effects) -> None:
    """Do what the policy says for a moment, once: a moment has one run, however started."""
    plan, run = _plan(schedule), run_of(schedule.id, moment)
    known = schedule.firings.get(run)
    if known is not None and known.status != QUEUED:
        return
    others = schedule.under_way()
    if plan.overlap == "allow" and len(others) < OPEN_MAX:
        fire(schedule, moment, "time", run, now, out)
    elif plan.overlap == "allow":
        _leave_out(schedule, moment, run, now, f"{OPEN_MAX} runs of the schedule are under way")
    elif not others and not schedule.queued("time"):
        fire(schedule, moment, "time", run, now, out)
    else:
        _overlap(schedule, plan, moment, run, others, now, out)


def _overlap(
    schedule: Schedule, plan: Plan, moment: int, run: str, others: list[Firing], now: int, out: Effects
) -> None:
    """Decide on a firing while a run of an earlier firing is under way."""
    _ask_for_ends(schedule, plan, others, now, out)
    waiting = schedule.queued("time")
    match plan.overlap:
        case "skip":
            _leave_out(schedule, moment, run, now, "a run of an earlier firing was under way")
        case "queue_one" if waiting:
            _leave_out(schedule, moment, run, now, "another firing was waiting already")
        case "queue_all" if len(waiting) >= QUEUED_MAX:
            _leave_out(schedule, moment, run, now, f"{QUEUED_MAX} firings were waiting already")
        case "queue_one" | "queue_all":
            schedule.keep(Firing(run, moment, "time", QUEUED, now))
        case "cancel":
            for one in waiting:
                one.status, one.ended = SKIPPED, now
                one.failure = _why("a later firing took its place")
                schedule.keep(one)
            for one in others:
                reason = f"schedule {schedule.id} fired again"
                request = clipped(f"schedule/{run}")
                out.messages.append(CancelRun(key=one.run, id=request, reason=reason))
            schedule.keep(Firing(run, moment, "time", QUEUED, now))
        case "allow":
            raise AssertionError("this policy knows no overlap")
        case _:
            assert_never(plan.overlap)


def fire(schedule: Schedule, moment: int, cause: Cause, run: str, now: int, out: Effects) -> None:
    """Start the run of a firing."""
    schedule.keep(Firing(run, moment, cause, STARTED, now))
    _start(schedule, _plan(schedule), moment, run, out)


def start_queued(schedule: Schedule, now: int, out: Effects) -> None:
    """Start what was queued longest, if nothing of the schedule is under way, or its runs may overlap now."""
    if schedule.off is not None:
        return
    others = len(schedule.under_way())
    if others and (_plan(schedule).overlap != "allow" or others >= OPEN_MAX):
        return
    if waiting := schedule.queued("time"):
        one = waiting[0]
        fire(schedule, one.moment, "time", one.run, now, out)


def end(schedule: Schedule, one: Firing, message: ScheduledRunEnded, now: int) -> None:
    """Keep how a run ended, and count failures in a row."""
    one.status, one.ended, one.failure = message.status, now, message.failure
    schedule.keep(one)
    schedule.is_touched = True
    if one.cause == "backfill":
        return  # of a run that may have ended long ago
    if message.status == COMPLETED:
        schedule.failures = 0
    elif message.status in _FAILED:
        schedule.failures += 1


def why_off(schedule: Schedule, one: Firing) -> str:
    """Return the reason for turning a schedule off after failures, or nothing; the last to end is given."""
    limit = _plan(schedule).disable_after
    if limit is None or schedule.failures < limit:
        return ""
    text = f"{schedule.failures} firings in a row failed"
    # Of old firings only so many are kept: those that failed may be gone, this one too.
    failed = [each for each in (one, *schedule.latest()) if each.status in _FAILED]
    if failed:
        last = failed[-1]
        code = "" if last.failure is None else f" with {last.failure.code}: {last.failure.message}"
        text = f"{text}; run {last.run} ended as {last.status}{code}"
    return clipped(text, 2_000)


def enqueue(schedule: Schedule, message: BackfillSchedule, now: int, out: Effects) -> None:
    """Have moments of the past fire one after another, except those with a run."""
    if len(schedule.queued("backfill")) + len(message.moments) > BACKFILL_MAX:
        text = f"more than {BACKFILL_MAX} moments would wait: let the back-fill under way go on first"
        raise RejectedError("too_many", f"schedule {schedule.id!r}: {text}")
    if max(message.moments) > now:
        text = "a back-fill is for moments of the past: leave out those that are still to come"
        raise RejectedError("bad_moment", f"schedule {schedule.id!r}: {text}")
    for moment in message.moments:
        run = run_of(schedule.id, moment)
        known = schedule.firings.get(run)
        if known is None or known.status == SKIPPED:
            schedule.keep(Firing(run, moment, "backfill", QUEUED, now))
    schedule.pace = message.pace_ms
    if schedule.pace_due is None:
        start_past(schedule, now, out)


def start_past(schedule: Schedule, now: int, out: Effects) -> None:
    """Start the next run for a moment of the past, and let later moments wait."""
    waiting = [one for one in schedule.firings.values() if one.status == QUEUED and one.cause == "backfill"]
    if waiting:
        first = min(waiting, key=lambda one: one.moment)
        fire(schedule, first.moment, "backfill", first.run, now, out)
    pace(schedule, now + schedule.pace if len(waiting) > 1 else None, out)


def pace(schedule: Schedule, moment: int | None, out: Effects) -> None:
    """Set or clear the timer of back-fills."""
    schedule.is_touched = True
    if moment != schedule.pace_due:
        schedule.pace_due = moment
        out.timers["schedule", schedule.id, PACE] = moment


def _start(schedule: Schedule, plan: Plan, moment: int, run: str, out: Effects) -> None:
    start = StartScheduled(
        key=run, id=run, format=SCHEDULES, schedule=schedule.id, moment=moment, workflow=plan.workflow,
        fingerprint="", input=Raw(bytes(plan.input)), tags=plan.tags, queue=plan.queue,
        priority=plan.priority, metadata=plan.metadata, timeout_ms=plan.timeout_ms, trigger="schedule",
    )  # fmt: skip
    out.messages.append(start)
    out.starts.append(start)
    out.load += _LOAD + len(plan.input)


def _ask_for_ends(schedule: Schedule, plan: Plan, others: list[Firing], now: int, out: Effects) -> None:
    """Start runs under way again: an ended run reports the end once more, and others do nothing."""
    old = [one for one in others[:_ASKED_MAX] if now - one.at >= _ASK_MS]
    if old and now - schedule.asked >= _ASK_MS:
        schedule.asked = now
        schedule.is_touched = True
        for one in old:
            _start(schedule, plan, one.moment, one.run, out)


def _leave_out(schedule: Schedule, moment: int, run: str, now: int, why: str) -> None:
    """Record that a moment starts no run, unless it waits already, for a back-fill say."""
    if run not in schedule.firings:
        schedule.keep(Firing(run, moment, "time", SKIPPED, now, now, _why(why)))


def _why(text: str) -> Failure:
    return Failure(SKIPPED, text, retryable=False)


def _plan(schedule: Schedule) -> Plan:
    assert schedule.plan is not None, "a schedule that exists has a plan"
    return schedule.plan
