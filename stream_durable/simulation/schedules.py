"""Promises about schedules: each moment is settled once and in order, and none is passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from stream_durable.core.messages import (
    DeclareSchedule,
    DeleteSchedule,
    PauseSchedule,
    ResumeSchedule,
    SetSchedule,
    StartScheduled,
)
from stream_durable.core.run.state import Run
from stream_durable.core.schedule import rows
from stream_durable.core.schedule.rows import FiringRow, ScheduleRow
from stream_durable.core.schedule.rule import Rule
from stream_durable.core.schedule.state import STARTED
from stream_durable.core.tables import Rows
from stream_durable.simulation.causes import differences
from stream_durable.simulation.oracle import Oracle, Turn
from stream_durable.simulation.world import World

#: After these the next moment may be a later one: the rule counts from then on.
_BREAKS = (SetSchedule, DeclareSchedule, PauseSchedule, ResumeSchedule, DeleteSchedule)


def rows_of_schedules_are_the_fold(world: World, oracle: Oracle) -> Iterator[str]:
    """The stored rows equal the fold of the inbox, and the stored timers those of the schedules."""
    found, firings, timers = {}, {}, {}
    for schedule in oracle.schedules():
        schedule.is_touched = True
        schedule.touched = dict.fromkeys(schedule.firings)
        written = Rows()
        rows.write(schedule, written)
        found.update({row.id: row for row in written.of(ScheduleRow) if row.body is not None})
        firings.update({row[:2]: row for row in written.of(FiringRow)})
        for name, due in (("", schedule.timer), ("backfill", schedule.pace_due)):
            if due is not None:
                timers["schedule", schedule.id, name] = due
    tables = world.store.tables
    yield from differences("schedule", tables.rows[ScheduleRow], found)
    yield from differences("firing", tables.rows[FiringRow], firings)
    stored = {key: due for key, (_, due) in tables.timers.items() if key[0] == "schedule"}
    yield from differences("timer of a schedule", stored, timers)


def no_moment_fires_twice(world: World, oracle: Oracle) -> Iterator[str]:
    """Each moment of a schedule has one run: no second start of it is another run."""
    runs: Counter[tuple[str, int]] = Counter()
    for run in oracle.runs():
        scheduled = None if run.requests is None else run.requests.scheduled
        if scheduled is not None and "@" not in run.id:
            runs[scheduled.schedule, scheduled.moment] += 1
    for (schedule, moment), count in runs.items():
        if count != 1:
            yield f"moment {moment} of {schedule} has {count} runs"


def no_moment_is_passed_over(world: World, oracle: Oracle) -> Iterator[str]:
    """Between orders, settled moments are all multiples of the interval, in order, up to the end."""
    for name, turns in oracle.turns.items():
        before: Turn | None = None
        for turn in turns:
            if before is not None and turn.after != before.after and not isinstance(turn.message, _BREAKS):
                yield from _settled(name, before, turn)
            before = turn
    for schedule in oracle.schedules():
        plan = schedule.plan
        if schedule.exists and schedule.off is None and plan is not None and plan.rule.end is not None:
            missed = _multiples(plan.rule, schedule.after, plan.rule.end)
            if missed:
                yield f"{schedule.id} has not settled {missed} at the end of the world"


def _settled(name: str, before: Turn, turn: Turn) -> Iterator[str]:
    rule = turn.rule
    if rule is None or before.rule != rule:
        return
    wanted = _multiples(rule, before.after, turn.after + 1)
    if wanted != [turn.after]:
        yield f"{name} settled {turn.after} after {before.after}, where {wanted} are due"


def _multiples(rule: Rule, after: int, until: int) -> list[int]:
    """Return the moments of an interval after one and before another, by counting."""
    assert rule.every_ms is not None
    end = until if rule.end is None else min(until, rule.end)
    first = after - after % rule.every_ms + rule.every_ms
    return list(range(first, end, rule.every_ms))


def settled_moments_are_started_or_accounted_for(world: World, oracle: Oracle) -> Iterator[str]:
    """Where runs may overlap, each settled moment starts a run, and no other moment does."""
    starts = {(m.schedule, m.moment) for m in oracle.messages if isinstance(m, StartScheduled)}
    for name, turns in oracle.turns.items():
        before: Turn | None = None
        for turn in turns:
            is_settled = before is not None and turn.after != before.after
            is_settled = is_settled and not isinstance(turn.message, _BREAKS)
            if is_settled and turn.overlap == "allow" and (name, turn.after) not in starts:
                yield f"{name} settled {turn.after}, and started nothing"
            before = turn


def ends_reach_their_schedules(world: World, oracle: Oracle) -> Iterator[str]:
    """No firing counts as under way once its run has ended."""
    for schedule in () if world.lives.has_losses else oracle.schedules():
        for firing in schedule.firings.values():
            run = oracle.entities.get(("run", firing.run))
            has_ended = isinstance(run, Run) and run.has_ended
            if firing.status == STARTED and (run is None or has_ended):
                yield f"{schedule.id} takes run {firing.run} for one under way"


SCHEDULES: tuple[Callable[[World, Oracle], Iterator[str]], ...] = (
    rows_of_schedules_are_the_fold,
    no_moment_fires_twice,
    no_moment_is_passed_over,
    settled_moments_are_started_or_accounted_for,
    ends_reach_their_schedules,
)
