"""One admission, message by message: who begins, who goes with whom, and what comes late or twice."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOON, Saved
from msgspec import Raw

from stream_durable.core.admission import fold as admission_fold
from stream_durable.core.admission.fold import LEASE_MS, MEMORY_MS
from stream_durable.core.admission.rule import TOGETHER_MAX, BatchRule, DebounceRule, Rule, SingleRule
from stream_durable.core.admission.state import SETTLED_MAX, Admission
from stream_durable.core.effects import EARLY_MS, Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import create, fold
from stream_durable.core.messages import (
    AdmissionAsked,
    AdmissionBegun,
    AdmissionLeft,
    AdmissionTimerFired,
    CancelRun,
    Message,
    RequestDoubted,
    RunAdmitted,
    RunMerged,
)
from stream_durable.core.status import Outcome

KEY = "mail//zoe"


class Meeting:
    """An admission that is stored and loaded again after each message."""

    def __init__(self, rule: Rule, *, reloads: bool = True) -> None:
        self.now, self.rule, self.reloads = NOON, rule, reloads
        self.admission = Admission(KEY, 3)
        self.saved = Saved()
        self.effects = Effects()

    def tell(self, message: Message) -> Outcome:
        self.effects = Effects()
        outcome = fold(self.admission, message, self.now, self.effects)
        if self.reloads:
            self.saved.save(self.admission)
            self.saved.save_timers(self.effects)
            loaded = self.saved.load(self.admission)
            assert isinstance(loaded, Admission)
            self.admission = loaded
            row = self.saved.timers.get(("admission", KEY, ""))
            assert (None if row is None else row.due) == self.admission.due
        return outcome

    def ask(self, run: str, attempt: int = 1, **about: Any) -> Outcome:
        about.setdefault("rule", self.rule)
        return self.tell(AdmissionAsked(key=KEY, run=run, attempt=attempt, format=2, **about))

    def begun(self, run: str, attempt: int = 1) -> Outcome:
        return self.tell(AdmissionBegun(key=KEY, run=run, attempt=attempt, format=2))

    def leave(self, run: str, attempt: int = 1) -> Outcome:
        return self.tell(AdmissionLeft(key=KEY, run=run, attempt=attempt, format=2))

    def fire(self) -> Outcome:
        """Move the clock to the timer, and fire it."""
        due = self.admission.due
        assert due is not None
        self.now = max(self.now, due)
        return self.tell(AdmissionTimerFired(key=KEY, timer="", due=due))

    @property
    def admitted(self) -> list[str]:
        return [one.key for one in self.effects.messages if isinstance(one, RunAdmitted)]

    @property
    def merged(self) -> list[tuple[str, str]]:
        return [(one.key, one.into) for one in self.effects.messages if isinstance(one, RunMerged)]

    @property
    def cancelled(self) -> list[str]:
        return [one.key for one in self.effects.messages if isinstance(one, CancelRun)]

    @property
    def inputs(self) -> list[bytes]:
        [one] = [one for one in self.effects.messages if isinstance(one, RunAdmitted)]
        return [bytes(each) for each in one.inputs]

    @property
    def stages(self) -> dict[str, str]:
        return {run: member.stage for run, member in self.admission.members.items()}

    def settled(self, *runs: str) -> Meeting:
        """Merge these into nothing more: they have said that they are done."""
        for run in runs:
            assert self.leave(run) is Outcome.APPLIED
        return self


DEBOUNCED = DebounceRule(quiet_ms=5_000, cap_ms=12_000)


def test_a_quiet_time_begins_anew_with_each_run_up_to_the_cap() -> None:
    meeting = Meeting(DEBOUNCED)
    for run in ("a", "b", "c"):
        meeting.ask(run)
        meeting.now += 4_000
    while not meeting.admitted:
        assert meeting.fire() is Outcome.APPLIED
    assert (meeting.admitted, meeting.now) == (["c"], NOON + 12_000), "the cap counts from the first"
    assert meeting.stages == {"a": "joined", "b": "joined", "c": "let_in"}
    assert meeting.begun("c") is Outcome.APPLIED
    assert meeting.merged == [("a", "c"), ("b", "c")]
    assert meeting.settled("a", "b").stages == {"c": "settled", "a": "settled", "b": "settled"}


def test_one_that_comes_after_the_quiet_time_begins_a_new_one() -> None:
    meeting = Meeting(DEBOUNCED)
    meeting.ask("a")
    meeting.fire()
    meeting.ask("b")
    assert (meeting.admitted, meeting.stages) == ([], {"a": "let_in", "b": "waiting"})
    meeting.begun("a")
    assert meeting.merged == []
    meeting.fire()
    assert meeting.admitted == ["b"]


def test_inputs_go_in_order_to_the_run_that_begins_and_are_kept_no_longer() -> None:
    meeting = Meeting(DebounceRule(quiet_ms=5_000, is_for_all=True))
    for run in "abc":
        meeting.ask(run, input=Raw(f'"{run}"'.encode()))
    meeting.fire()
    assert meeting.inputs == [b'"a"', b'"b"', b'"c"']
    meeting.begun("c")
    assert [member.input for member in meeting.admission.members.values()] == [None] * 3
    assert meeting.admission.size == 0


def test_a_batch_begins_when_full_or_in_time_and_large_inputs_close_it_early() -> None:
    meeting = Meeting(BatchRule(size=2, within_ms=9_000))
    meeting.ask("a", input=Raw(b"1"))
    assert (meeting.admitted, meeting.admission.due) == ([], NOON + 9_000)
    meeting.ask("b", input=Raw(b"2"))
    assert (meeting.admitted, meeting.inputs) == (["b"], [b"1", b"2"])
    meeting.ask("c", input=Raw(b'"' + b"x" * 700_000 + b'"'))
    meeting.ask("d", input=Raw(b'"' + b"x" * 700_000 + b'"'))
    assert meeting.admitted == ["c"], "both do not fit"
    meeting.now += 1
    meeting.fire()
    assert meeting.admitted == ["d"]


def test_a_debounced_run_beyond_the_bound_merges_at_once() -> None:
    meeting = Meeting(DebounceRule(quiet_ms=5_000), reloads=False)
    for number in range(TOGETHER_MAX - 1):
        meeting.ask(f"r{number}")
    assert meeting.merged == []
    meeting.ask("last")
    assert meeting.merged == [("r1", "last")], "the cap counts from the oldest, which stays"


@pytest.mark.parametrize(
    ("busy", "merged", "waiting", "cancelled"),
    [
        ("skip", [("b", "a")], [], []),
        ("replace", [], ["b"], ["a"]),
        ("queue", [], ["b"], []),
        ("newest", [], ["b"], []),
    ],
)
def test_one_that_comes_while_another_is_under_way(
    busy: Any, merged: list[tuple[str, str]], waiting: list[str], cancelled: list[str]
) -> None:
    meeting = Meeting(SingleRule(busy=busy))
    meeting.ask("a")
    assert meeting.admitted == ["a"]
    meeting.begun("a")
    meeting.ask("b")
    assert (meeting.merged, meeting.admission.waiting) == (merged, waiting)
    assert (meeting.cancelled, meeting.admitted) == (cancelled, [])
    meeting.leave("a")
    assert meeting.admitted == waiting


def test_a_queue_goes_by_priority_then_age_and_the_newest_takes_the_others_in() -> None:
    queue, newest = Meeting(SingleRule(busy="queue")), Meeting(SingleRule(busy="newest"))
    for meeting in (queue, newest):
        meeting.ask("a")
        meeting.begun("a")
        for run, priority in (("b", 0), ("c", 50), ("d", 0)):
            meeting.ask(run, priority=priority)
        meeting.leave("a")
    assert (queue.admitted, newest.admitted) == (["c"], ["d"])
    newest.begun("d")
    assert newest.merged == [("b", "d"), ("c", "d")]


def test_who_skips_waits_until_the_one_under_way_has_begun() -> None:
    meeting = Meeting(SingleRule())
    meeting.ask("a")
    meeting.ask("b")
    assert (meeting.merged, meeting.stages) == ([], {"a": "let_in", "b": "waiting"})
    meeting.leave("a")
    assert meeting.admitted == ["b"], "the first was cancelled before it began"


def test_a_replaced_run_that_begins_after_all_gives_its_members_back() -> None:
    meeting = Meeting(SingleRule(busy="replace"))
    meeting.ask("a")
    meeting.begun("a")
    meeting.ask("b")
    meeting.ask("c")
    meeting.leave("a")
    assert meeting.admitted == ["c"] and meeting.stages["b"] == "joined"
    meeting.ask("d")
    assert meeting.cancelled == ["c"]
    meeting.begun("c")
    assert (meeting.merged, meeting.admission.waiting) == ([], ["b", "d"])
    meeting.leave("c")
    assert meeting.admitted == ["d"]
    meeting.begun("d")
    assert meeting.merged == [("b", "d")]


def test_a_run_cancelled_before_it_began_gives_those_that_went_with_it_back() -> None:
    meeting = Meeting(DEBOUNCED)
    for run in "abc":
        meeting.ask(run)
    meeting.fire()
    meeting.leave("c")
    assert (meeting.admitted, meeting.merged) == (["b"], []), "their quiet time is over"
    assert meeting.leave("a") is Outcome.APPLIED
    meeting.begun("b")
    assert (meeting.merged, meeting.stages["a"]) == ([], "settled")


def test_what_comes_twice_or_late_changes_nothing() -> None:
    meeting = Meeting(DEBOUNCED)
    meeting.ask("a")
    assert meeting.ask("a") is Outcome.DUPLICATE
    assert meeting.begun("a") is Outcome.LATE, "it was not let in"
    assert meeting.leave("a", attempt=2) is Outcome.LATE
    meeting.fire()
    assert meeting.ask("a") is Outcome.APPLIED and meeting.admitted == ["a"], "the answer may be lost"
    assert meeting.ask("a", attempt=0) is Outcome.LATE
    assert meeting.begun("nobody") is Outcome.LATE
    meeting.begun("a")
    for late in (meeting.ask, meeting.begun, meeting.leave):
        assert late("a") is Outcome.LATE and meeting.effects.messages == []
    assert meeting.ask("a", attempt=2) is Outcome.APPLIED
    assert meeting.stages == {"a": "waiting"}, "it was retried as a whole"


def test_a_timer_fires_once_and_not_before_its_time() -> None:
    meeting = Meeting(DEBOUNCED)
    meeting.ask("a")
    due = meeting.admission.due
    assert due is not None
    timer = AdmissionTimerFired(key=KEY, timer="", due=due)
    meeting.now = due - EARLY_MS - 1
    assert meeting.tell(timer) is Outcome.LATE and meeting.admitted == []
    meeting.now = due - EARLY_MS
    assert meeting.tell(timer) is Outcome.APPLIED and meeting.admitted == ["a"]
    assert meeting.tell(timer) is Outcome.LATE


def test_an_answer_is_repeated_after_a_lease_and_what_nobody_uses_is_forgotten() -> None:
    meeting = Meeting(SingleRule())
    meeting.ask("a")
    assert meeting.fire() is Outcome.APPLIED
    assert (meeting.now, meeting.admitted) == (NOON + LEASE_MS, ["a"])
    meeting.begun("a")
    meeting.leave("a")
    meeting.fire()
    while meeting.admission.due is not None:
        meeting.fire()
    assert meeting.admission.is_over and not meeting.saved.admissions and not meeting.saved.members


def test_only_the_latest_of_those_that_are_done_are_remembered() -> None:
    meeting = Meeting(SingleRule(), reloads=False)
    for number in range(SETTLED_MAX + 3):
        meeting.ask(f"r{number}")
        meeting.begun(f"r{number}")
        meeting.leave(f"r{number}")
    assert len(meeting.admission.members) == SETTLED_MAX
    assert "r2" not in meeting.admission.members and "r3" in meeting.admission.members


def test_many_that_skip_merge_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_fold, "PORTION", 3)
    meeting = Meeting(SingleRule())
    meeting.ask("first")
    for number in range(7):
        meeting.ask(f"r{number}")
    meeting.begun("first")
    portions = [meeting.merged]
    while meeting.admission.waiting:
        meeting.fire()
        portions.append(meeting.merged)
    assert list(map(len, portions)) == [3, 3, 1]
    assert [run for each in portions for run, _ in each] == [f"r{number}" for number in range(7)]


def test_the_rule_of_the_run_that_asked_last_holds_for_all() -> None:
    meeting = Meeting(DEBOUNCED)
    meeting.ask("a")
    meeting.ask("b", rule=SingleRule(busy="queue"))
    assert meeting.admitted == ["a"]
    meeting.ask("c", rule=DebounceRule(quiet_ms=1_000, is_for_all=True), input=Raw(b"1"))
    assert meeting.admitted == ["b"]  # its input was not kept, and would not be among those of all
    meeting.ask("d", rule=BatchRule(size=2, within_ms=1_000), input=Raw(b"2"))
    assert meeting.admitted == ["d"]
    assert meeting.stages == {"a": "let_in", "b": "let_in", "c": "joined", "d": "let_in"}


def test_who_was_let_in_before_starts_came_to_be_one_at_a_time_is_told_to_report_its_end() -> None:
    meeting = Meeting(BatchRule(size=1, within_ms=1_000))
    meeting.ask("a", input=Raw(b"1"))
    [told] = meeting.effects.messages
    assert isinstance(told, RunAdmitted)
    assert not told.is_single
    meeting.ask("b", rule=SingleRule(busy="queue"))
    [told] = meeting.effects.messages
    assert isinstance(told, RunAdmitted)
    assert (told.key, told.is_single) == ("a", True)
    meeting.begun("a")
    assert meeting.stages == {"a": "begun", "b": "waiting"}
    meeting.leave("a")
    assert meeting.admitted == ["b"]


def test_an_id_without_two_slashes_is_no_admission() -> None:
    with pytest.raises(RejectedError, match="two slashes and a key"):
        create(AdmissionAsked(key="mail", run="a", attempt=1, rule=SingleRule(), format=2), 0, lambda _: None)


def doubted(meeting: Meeting) -> list[tuple[str, int]]:
    return [(one.key, one.after) for one in meeting.effects.messages if isinstance(one, RequestDoubted)]


def test_a_request_repeated_long_after_is_put_to_the_run_and_takes_nobody_in() -> None:
    meeting = Meeting(BatchRule(size=2, within_ms=9_000))
    for run in "ab":
        meeting.ask(run, input=Raw(b"1"), asked=meeting.now)
    meeting.begun("b")
    meeting.settled("a")
    while meeting.admission.due is not None:
        meeting.fire()
    assert meeting.admission.is_over, "all is forgotten"

    assert meeting.ask("a", input=Raw(b"1"), asked=NOON) is Outcome.LATE
    assert (doubted(meeting), meeting.stages) == ([("a", meeting.now)], {})
    assert meeting.ask("c", input=Raw(b"2"), asked=meeting.now) is Outcome.APPLIED
    assert meeting.ask("a", input=Raw(b"1"), asked=NOON) is Outcome.LATE
    assert meeting.stages == {"c": "waiting"}, "so no input is given twice, and none is lost"
    assert meeting.ask("d", input=Raw(b"3"), asked=meeting.now - MEMORY_MS) is Outcome.LATE
    assert meeting.ask("d", input=Raw(b"3"), asked=doubted(meeting)[0][1]) is Outcome.APPLIED
    assert (meeting.admitted, meeting.inputs) == (["d"], [b"2", b"3"]), "it did wait, and asked again"


def test_of_those_that_were_too_many_to_remember_a_repeat_is_in_doubt() -> None:
    meeting = Meeting(SingleRule(), reloads=False)
    for number in range(SETTLED_MAX + 3):
        meeting.now += 10
        meeting.ask(f"r{number}", asked=meeting.now)
        meeting.leave(f"r{number}")
    horizon = NOON + 30
    assert meeting.admission.horizon == horizon, "the time of the last one that was dropped"
    assert meeting.ask("r2", asked=horizon) is Outcome.LATE and doubted(meeting) == [("r2", meeting.now)]
    assert meeting.ask("r3", asked=horizon + 10) is Outcome.LATE and doubted(meeting) == []
    assert meeting.ask("new", asked=horizon + 1) is Outcome.APPLIED
