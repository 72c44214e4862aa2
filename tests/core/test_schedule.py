"""Schedules: one firing for each moment, what happens where runs overlap, and what turns one off."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOON, Saved, lasting_picture
from msgspec import Raw

from stream_durable.core.effects import Effects
from stream_durable.core.entities import timer_fired
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.fold import create, fold
from stream_durable.core.ids import roll_id
from stream_durable.core.messages import (
    BackfillSchedule,
    CancelRun,
    DeclaredSchedules,
    DeclareSchedule,
    DeleteSchedule,
    Message,
    PauseSchedule,
    Plan,
    ResumeSchedule,
    ScheduledRunEnded,
    ScheduleNext,
    SetSchedule,
    StartScheduled,
    TriggerSchedule,
    UndeclareSchedule,
)
from stream_durable.core.schedule.planning import ASK_AGAIN_MS, PACE
from stream_durable.core.schedule.rule import Rule
from stream_durable.core.schedule.state import KEPT_MAX, Schedule, iso
from stream_durable.core.status import Outcome

MINUTE = 60_000
HOUR = 60 * MINUTE
FORMAT: dict[str, Any] = {"key": "nightly", "format": 2}
HOURLY = Rule(every_ms=HOUR)


def plan(rule: Rule = HOURLY, **more: Any) -> Plan:
    return Plan(rule=rule, workflow="report", input=Raw(b'{"a":1}'), **more)


class Told:
    """A schedule, stored and loaded again after each message; what it says to itself reaches it at once."""

    def __init__(self, *, is_blank: bool = False, **more: Any) -> None:
        self.now = NOON
        self.schedule = Schedule("nightly", 3)
        self.saved = Saved()
        self.starts: list[StartScheduled] = []
        self.cancels: list[CancelRun] = []
        if not is_blank:
            self.set(**more)

    def set(self, id: str = "set", **more: Any) -> Outcome:  # noqa: A002
        return self.tell(SetSchedule(**FORMAT, id=id, plan=plan(**more), is_new=not self.schedule.exists))

    def tell(self, message: Message) -> Outcome:
        said: list[Message] = [message]
        outcomes = []
        while said:
            effects = Effects()
            outcomes.append(fold(self.schedule, said.pop(0), self.now, effects))
            said += [one for one in effects.messages if one.kind == "schedule"]
            self.starts += [one for one in effects.messages if isinstance(one, StartScheduled)]
            self.cancels += [one for one in effects.messages if isinstance(one, CancelRun)]
            self.saved.save(self.schedule)
            self.saved.save_timers(effects)
            again = self.saved.load_schedule("nightly", 3)
            if self.schedule.exists:
                assert lasting_picture(again) == lasting_picture(self.schedule)
            self.schedule = again
        return outcomes[0]

    def due(self, name: str = "") -> int | None:
        row = self.saved.timers.get(("schedule", "nightly", name))
        assert (None if row is None else row.due) == (self.schedule.pace_due if name else self.schedule.timer)
        return None if row is None else row.due

    def fire(self, name: str = "", late: int = 0) -> Outcome:
        due = self.due(name)
        assert due is not None
        self.now = max(self.now, due) + late
        return self.tell(timer_fired("schedule", "nightly", name, due))

    def end(self, run: str, status: str = "completed", failure: Failure | None = None) -> Outcome:
        return self.tell(ScheduledRunEnded(**FORMAT, run=run, status=status, failure=failure))

    @property
    def moments(self) -> list[int]:
        return list(dict.fromkeys(start.moment for start in self.starts))

    @property
    def statuses(self) -> list[str]:
        return [one.status for one in self.schedule.latest()]


def at(hours: int) -> int:
    """Return the full hour so many hours after noon."""
    return NOON - NOON % HOUR + hours * HOUR


def run_at(hours: int) -> str:
    return f"nightly//{iso(at(hours))}"


def test_a_moment_starts_one_run_whose_id_follows_from_it() -> None:
    told = Told(timeout_ms=5_000, tags=("x",), queue="fast", priority=3, metadata=Raw(b'{"b":2}'))
    assert told.due() == at(1)

    assert told.fire() is Outcome.APPLIED

    [start] = told.starts
    assert (start.key, start.id, start.schedule, start.moment) == (run_at(1), run_at(1), "nightly", at(1))
    assert (start.workflow, start.fingerprint, bytes(start.input)) == ("report", "", b'{"a":1}')
    assert (start.timeout_ms, start.tags, start.queue, start.priority) == (5_000, ("x",), "fast", 3)
    assert told.due() == at(2)


def test_what_comes_again_fires_nothing() -> None:
    told = Told(overlap="allow")
    old = told.due()
    assert old is not None
    told.fire()
    asked = ScheduleNext(**FORMAT, revision=told.schedule.revision, after=at(0), at=at(1))

    assert told.tell(timer_fired("schedule", "nightly", "", old)) is Outcome.LATE
    assert told.tell(asked) is Outcome.LATE
    assert told.set() is Outcome.DUPLICATE
    assert told.moments == [at(1)]


def test_a_timer_by_a_clock_that_is_fast_waits_for_the_log() -> None:
    told = Told(overlap="allow")
    due = told.due()
    assert due is not None
    told.now = due - 5 * MINUTE
    assert told.tell(timer_fired("schedule", "nightly", "", due)) is Outcome.LATE
    assert (told.due(), told.starts) == (due, [])


def test_moments_that_went_by_are_caught_up_within_the_window() -> None:
    told = Told(overlap="allow", catch_up_ms=3 * HOUR)

    told.fire(late=6 * HOUR + MINUTE)

    # The first one was due six hours ago; of those after it, three are no older than the window.
    assert told.moments == [at(5), at(6), at(7)]
    assert told.schedule.missed == 4
    assert told.due() == at(8)


def test_a_clock_that_leaps_by_an_hour_loses_no_moment() -> None:
    told = Told(rule=Rule(every_ms=10 * MINUTE), overlap="allow")
    told.fire(late=HOUR)
    assert (
        told.moments
        == [at(0) + n * 10 * MINUTE for n in range(told.moments[0] % HOUR // (10 * MINUTE), 20)][
            : len(told.moments)
        ]
    )
    assert len(told.moments) == 7
    assert told.schedule.missed == 0


def test_jitter_delays_a_moment_and_names_it_all_the_same() -> None:
    told = Told(rule=Rule(every_ms=HOUR, jitter_ms=10 * MINUTE))
    due = told.due()
    assert due is not None
    assert at(1) < due < at(1) + 10 * MINUTE
    told.fire()
    assert told.moments == [at(1)]


def test_an_answer_that_is_lost_is_asked_for_once_more() -> None:
    told = Told()
    effects = Effects()
    told.now = at(1)
    fold(told.schedule, timer_fired("schedule", "nightly", "", at(1)), told.now, effects)
    assert told.schedule.next is None
    assert told.schedule.timer == at(1) + ASK_AGAIN_MS
    told.saved.save(told.schedule)
    told.saved.save_timers(effects)
    told.fire()
    assert told.schedule.next == at(2)


def test_a_rule_without_another_moment_sleeps() -> None:
    told = Told(rule=Rule(at=(at(1),)))
    told.fire()
    assert (told.moments, told.due(), told.schedule.has_no_more) == ([at(1)], None, True)


def test_a_zone_that_this_machine_does_not_know_turns_it_off() -> None:
    told = Told(rule=Rule(cron=("0 * * * *",), zone="Europe/Atlantis"))
    off = told.schedule.off
    assert off is not None
    assert off.cause == "rule"
    assert "Atlantis" in off.reason


def test_skip_leaves_out_a_firing_while_a_run_is_under_way() -> None:
    told = Told()
    told.fire()
    told.fire()
    assert (told.moments, told.statuses) == ([at(1)], ["started", "skipped"])
    told.end(run_at(1))
    told.fire()
    assert told.moments == [at(1), at(3)]


def test_one_firing_waits_for_the_run_under_way() -> None:
    told = Told(overlap="queue_one")
    for _ in range(3):
        told.fire()
    assert told.statuses == ["started", "queued", "skipped"]
    told.end(run_at(1))
    assert told.moments == [at(1), at(2)]
    told.end(run_at(2))
    assert told.moments == [at(1), at(2)]


def test_all_firings_wait_for_the_run_under_way() -> None:
    told = Told(overlap="queue_all")
    for _ in range(3):
        told.fire()
    for n in (1, 2, 3):
        told.end(run_at(n))
    assert told.moments == [at(1), at(2), at(3)]


def test_the_run_under_way_is_cancelled_and_then_the_next_one_starts() -> None:
    told = Told(overlap="cancel")
    for _ in range(3):
        told.fire()
    assert (told.moments, told.statuses) == ([at(1)], ["started", "skipped", "queued"])
    assert {one.key for one in told.cancels} == {run_at(1)}
    told.end(run_at(1), "cancelled")
    assert told.moments == [at(1), at(3)]
    assert told.schedule.failures == 0


def test_overlap_may_be_allowed() -> None:
    told = Told(overlap="allow")
    for _ in range(3):
        told.fire()
    assert told.moments == [at(1), at(2), at(3)]


def test_a_run_that_holds_up_others_for_long_is_asked_for_its_end() -> None:
    told = Told()
    for _ in range(3):
        told.fire()
    # Its end may be lost with a log: a start of a run that has ended reports the end once more.
    assert [start.key for start in told.starts] == [run_at(1)] * 3
    assert told.end(run_at(1)) is Outcome.APPLIED
    told.fire()
    assert told.moments[-1] == at(4)


def test_failures_in_a_row_turn_it_off_with_the_reason() -> None:
    told = Told(disable_after=2, overlap="queue_all")
    told.fire()
    told.end(run_at(1), "failed", Failure("boom", "no paper"))
    told.fire()
    told.end(run_at(2), "completed")
    for hour in (3, 4):
        assert told.schedule.off is None
        told.fire()
        told.end(run_at(hour), "compensated", Failure("boom", "no paper"))
    off = told.schedule.off
    assert off is not None
    assert off.cause == "failures"
    assert "2 firings in a row failed" in off.reason
    assert "boom: no paper" in off.reason
    assert told.due() is None

    told.tell(ResumeSchedule(**FORMAT, id="on"))
    assert (told.schedule.failures, told.due()) == (0, at(5))


def test_moments_while_it_is_off_do_not_fire() -> None:
    told = Told()
    assert told.tell(PauseSchedule(**FORMAT, id="p", by="ann", reason="holiday")) is Outcome.APPLIED
    assert told.tell(PauseSchedule(**FORMAT, id="p2")) is Outcome.DUPLICATE
    assert told.due() is None
    told.now = at(5) + 1
    assert told.tell(ResumeSchedule(**FORMAT, id="r")) is Outcome.APPLIED
    assert told.tell(ResumeSchedule(**FORMAT, id="r2")) is Outcome.DUPLICATE
    assert (told.moments, told.due()) == ([], at(6))


def test_what_waited_goes_on_when_it_is_turned_on() -> None:
    told = Told(overlap="queue_one")
    told.fire()
    told.fire()
    told.tell(PauseSchedule(**FORMAT, id="p"))
    told.end(run_at(1))
    assert told.moments == [at(1)]
    told.tell(ResumeSchedule(**FORMAT, id="r"))
    assert told.moments == [at(1), at(2)]


def test_a_trigger_starts_a_run_once_even_while_it_is_off() -> None:
    told = Told()
    told.tell(PauseSchedule(**FORMAT, id="p"))
    order = TriggerSchedule(**FORMAT, id="t1")
    assert told.tell(order) is Outcome.APPLIED
    assert told.tell(order) is Outcome.DUPLICATE
    [start] = told.starts
    assert (start.key, start.moment) == ("nightly//@t1", NOON)


def test_another_rule_counts_from_now_and_other_changes_leave_moments_alone() -> None:
    told = Told()
    told.now = at(0) + 30 * MINUTE
    told.set("c1", overlap="allow")
    assert told.due() == at(1)
    told.set("c2", rule=Rule(every_ms=10 * MINUTE), overlap="allow")
    assert told.due() == at(0) + 40 * MINUTE


def test_what_the_code_says_lies_beneath_what_was_changed() -> None:
    told = Told(is_blank=True)
    declared = DeclareSchedule(**FORMAT, id="d1", app="shop", plan=plan())
    assert told.tell(declared) is Outcome.APPLIED
    assert told.tell(declared) is Outcome.DUPLICATE
    told.set("c1", rule=Rule(every_ms=2 * HOUR))
    told.tell(PauseSchedule(**FORMAT, id="p"))
    again = DeclareSchedule(**FORMAT, id="d2", app="shop", plan=plan(rule=Rule(every_ms=3 * HOUR)))
    assert told.tell(again) is Outcome.APPLIED
    assert told.schedule.off is not None
    assert told.schedule.plan == plan(rule=Rule(every_ms=2 * HOUR))

    assert told.tell(SetSchedule(**FORMAT, id="back")) is Outcome.APPLIED
    assert told.schedule.plan == plan(rule=Rule(every_ms=3 * HOUR))


def test_one_that_the_code_declares_no_longer_is_marked_and_goes_on() -> None:
    roll = Schedule(roll_id("shop"), 0)
    effects = Effects()
    call = DeclaredSchedules(key=roll.id, format=2, id="r1", app="shop", names=("nightly", "hourly"))
    assert fold(roll, call, NOON, effects) is Outcome.APPLIED
    assert fold(roll, call, NOON, effects) is Outcome.DUPLICATE
    assert effects.messages == []
    fold(
        roll, DeclaredSchedules(key=roll.id, format=2, id="r2", app="shop", names=("hourly",)), NOON, effects
    )
    [gone] = effects.messages
    assert gone == UndeclareSchedule(**FORMAT, app="shop")

    told = Told(is_blank=True)
    told.tell(DeclareSchedule(**FORMAT, id="d1", app="shop", plan=plan()))
    assert told.tell(gone) is Outcome.APPLIED
    assert told.tell(gone) is Outcome.DUPLICATE
    assert told.schedule.undeclared == NOON
    assert told.fire() is Outcome.APPLIED
    assert told.moments == [at(1)]
    told.tell(DeclareSchedule(**FORMAT, id="d2", app="shop", plan=plan()))
    assert told.schedule.undeclared is None


def test_a_deleted_one_leaves_nothing_behind() -> None:
    told = Told(overlap="queue_all")
    told.fire()
    told.fire()
    assert told.tell(DeleteSchedule(**FORMAT, id="x")) is Outcome.APPLIED
    assert not told.saved.schedules
    assert not told.saved.firings
    assert not told.saved.timers
    assert told.end(run_at(1)) is Outcome.LATE
    with pytest.raises(RejectedError, match="no schedule 'nightly'"):
        told.tell(DeleteSchedule(**FORMAT, id="y"))
    assert told.set("again") is Outcome.APPLIED
    assert told.due() == at(3)


def test_moments_of_the_past_fire_one_after_another_and_once() -> None:
    told = Told()
    moments = (at(-3), at(-2), at(-1))
    order = BackfillSchedule(**FORMAT, id="b1", moments=moments, pace_ms=5_000)
    assert told.tell(order) is Outcome.APPLIED
    assert told.tell(order) is Outcome.DUPLICATE
    assert (told.moments, told.due(PACE)) == ([at(-3)], NOON + 5_000)
    told.tell(BackfillSchedule(**FORMAT, id="b2", moments=moments, pace_ms=5_000))
    told.fire(PACE)
    told.fire(PACE)
    assert (told.moments, told.due(PACE)) == ([at(-3), at(-2), at(-1)], None)
    # They do not hold up what is due meanwhile.
    told.fire()
    assert told.moments[-1] == at(1)


def test_a_moment_that_a_back_fill_asked_for_is_not_left_out() -> None:
    told = Told(rule=Rule(every_ms=HOUR, jitter_ms=10 * MINUTE), overlap="skip")
    told.fire()
    # With jitter the moment is past before it fires; and a back-fill of the past is asked to wait.
    told.now = at(2)
    told.tell(BackfillSchedule(**FORMAT, id="b1", moments=(at(-1), at(2)), pace_ms=HOUR))
    told.fire()
    told.end(run_at(1))
    told.end(run_at(-1))
    told.fire(PACE)
    assert told.moments == [at(1), at(-1), at(2)]


def test_what_is_filled_in_does_not_count_as_a_failure_in_a_row() -> None:
    told = Told(disable_after=1)
    told.tell(BackfillSchedule(**FORMAT, id="b1", moments=(at(-1),)))
    told.end(run_at(-1), "failed", Failure("boom"))
    assert (told.schedule.failures, told.schedule.off) == (0, None)


def test_a_moment_that_has_fired_is_not_filled_in() -> None:
    told = Told()
    told.fire()
    told.tell(BackfillSchedule(**FORMAT, id="b1", moments=(at(1),)))
    assert told.moments == [at(1)]


def test_a_back_fill_takes_moments_of_the_past_alone() -> None:
    with pytest.raises(RejectedError, match="still to come"):
        Told(overlap="skip").tell(BackfillSchedule(**FORMAT, id="b1", moments=(at(9),)))


def test_the_latest_firings_are_kept() -> None:
    told = Told(overlap="allow")
    for _ in range(KEPT_MAX + 20):
        told.fire()
        told.end(told.starts[-1].key)
    assert len(told.schedule.firings) == KEPT_MAX
    assert told.schedule.latest()[-1].run == told.starts[-1].key


@pytest.mark.parametrize(
    ("message", "code"),
    [(TriggerSchedule(**FORMAT, id="t"), "unknown_schedule"),
     (PauseSchedule(**FORMAT, id="t"), "unknown_schedule"),
     (SetSchedule(**FORMAT, id="t"), "unknown_schedule"),
     (SetSchedule(key="night ly", format=2, id="t", plan=plan(), is_new=True), "bad_name")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(message: Message, code: str) -> None:
    schedule = Schedule(message.key, 0)
    with pytest.raises(RejectedError) as caught:
        fold(schedule, message, NOON, Effects())
    assert caught.value.code == code
    assert not schedule.is_touched


def test_one_that_exists_is_not_created_once_more() -> None:
    told = Told(overlap="skip")
    with pytest.raises(RejectedError, match="there is a schedule 'nightly' already"):
        told.tell(SetSchedule(**FORMAT, id="again", plan=plan(), is_new=True))


def test_the_id_of_a_roll_is_no_name_of_a_schedule() -> None:
    for message in (
        SetSchedule(key=roll_id("shop"), format=2, id="t", plan=plan(), is_new=True),
        DeclaredSchedules(key="shop", format=2, id="t", app="shop"),
    ):
        with pytest.raises(RejectedError) as caught:
            create(message, 0, lambda fingerprint: None)
        assert caught.value.code == "reserved_id"
