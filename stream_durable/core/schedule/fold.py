"""Handlers for each message to a schedule.

The moments of a rule depend on the zone data of a machine. So the next one is computed when the last one was
settled, and put on the log as a message to the schedule (`schedule.next`); the state follows from that
message alone. A moment fires by a timer; its run has an id that follows from schedule and moment.
"""

from __future__ import annotations

from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import SCHEDULES
from stream_durable.core.ids import CHILD_MARK, NAME, clipped, roll_id
from stream_durable.core.messages import (
    BackfillSchedule,
    DeclaredSchedules,
    DeclareSchedule,
    DeleteSchedule,
    PauseSchedule,
    Plan,
    ResumeSchedule,
    ScheduledRunEnded,
    ScheduleMessage,
    ScheduleNext,
    ScheduleTimerFired,
    SetSchedule,
    TriggerSchedule,
    UndeclareSchedule,
)
from stream_durable.core.schedule import firing, planning
from stream_durable.core.schedule.state import Off, Schedule, run_by_order
from stream_durable.core.status import Outcome


def set_plan(schedule: Schedule, message: SetSchedule, now: int, out: Effects) -> Outcome:
    """Create or change a schedule, or go back to the code's plan."""
    if message.id in schedule.seen:
        return Outcome.DUPLICATE
    if message.is_new and schedule.exists:
        text = f"there is a schedule {schedule.id[:128]!r} already: change it, or take another name"
        raise RejectedError("schedule_exists", text)
    if message.is_new:
        _check_name(schedule.id)
    else:
        _must_exist(schedule)
    if message.plan is None and schedule.declared is None:
        text = (
            f"no code declares schedule {schedule.id[:128]!r}, so there is nothing to go back to: give a plan"
        )
        raise RejectedError("bad_schedule", text)
    before = schedule.plan
    schedule.changed = message.plan
    _changed(schedule, before, now, out)
    act = "create" if message.is_new else "reset" if message.plan is None else "change"
    schedule.remember(act, message, now)
    return Outcome.APPLIED


def declare(schedule: Schedule, message: DeclareSchedule, now: int, out: Effects) -> Outcome:
    """Take over the plan of the code, beneath any change at run time."""
    _check_name(schedule.id)
    is_known = (message.plan, message.app) == (schedule.declared, schedule.app)
    if is_known and schedule.exists and schedule.undeclared is None:
        return Outcome.DUPLICATE
    before = schedule.plan
    schedule.declared, schedule.app, schedule.undeclared = message.plan, message.app, None
    _changed(schedule, before, now, out)
    return Outcome.APPLIED


def call_roll(roll: Schedule, message: DeclaredSchedules, now: int, out: Effects) -> Outcome:
    """Mark the schedules no longer declared by an app."""
    if roll.id != roll_id(message.app):
        raise RejectedError("wrong_key", f"the roll of app {message.app[:128]!r} has another key")
    before = roll.roll or ()
    if roll.roll == message.names or (roll.roll is None and not message.names):
        return Outcome.DUPLICATE
    gone = sorted(set(before) - set(message.names))
    out.messages += [UndeclareSchedule(key=name, format=SCHEDULES, app=message.app) for name in gone]
    roll.roll = message.names
    roll.is_touched = True
    return Outcome.APPLIED


def undeclare(schedule: Schedule, message: UndeclareSchedule, now: int, out: Effects) -> Outcome:
    """Record the end of a schedule's declaration in code."""
    if not schedule.exists or schedule.app != message.app:
        return Outcome.LATE
    if schedule.undeclared is not None:
        return Outcome.DUPLICATE
    schedule.undeclared = now
    schedule.is_touched = True
    return Outcome.APPLIED


def pause(schedule: Schedule, message: PauseSchedule, now: int, out: Effects) -> Outcome:
    """Turn a schedule off."""
    _must_exist(schedule)
    if message.id in schedule.seen or schedule.off is not None:
        return Outcome.DUPLICATE
    schedule.remember("pause", message, now)
    turn_off(schedule, Off(now, message.reason, message.by), out)
    return Outcome.APPLIED


def turn_off(schedule: Schedule, off: Off, out: Effects) -> None:
    """Let no moment fire."""
    schedule.off = off
    schedule.next = None
    planning.wake_at(schedule, None, out)


def resume(schedule: Schedule, message: ResumeSchedule, now: int, out: Effects) -> Outcome:
    """Turn a schedule on, from now on; queued firings go on."""
    _must_exist(schedule)
    if message.id in schedule.seen or schedule.off is None:
        return Outcome.DUPLICATE
    schedule.remember("resume", message, now)
    schedule.off = None
    schedule.failures = 0
    planning.begin_again(schedule, now, out)
    firing.start_queued(schedule, now, out)
    return Outcome.APPLIED


def delete(schedule: Schedule, message: DeleteSchedule, now: int, out: Effects) -> Outcome:
    """Forget a schedule and all firings."""
    _must_exist(schedule)
    planning.wake_at(schedule, None, out)
    firing.pace(schedule, None, out)
    schedule.clear()
    return Outcome.APPLIED


