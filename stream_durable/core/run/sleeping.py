"""Sleeps ending by the calendar.

The moment depends on the zone data of the computing process, so the moment is computed once, at the beginning
of the sleep, and put on the log as a message to the run. The state follows from that message alone.
"""

from __future__ import annotations

from datetime import date
from typing import assert_never

from stream_durable.core.calendar import (
    Day,
    Wanted,
    moment_after,
    wanted_dates,
    wanted_moment,
    wanted_time,
)
from stream_durable.core.definition.moments import Fixed, Found, NextDay, PeriodEnd, is_path
from stream_durable.core.definition.nodes import SleepNode
from stream_durable.core.definition.paths import root_of, value_at
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import CALENDAR
from stream_durable.core.lifecycle import STEP_WAITING
from stream_durable.core.messages import SleepUntil
from stream_durable.core.run.say import say_step, set_due
from stream_durable.core.run.state import End, Run, Step
from stream_durable.core.run.values import root_value
from stream_durable.core.status import FAILED


def begin_sleep(
    run: Run, i: int, step: Step, node: SleepNode, now: int, out: Effects, ends: list[End]
) -> None:
    """Begin to sleep for a time, or until a moment by the calendar."""
    if node.until is None:
        set_due(run, i, step, now + node.duration_ms, out)
    else:
        try:
            say_moment(run, step, node, out)
        except RejectedError as error:
            ends.append((i, FAILED, None, Failure(error.code, str(error), retryable=False)))
            return
    say_step(run, STEP_WAITING, i, step, now, out)


def say_moment(run: Run, step: Step, node: SleepNode, out: Effects) -> None:
    """Put on the log when the sleep ends, or why nobody can know.

    Raises `RejectedError` where the paths of the rule lead to nothing of use, which follows from the log.
    """
    wanted, zone = _wanted(run, node), _zone(run, node)
    assert step.started is not None
    at, failure = None, None
    try:
        at = max(0, moment_after(wanted, zone, step.started))
    except RejectedError as error:
        failure = Failure(error.code, str(error), retryable=False)
    out.messages.append(
        SleepUntil(key=run.id, step=node.name, attempt=step.attempt, at=at, failure=failure, format=CALENDAR)
    )


def _wanted(run: Run, node: SleepNode) -> Wanted:
    until = node.until
    match until:
        case Fixed():
            return wanted_moment(until.at, until.at)
        case Found():
            return wanted_moment(_value(run, until.path), until.path)
        case NextDay():
            return Day(wanted_time(until.at), until.weekdays, _holidays(run, until.holidays), until.today)
        case PeriodEnd():
            return until.of
        case None:
            raise AssertionError("a sleep for a time has no moment")
        case _:
            assert_never(until)


def _holidays(run: Run, given: tuple[str, ...] | str) -> frozenset[date]:
    if isinstance(given, str):
        return wanted_dates(_value(run, given), given)
    return wanted_dates(given, "holidays=")


def _zone(run: Run, node: SleepNode) -> str:
    if not is_path(node.zone):
        return node.zone
    found = _value(run, node.zone)
    if not isinstance(found, str):
        raise RejectedError("unknown_zone", f"no name of a time zone is at {node.zone!r}")
    return found


def _value(run: Run, path: str) -> object:
    found: object = value_at(path, root_value(run, root_of(path)))
    return found
