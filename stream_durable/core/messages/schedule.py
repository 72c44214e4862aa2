"""Schedules: plans, orders, declarations and firings."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta, Raw, field

from stream_durable.core.failure import Failure
from stream_durable.core.format import Format
from stream_durable.core.messages.fields import (
    NULL,
    Comment,
    Millis,
    OptionalRaw,
    OptionalText,
    Ordinal,
    Text,
)
from stream_durable.core.messages.message import Kind, Message
from stream_durable.core.schedule.rule import Moment, Rule

Overlap = Literal["skip", "queue_one", "queue_all", "cancel", "allow"]
#: How long after its moment a firing is caught up.
CATCH_UP_MS = 86_400_000


class Plan(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The task of a schedule, with the rule."""

    rule: Rule
    #: The workflow of its runs, in the version that is current when it fires.
    workflow: Text
    #: Of each run.
    input: Raw = NULL
    #: What a firing does while a run of an earlier one is under way.
    overlap: Overlap = "skip"
    #: How late a firing may be; a moment that is missed by more does not fire.
    catch_up_ms: Millis = CATCH_UP_MS
    #: How long each run may take, in place of the workflow's time-out.
    timeout_ms: Annotated[int, Meta(ge=1, le=1 << 53)] | None = None
    #: After so many firings in a row that failed, the schedule turns itself off.
    disable_after: Ordinal | None = None
    tags: Annotated[tuple[Text, ...], Meta(max_length=100)] = ()
    queue: OptionalText = ""
    priority: Annotated[int, Meta(ge=-100, le=100)] = 0
    #: A JSON object.
    metadata: OptionalRaw = None


class ScheduleMessage(Message, kw_only=True):
    """A message to a schedule."""

    kind: ClassVar[Kind] = "schedule"
    key: Text = field(name="schedule")


class ScheduleFact(ScheduleMessage, kw_only=True):
    """A message to a schedule, with a format."""

    #: Releases without this format leave the message to newer ones.
    format: Format


class ScheduleOrder(ScheduleFact, kw_only=True):
    """An order of a person or a program."""

    id: Text
    by: OptionalText = ""
    reason: Comment = ""


class SetSchedule(ScheduleOrder, kw_only=True, tag="schedule.set"):
    """Create a schedule at run time, or change one; without a plan, go back to the code's."""

    plan: Plan | None = None
    #: Whether it is refused where there is one.
    is_new: bool = False


class DeclareSchedule(ScheduleFact, kw_only=True, tag="schedule.declare"):
    """The code of an app declares a schedule. Changes and pauses at run time stay in force."""

    id: Text
    app: Text
    plan: Plan


class DeclaredSchedules(ScheduleFact, kw_only=True, tag="schedule.roll"):
    """All schedules declared by an app; those no longer among them are marked, not deleted.

    The key is that of the app's roll.
    """

    id: Text
    app: Text
    names: Annotated[tuple[Text, ...], Meta(max_length=10_000)] = ()


class UndeclareSchedule(ScheduleFact, kw_only=True, tag="schedule.undeclare"):
    """The code of an app declares a schedule no longer. It goes on, and is reported."""

    app: Text


class PauseSchedule(ScheduleOrder, kw_only=True, tag="schedule.pause"):
    """Turn a schedule off: its moments do not fire until it is turned on, nor afterwards."""


class ResumeSchedule(ScheduleOrder, kw_only=True, tag="schedule.resume"):
    """Turn a schedule on again, from now on."""


class DeleteSchedule(ScheduleOrder, kw_only=True, tag="schedule.delete"):
    """Forget a schedule; runs go on. A deployment still declaring the schedule creates it again."""


class TriggerSchedule(ScheduleOrder, kw_only=True, tag="schedule.trigger"):
    """Start a run of the schedule now, on or off, whatever else is under way."""


class BackfillSchedule(ScheduleOrder, kw_only=True, tag="schedule.backfill"):
    """Start runs for moments of the past, one after another; a moment with a run gets no second one."""

    moments: Annotated[tuple[Moment, ...], Meta(min_length=1, max_length=1_000)]
    #: The time between one start and the next.
    pace_ms: Annotated[int, Meta(ge=1, le=86_400_000)] = 1_000


class ScheduleNext(ScheduleFact, kw_only=True, tag="schedule.next"):
    """The next moment of a schedule, computed once from the calendar."""

    #: Which computation of the schedule this answers: the count of its changes, and the moment before.
    revision: Millis
    after: Millis
    #: None: there is no more.
    at: Moment | None = None
    #: How many moments before it were missed for good.
    missed: Millis = 0
    #: Why there is none; the schedule is turned off.
    failure: Failure | None = None


class ScheduledRunEnded(ScheduleFact, kw_only=True, tag="schedule.ended"):
    """A run of the schedule has ended, or could not be started."""

    run: Text
    status: OptionalText
    failure: Failure | None = None


class ScheduleTimerFired(ScheduleMessage, kw_only=True, tag="schedule.timer"):
    """A moment of a schedule is due, or the next one of a back-fill."""

    #: Empty, or `backfill`.
    timer: str
    #: Log time that was asked for.
    due: Millis
