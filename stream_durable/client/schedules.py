"""Schedules: created, changed, turned off and on, triggered, listed and filled in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple, Unpack
from uuid import uuid4

import msgspec

from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.client.latest import OrderState, order_states
from stream_durable.client.listing import LIMIT_MAX
from stream_durable.client.starting import check_input, check_queue, resolve
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.format import SCHEDULES
from stream_durable.core.messages import (
    BackfillSchedule,
    DeleteSchedule,
    Message,
    PauseSchedule,
    Plan,
    ResumeSchedule,
    SetSchedule,
    TriggerSchedule,
)
from stream_durable.core.moments import moment
from stream_durable.core.schedule.moments import jittered, moments, next_moments
from stream_durable.core.schedule.rows import ScheduleBody, read_body, read_firing
from stream_durable.core.schedule.rule import Rule
from stream_durable.core.schedule.state import BACKFILL_MAX, run_by_order
from stream_durable.ports import StoredSchedule
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.schedule import ScheduleOptions, plan_of
from stream_durable.sdk.workflow import Workflow

#: Moments of one message of a back-fill.
_PORTION: Final = 1_000


class FiringState(NamedTuple):
    """A firing of a schedule."""

    #: The run that it starts, or would have started.
    run: str
    #: For which moment, and why: `time`, `trigger` or `backfill`.
    moment: datetime
    cause: str
    #: `queued`, `started` or `skipped`, else how the run ended.
    status: str
    at: datetime
    ended: datetime | None
    failure: Failure | None


class ScheduleState(NamedTuple):
    """A schedule, as of the reconciler's latest commit."""

    name: str
    workflow: str
    #: When it fires, in a few words, and the zone of that.
    rule: str
    timezone: str
    #: Whether it is on; else why not, since when, and who turned it off: `person`, `failures` or `rule`.
    is_on: bool
    reason: str
    off_since: datetime | None
    off_by: str
    off_cause: str
    #: When it fires next, jitter included.
    next: datetime | None
    created: datetime
    overlap: str
    #: The app whose code declares it; since when it does no longer.
    app: str
    undeclared: datetime | None
    #: Whether it was created or changed at run time.
    is_changed: bool
    #: Moments that were missed for good, and firings in a row that failed.
    missed: int
    failures: int
    input: Any
    #: The next ten moments, without jitter.
    moments: tuple[datetime, ...]
    #: The latest order of each act.
    orders: tuple[OrderState, ...]
    #: With `schedule` alone: those under way or waiting, and the latest others, newest first.
    firings: tuple[FiringState, ...] = ()


class Backfill(NamedTuple):
    """The moments of a back-fill."""

    moments: tuple[datetime, ...]
    #: Whether they are on their way, or this is a preview.
    is_ordered: bool


