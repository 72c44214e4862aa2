"""A schedule, in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec

from stream_durable.core.failure import Failure
from stream_durable.core.ids import child_id
from stream_durable.core.messages import Plan, ScheduleOrder
from stream_durable.core.orders import Orders, noted
from stream_durable.core.schedule.moments import jittered
from stream_durable.core.status import RUN_ENDED

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)

#: What a firing stands for: a moment of the rule, an order, or a moment of the past.
Cause = Literal["time", "trigger", "backfill"]
#: Before there is a run, while it is under way, and without one; afterwards the status of the run.
QUEUED: Final = "queued"
STARTED: Final = "started"
SKIPPED: Final = "skipped"

#: How many settled firings are kept.
KEPT_MAX: Final = 50
#: How many runs may be under way, and how many moments may wait, for one schedule.
OPEN_MAX: Final = 10_000
QUEUED_MAX: Final = 1_000
#: How many moments of back-fills may wait.
BACKFILL_MAX: Final = 10_000
#: A schedule whose next moment is farther away is not kept in memory.
NEAR_MS: Final = 60_000
#: Ids of orders that are remembered, so that a repeat does nothing.
SEEN_MAX: Final = 50


class Firing(msgspec.Struct):
    """A firing: of a moment, or by an order."""

    run: str
    moment: int
    cause: Cause
    status: str
    #: When it was decided, and when its run ended.
    at: int
    ended: int | None = None
    #: Why its run failed, or why there is none.
    failure: Failure | None = None

    @property
    def is_open(self) -> bool:
        """Whether more is to come."""
        return self.status in (QUEUED, STARTED)

    @property
    def has_ended(self) -> bool:
        """Whether the run has ended."""
        return self.status in RUN_ENDED


class Off(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a schedule is off, and since when."""

    at: int
    reason: str = ""
    #: Who turned it off; empty: the schedule itself.
    by: str = ""
    #: A person's, after failures, or for want of a next moment.
    cause: Literal["person", "failures", "rule"] = "person"


class Schedule:
    """A rule for starting runs, with the latest firings; or the roll of an app's declared schedules."""

    __slots__ = ("after", "app", "asked", "changed", "created", "declared", "failures", "firings",
                 "has_no_more", "id", "is_touched", "missed", "next", "off", "orders", "pace", "pace_due",
                 "partition", "revision", "roll", "seen", "timer", "touched", "undeclared",
                 "updated")  # fmt: skip

    def __init__(self, key: str, partition: int) -> None:
        """Create a schedule without a plan."""
        self.id = key
        self.partition = partition
        self.updated = 0
        self.is_touched = False
        #: Runs of firings that have changed since the last save.
        self.touched: dict[str, None] = {}
        #: By run.
        self.firings: dict[str, Firing] = {}
        self.clear()
        self.is_touched = False

    def clear(self) -> None:
        """Forget everything, firings too."""
        for run in list(self.firings):
            self.forget(run)
        self.is_touched = True
        #: By log time; 0: there is no such schedule, or no more.
        self.created = 0
        #: What the code says, and what was said since at run time, which counts.
        self.declared: Plan | None = None
        self.changed: Plan | None = None
        #: The app whose code declares it, and since when it does no longer.
        self.app = ""
        self.undeclared: int | None = None
        self.off: Off | None = None
        #: Counts changes of the rule and of being on: answers to older questions do not count.
        self.revision = 0
        #: All moments until then are settled.
        self.after = 0
        #: The next moment; None: it is asked for, or there is none.
        self.next: int | None = None
        self.has_no_more = False
        #: When the timers are due: of the rule, and of back-fills.
        self.timer: int | None = None
        self.pace_due: int | None = None
        #: The time between starts of a back-fill.
        self.pace = 0
        #: Moments that were missed for good.
        self.missed = 0
        #: Firings in a row that failed.
        self.failures = 0
        #: When runs under way were last asked for, in case the report of their end was lost.
        self.asked = 0
        self.seen: tuple[str, ...] = ()
        #: The latest order of each act.
        self.orders: Orders = {}
        #: Of a roll: the names of the schedules.
        self.roll: tuple[str, ...] | None = None

    @property
    def plan(self) -> Plan | None:
        """The plan in force."""
        return self.changed or self.declared

    @property
    def exists(self) -> bool:
        """Whether there is such a schedule."""
        return self.created > 0

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to remember."""
        return not self.created and self.roll is None

    @property
    def is_resting(self) -> bool:
        """Whether no run is under way or waits, and no moment is near."""
        times = [due for due in (self.timer, self.pace_due) if due is not None]
        is_near = bool(times) and min(times) - self.updated <= NEAR_MS
        return not is_near and not any(firing.is_open for firing in self.firings.values())

    @property
    def due(self) -> int | None:
        """When the next moment fires."""
        if self.next is None or self.plan is None:
            return None
        return jittered(self.plan.rule, self.id, self.next)

    def weight(self) -> int:
        """Estimate the memory in bytes."""
        plans = sum(1_000 + len(plan.input) for plan in (self.declared, self.changed) if plan is not None)
        return 1_000 + plans + 400 * len(self.firings) + 100 * len(self.seen)

    def under_way(self) -> list[Firing]:
        """Return the firings with a run under way, other than for moments of the past, oldest first."""
        found = [f for f in self.firings.values() if f.status == STARTED and f.cause != "backfill"]
        return sorted(found, key=_order)

    def queued(self, *causes: Cause) -> list[Firing]:
        """Return the waiting firings for some causes, by moment."""
        found = [f for f in self.firings.values() if f.status == QUEUED and f.cause in causes]
        return sorted(found, key=lambda f: (f.moment, f.run))

    def latest(self) -> list[Firing]:
        """Return all firings, oldest first."""
        return sorted(self.firings.values(), key=_order)

    def keep(self, firing: Firing) -> None:
        """Keep a new or changed firing."""
        self.firings[firing.run] = firing
        self.touched[firing.run] = None
        if firing.is_open or len(self.firings) <= KEPT_MAX:
            return
        settled = [f.run for f in self.latest() if not f.is_open]
        for run in settled[: len(settled) - KEPT_MAX]:
            self.forget(run)

    def forget(self, run: str) -> None:
        """Forget a firing."""
        del self.firings[run]
        self.touched[run] = None

    def remember(self, act: str, order: ScheduleOrder, now: int) -> None:
        """Remember an order carried out."""
        self.seen = (*self.seen, order.id)[-SEEN_MAX:]
        self.orders = noted(self.orders, act, order, now)
        self.is_touched = True


def _order(firing: Firing) -> tuple[int, int, str]:
    """Return the order of firings, in memory and when loaded."""
    return firing.at, firing.moment, firing.run


def run_of(schedule: str, moment: int) -> str:
    """Return the id of the run for a moment: the same however started, and how often."""
    return child_id(schedule, iso(moment))


def run_by_order(schedule: str, order: str) -> str:
    """Return the id of the run started by an order."""
    return child_id(schedule, f"@{order}")


def iso(moment: int) -> str:
    """Return a moment in ISO 8601, in UTC."""
    found = _EPOCH + timedelta(milliseconds=moment)
    return found.isoformat(timespec="milliseconds" if moment % 1_000 else "seconds") + "Z"
