"""Schedules broken on purpose, one promise after the other: each breach must be found.

The oracle folds with the same broken code, so only what is promised can tell.
"""

from typing import Any

import pytest
from simulation.broken import found

from stream_durable.core.effects import Effects
from stream_durable.core.run import ending
from stream_durable.core.schedule import firing, fold, planning
from stream_durable.core.schedule import state as states
from stream_durable.core.schedule.moments import next_moment
from stream_durable.core.schedule.rule import Rule
from stream_durable.core.schedule.state import Schedule

#: Workflows that schedules start.
SCHEDULED = ("chain", "bare", "diamond")


def test_a_moment_that_is_passed_over_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def second(rule: Rule, after: int, created: int) -> int | None:
        first = next_moment(rule, after, created)
        return None if first is None else next_moment(rule, first, created)

    monkeypatch.setattr(planning, "next_moment", second)

    found(20, by="no_moment_is_passed_over", only=SCHEDULED)


def test_a_moment_that_is_settled_without_a_run_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "fire_moment", lambda *ignored: None)

    found(20, by="settled_moments_are_started_or_accounted_for", only=SCHEDULED)


def test_ids_that_do_not_follow_from_the_moment_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fire_moment = firing.fire_moment

    def twice(schedule: Schedule, moment: int, now: int, out: Effects) -> None:
        fire_moment(schedule, moment, now, out)
        monkeypatch.setattr(firing, "run_of", lambda name, at: f"{states.run_of(name, at)}-again")
        fire_moment(schedule, moment, now, out)
        monkeypatch.setattr(firing, "run_of", states.run_of)

    monkeypatch.setattr(firing, "fire_moment", twice)

    found(20, by="no_moment_fires_twice", only=SCHEDULED)


def test_a_schedule_that_never_learns_of_an_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "tell_schedule", lambda *ignored: None)

    found(20, by="ends_reach_their_schedules", only=SCHEDULED)


def test_a_timer_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    wake_at = planning.wake_at

    def forgotten(schedule: Schedule, moment: int | None, out: Effects) -> None:
        wake_at(schedule, moment, out)
        if schedule.next is not None:
            out.timers.pop(("schedule", schedule.id, planning.RULE), None)

    monkeypatch.setattr(planning, "wake_at", forgotten)

    found(20, by="rows_of_schedules_are_the_fold", only=SCHEDULED)


def test_the_broken_parts_are_those_that_handlers_use() -> None:
    used: Any = vars(fold)
    assert (used["firing"], used["planning"]) == (firing, planning)