def trigger(schedule: Schedule, message: TriggerSchedule, now: int, out: Effects) -> Outcome:
    """Start a run now."""
    _must_exist(schedule)
    if message.id in schedule.seen:
        return Outcome.DUPLICATE
    schedule.remember("trigger", message, now)
    firing.fire(schedule, now, "trigger", run_by_order(schedule.id, message.id), now, out)
    return Outcome.APPLIED


def backfill(schedule: Schedule, message: BackfillSchedule, now: int, out: Effects) -> Outcome:
    """Have runs started for moments of the past."""
    _must_exist(schedule)
    if message.id in schedule.seen:
        return Outcome.DUPLICATE
    firing.enqueue(schedule, message, now, out)
    schedule.remember("backfill", message, now)
    return Outcome.APPLIED


def take_next(schedule: Schedule, message: ScheduleNext, now: int, out: Effects) -> Outcome:
    """Take note of the next moment, and let a past moment fire."""
    asked = (schedule.revision, schedule.after)
    if (message.revision, message.after) != asked or schedule.next is not None or not _is_asking(schedule):
        return Outcome.LATE
    schedule.missed += message.missed
    if message.failure is not None:
        turn_off(schedule, Off(now, message.failure.message, cause="rule"), out)
    elif message.at is None:
        schedule.has_no_more = True
        planning.wake_at(schedule, None, out)
    else:
        schedule.next = message.at
        due = schedule.due
        assert due is not None
        if due <= now:
            _settle(schedule, now, out)
        else:
            planning.wake_at(schedule, due, out)
    return Outcome.APPLIED


def wake(schedule: Schedule, message: ScheduleTimerFired, now: int, out: Effects) -> Outcome:
    """Let the next moment fire, ask for the next moment again, or go on with a back-fill."""
    is_pace = message.timer == planning.PACE
    due = schedule.pace_due if is_pace else schedule.timer
    if message.due != due or out.plan_again(("schedule", schedule.id, message.timer), message.due, now):
        return Outcome.LATE
    # Within the clocks' difference, the due time has come.
    moment = max(now, message.due)
    if is_pace:
        firing.start_past(schedule, moment, out)
    elif schedule.next is None:
        planning.ask(schedule, moment, out)
    else:
        _settle(schedule, moment, out)
    return Outcome.APPLIED


def run_ended(schedule: Schedule, message: ScheduledRunEnded, now: int, out: Effects) -> Outcome:
    """Record the end of a run, count failures, and start a queued firing."""
    one = schedule.firings.get(message.run)
    if one is None or not schedule.exists:
        return Outcome.LATE
    if one.status == message.status:
        return Outcome.DUPLICATE
    firing.end(schedule, one, message, now)
    reason = firing.why_off(schedule, one)
    if reason and schedule.off is None:
        turn_off(schedule, Off(now, reason, cause="failures"), out)
    firing.start_queued(schedule, now, out)
    return Outcome.APPLIED


def _is_asking(schedule: Schedule) -> bool:
    return schedule.exists and schedule.off is None and not schedule.has_no_more


def _settle(schedule: Schedule, now: int, out: Effects) -> None:
    """Fire the next moment, and ask for the following moment."""
    plan, moment, due = schedule.plan, schedule.next, schedule.due
    assert plan is not None
    assert moment is not None
    assert due is not None
    schedule.after, schedule.next = moment, None
    if due < now - plan.catch_up_ms:
        schedule.missed += 1
    else:
        firing.fire_moment(schedule, moment, now, out)
    planning.ask(schedule, now, out)


def _changed(schedule: Schedule, before: Plan | None, now: int, out: Effects) -> None:
    """Go by the new plan; moments change only with the rule."""
    schedule.is_touched = True
    schedule.created = schedule.created or now
    after = schedule.plan
    assert after is not None
    if before is None or before.rule != after.rule:
        planning.begin_again(schedule, now, out)
    # Where runs may overlap from now on, what was queued before starts, one by one.
    firing.start_queued(schedule, now, out)


def _check_name(name: str) -> None:
    if not NAME.match(name):
        text = (
            f"{clipped(name, 128)!r} is no name of a schedule: letters, digits and _ . : - only, at most 128"
        )
        raise RejectedError("bad_name", text)


def _must_exist(schedule: Schedule) -> None:
    if not schedule.exists:
        text = f"there is no schedule {schedule.id[:128]!r}: see `schedules list`"
        raise RejectedError("unknown_schedule", text)


def create(message: ScheduleMessage, partition: int, graphs: object) -> Schedule:
    """Return the schedule for a first message."""
    is_roll = isinstance(message, DeclaredSchedules)
    if is_roll != (CHILD_MARK in message.key):
        raise RejectedError("reserved_id", f"{message.key[:128]!r} cannot be the name of a schedule")
    return Schedule(message.key, partition)


HANDLERS: Handlers = {
    SetSchedule: set_plan,
    DeclareSchedule: declare,
    DeclaredSchedules: call_roll,
    UndeclareSchedule: undeclare,
    PauseSchedule: pause,
    ResumeSchedule: resume,
    DeleteSchedule: delete,
    TriggerSchedule: trigger,
    BackfillSchedule: backfill,
    ScheduleNext: take_next,
    ScheduledRunEnded: run_ended,
    ScheduleTimerFired: wake,
}