class ScheduleOrders:
    """Orders to schedules, and states of schedules."""

    @property
    @abstractmethod
    def _edge(self) -> Edge: ...

    async def create_schedule(
        self,
        name: str,
        workflow: Workflow[Any, Any] | str,
        input: Any = None,  # noqa: A002 - the word for it everywhere
        *,
        reason: str = "",
        by: str = "",
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Create a schedule. Raises for a taken name, and for a rule without a moment to come."""
        edge = self._edge
        if await _stored(edge, name) is not None:
            text = f"there is a schedule {name!r} already: change it, or take another name"
            raise RejectedError("schedule_exists", text)
        data = edge.values.input_of(workflow, input)
        called, fingerprint = await resolve(edge, workflow)
        if isinstance(workflow, str):
            check_input(edge, called, fingerprint, data)
        plan = plan_of(name, called, data, options)
        message = SetSchedule(
            key=name, id=uuid4().hex, format=SCHEDULES, plan=plan, is_new=True, by=by, reason=reason
        )
        await self._set(message, plan, has_new_rule=True)

    async def change_schedule(
        self,
        name: str,
        *,
        input: Any = None,  # noqa: A002 - the word for it everywhere
        reason: str = "",
        by: str = "",
        **options: Unpack[ScheduleOptions],
    ) -> None:
        """Change a schedule; other options stay. Kept over deployments, until `reset_schedule`."""
        edge = self._edge
        before = _plan(await _known(edge, name))
        workflow, fingerprint = await resolve(edge, before.workflow)
        data = before.input if input is None else edge.values.input_of(workflow, input)
        check_input(edge, workflow, fingerprint, data)
        plan = plan_of(name, workflow, data, options, before)
        message = SetSchedule(key=name, id=uuid4().hex, format=SCHEDULES, plan=plan, by=by, reason=reason)
        await self._set(message, plan, has_new_rule=plan.rule != before.rule)

    async def reset_schedule(self, name: str, reason: str = "", *, by: str = "") -> None:
        """Go back to the plan of the code."""
        body = await _known(self._edge, name)
        if body.declared is None:
            text = f"no code declares schedule {name!r}, so there is nothing to go back to: change it instead"
            raise RejectedError("bad_schedule", text)
        message = SetSchedule(key=name, id=uuid4().hex, format=SCHEDULES, by=by, reason=reason)
        await self._order(message, "reset")

    async def pause_schedule(self, name: str, reason: str = "", *, by: str = "") -> None:
        """Turn a schedule off, over deployments too. Moments meanwhile neither fire nor are caught up."""
        await _known(self._edge, name)
        message = PauseSchedule(key=name, id=uuid4().hex, format=SCHEDULES, reason=reason, by=by)
        await self._order(message, "pause")

    async def resume_schedule(self, name: str, reason: str = "", *, by: str = "") -> None:
        """Turn a schedule on again, from now on."""
        await _known(self._edge, name)
        message = ResumeSchedule(key=name, id=uuid4().hex, format=SCHEDULES, by=by, reason=reason)
        await self._order(message, "resume")

    async def delete_schedule(self, name: str, reason: str = "", *, by: str = "") -> None:
        """Forget a schedule; runs go on. A deployment still declaring the schedule creates it again.

        `by` and `reason` are kept on the log alone.
        """
        await _known(self._edge, name)
        message = DeleteSchedule(key=name, id=uuid4().hex, format=SCHEDULES, by=by, reason=reason)
        await self._order(message, "delete")

    async def trigger_schedule(
        self,
        name: str,
        *,
        id: str | None = None,  # noqa: A002 - the word for it everywhere
        reason: str = "",
        by: str = "",
    ) -> str:
        """Start a run of a schedule now, on or off, regardless of other runs; return the run's id.

        Each `id` starts one run, however often.
        """
        await _known(self._edge, name)
        order = id or uuid4().hex
        message = TriggerSchedule(key=name, id=order, format=SCHEDULES, by=by, reason=reason)
        await self._order(message, "trigger")
        return run_by_order(name, order)

    async def backfill_schedule(
        self,
        name: str,
        since: datetime,
        until: datetime,
        *,
        preview: bool = False,
        pace: Duration = "1s",
        reason: str = "",
        by: str = "",
    ) -> Backfill:
        """Start runs for the moments of a schedule from `since` to before `until`, one each `pace`.

        A moment with a run gets no second one, so a repeat is harmless; with `preview` nothing is
        started. They begin regardless of other runs. At most 10,000 moments.
        """
        edge = self._edge
        body = await _known(edge, name)
        begin, end = since_epoch("since", since), since_epoch("until", until)
        if end > since_epoch("now", edge.now()):
            text = f"until={until} is still to come: a back-fill is for moments of the past"
            raise RejectedError("bad_moment", text)
        every = moments(_plan(body).rule, begin - 1, body.created, end)
        found = list(islice(every, BACKFILL_MAX + 1))
        if len(found) > BACKFILL_MAX:
            text = f"schedule {name!r} has more than {BACKFILL_MAX} moments then: take a shorter range"
            raise RejectedError("too_many", text)
        if not preview and found:
            messages = _backfills(name, found, max(1, milliseconds(pace)), reason, by)
            await edge.send_all(messages, f"fill in schedule {name!r}")
        return Backfill(tuple(map(moment, found)), is_ordered=not preview)

    async def schedules(self, *, limit: int = 1_000, after: str = "") -> list[ScheduleState]:
        """Return a page of the schedules, by name, beyond the name `after`."""
        edge = self._edge
        if not 1 <= limit <= LIMIT_MAX:
            raise RejectedError("bad_limit", f"limit= takes 1 to {LIMIT_MAX}, not {limit}")
        found = await edge.ask(
            lambda: edge.ports.views.schedule_list(after=after, limit=limit), "list schedules"
        )
        return [_state(edge, stored) for stored in found]

    async def schedule(self, name: str) -> ScheduleState:
        """Return a schedule with firings."""
        edge = self._edge
        stored = await _stored(edge, name)
        if stored is None:
            raise _unknown(name)
        rows = await edge.ask(lambda: edge.ports.views.schedule_firings(name), "read firings")
        firings = sorted((read_firing(row) for row in rows), key=lambda f: (f.at, f.moment), reverse=True)
        shown = tuple(
            FiringState(
                f.run, moment(f.moment), f.cause, f.status, moment(f.at),
                moment(f.ended), f.failure,
            )
            for f in firings
        )  # fmt: skip
        return _state(edge, stored)._replace(firings=shown)

    async def _set(self, message: SetSchedule, plan: Plan, *, has_new_rule: bool) -> None:
        edge = self._edge
        await check_queue(edge, plan.queue)
        now = since_epoch("now", edge.now())
        if has_new_rule and not next_moments(plan.rule, now, now, 1):
            text = f"schedule {message.key!r} never fires from now on: give a rule with a moment to come"
            raise RejectedError("never_fires", text)
        await self._order(message, "set")

    async def _order(self, message: Message, doing: str) -> None:
        await self._edge.send(message, f"{doing} schedule {message.key!r}")


def _backfills(name: str, found: Sequence[int], pace_ms: int, reason: str, by: str) -> list[Message]:
    return [
        BackfillSchedule(
            key=name, id=uuid4().hex, format=SCHEDULES, moments=tuple(found[at : at + _PORTION]),
            pace_ms=pace_ms, by=by, reason=reason,
        )
        for at in range(0, len(found), _PORTION)
    ]  # fmt: skip


async def _stored(edge: Edge, name: str) -> StoredSchedule | None:
    return await edge.ask(lambda: edge.ports.views.schedule_get(name), "read a schedule")


async def _known(edge: Edge, name: str) -> ScheduleBody:
    stored = await _stored(edge, name)
    if stored is None:
        raise _unknown(name)
    return read_body(stored.body)


def _unknown(name: str) -> RejectedError:
    text = f"there is no schedule {name[:128]!r}: `stream-durable schedules list` shows the schedules"
    return RejectedError("unknown_schedule", text)


def _plan(body: ScheduleBody) -> Plan:
    plan = body.changed or body.declared
    assert plan is not None, "a schedule that exists has a plan"
    return plan


def _state(edge: Edge, stored: StoredSchedule) -> ScheduleState:
    body = read_body(stored.body)
    plan, off = _plan(body), body.off
    now = since_epoch("now", edge.now())
    due = None if body.next is None else jittered(plan.rule, stored.name, body.next)
    coming = next_moments(plan.rule, max(now, body.after), body.created, 10)
    return ScheduleState(
        name=stored.name,
        workflow=plan.workflow,
        rule=described(plan.rule),
        timezone=plan.rule.zone,
        is_on=off is None,
        reason="" if off is None else off.reason,
        off_since=None if off is None else moment(off.at),
        off_by="" if off is None else off.by,
        off_cause="" if off is None else off.cause,
        next=moment(due),
        created=moment(body.created),
        overlap=plan.overlap,
        app=body.app,
        undeclared=moment(body.undeclared),
        is_changed=body.changed is not None,
        missed=body.missed,
        failures=body.failures,
        input=msgspec.json.decode(plan.input),
        moments=tuple(map(moment, coming)),
        orders=order_states(body.orders),
    )


def described(rule: Rule) -> str:
    """Return a rule in a few words."""
    if rule.cron:
        return "cron " + ", ".join(rule.cron)
    if rule.every_ms is not None:
        return f"every {rule.every_ms / 1_000:g} s"
    if rule.after_ms is not None:
        return f"once, {rule.after_ms / 1_000:g} s after its creation"
    return f"at {len(rule.at)} moment{'s' if len(rule.at) > 1 else ''}"
