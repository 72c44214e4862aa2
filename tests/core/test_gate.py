"""One gate before a dependency: it counts what fails, holds back, lets one try, and lets pass again."""

from __future__ import annotations

import pytest
from builders import NOON, Saved

from stream_durable.core.effects import EARLY_MS, Effects
from stream_durable.core.fold import create, fold
from stream_durable.core.gate.breaker import FAILURES_MAX, INSIDE_MAX, PORTION, PORTION_MS, TRY_MS
from stream_durable.core.gate.breaker_state import Breaker
from stream_durable.core.gate.rows import write
from stream_durable.core.messages import (
    GateAsked,
    GateLeft,
    GatePassed,
    GateTimerFired,
    Message,
    ProbeBreaker,
)
from stream_durable.core.status import Outcome
from stream_durable.core.tables import Rows

BANK = "bank"
RESET_MS = 30_000


class Door:
    """One gate, told message by message, and stored and loaded again after each of them."""

    def __init__(self, failures: int = 2, window_ms: int = 60_000) -> None:
        self.now = NOON
        self.limits = {"failures": failures, "window_ms": window_ms, "reset_ms": RESET_MS}
        self.gate = Breaker(BANK, 3)
        self.effects = Effects()
        self.saved = Saved()

    def tell(self, message: Message) -> Outcome:
        """Fold a message into the gate; what it asked for is in `effects`."""
        self.effects = Effects()
        outcome = fold(self.gate, message, self.now, self.effects)
        self.saved.save(self.gate)
        self.saved.save_timers(self.effects)
        self.gate = self.saved.load_gate(BANK, 3)
        assert self.due() == self.gate.due
        return outcome

    def due(self) -> int | None:
        """When the gate is told that there is something to do."""
        row = self.saved.timers.get(("gate", BANK, ""))
        return None if row is None else row.due

    def ask(self, run: str = "r1", attempt: int = 1) -> Outcome:
        return self.tell(GateAsked(key=BANK, run=run, step="charge", attempt=attempt, **self.limits))

    def leave(self, run: str = "r1", attempt: int = 1, *, is_ok: bool | None, since: int = 0) -> Outcome:
        return self.tell(
            GateLeft(key=BANK, run=run, step="charge", attempt=attempt, is_ok=is_ok, since=since)
        )

    def fire(self) -> Outcome:
        """Move the clock to when the gate asked to be told, and tell it."""
        due = self.due()
        assert due is not None
        self.now = max(self.now, due)
        return self.tell(GateTimerFired(key=BANK, timer="", due=due))

    def opened(self) -> Door:
        """Let as many attempts fail as it takes."""
        for number in range(self.limits["failures"]):
            self.ask(f"f{number}")
            self.leave(f"f{number}", is_ok=False)
        assert self.gate.state == "open"
        return self

    @property
    def passed(self) -> list[str]:
        """The runs that the last message let pass."""
        assert all(isinstance(m, GatePassed) and m.gate == BANK for m in self.effects.messages)
        return [m.key for m in self.effects.messages]

    @property
    def state(self) -> str:
        return self.gate.state

    @property
    def waiting(self) -> list[str]:
        return [run for run, _ in self.gate.waiting]


def test_a_probe_lets_one_try_before_the_time_is_over() -> None:
    door = Door().opened()
    for run in "ab":
        door.ask(run)
    probe = ProbeBreaker(key=BANK, id="m1", format=2)

    assert door.tell(probe) is Outcome.APPLIED
    assert (door.state, door.passed, door.waiting) == ("half-open", ["a"], ["b"])
    assert door.tell(probe) is Outcome.LATE
    assert door.passed == []
    door.leave("a", is_ok=True)
    assert (door.state, door.passed) == ("closed", ["b"])
    assert door.tell(probe) is Outcome.LATE


def test_a_probe_of_an_open_gate_without_anybody_lets_the_next_one_try() -> None:
    door = Door().opened()

    door.tell(ProbeBreaker(key=BANK, id="m1", format=2))
    assert (door.state, door.due()) == ("half-open", None)
    door.ask("a")
    assert door.passed == ["a"]


def test_a_closed_gate_lets_pass_at_once() -> None:
    door = Door()

    assert door.ask() is Outcome.APPLIED

    (passed,) = door.effects.messages
    assert passed == GatePassed(key="r1", step="charge", attempt=1, gate=BANK)
    assert not door.saved.places


def test_who_passes_a_gate_that_was_asked_before_writes_no_row() -> None:
    door = Door()
    door.ask()

    fold(door.gate, GateAsked(key=BANK, run="r2", step="charge", attempt=1, **door.limits), NOON, Effects())
    fold(door.gate, GateLeft(key=BANK, run="r2", step="charge", attempt=1, is_ok=True), NOON, Effects())

    rows = Rows()
    write(door.gate, rows)
    assert not any(rows.values())


def test_the_first_message_makes_the_gate() -> None:
    asked = GateAsked(key=BANK, run="r1", step="charge", attempt=1)

    gate = create(asked, 3, lambda fingerprint: None)

    assert isinstance(gate, Breaker)
    assert (gate.id, gate.partition, gate.is_over) == (BANK, 3, True)


def test_what_is_said_to_a_gate_that_nobody_has_asked_is_late_and_leaves_nothing() -> None:
    door = Door()

    assert door.leave(is_ok=False) is Outcome.LATE
    assert door.tell(GateTimerFired(key=BANK, timer="", due=NOON)) is Outcome.LATE
    assert door.gate.is_over
    assert not door.saved.gates


def test_so_many_failures_open_it() -> None:
    door = Door(failures=3).opened()

    assert door.gate.since == NOON
    assert door.due() == NOON + RESET_MS
    door.ask("r1")
    door.ask("r2")
    assert door.passed == []
    assert door.waiting == ["r1", "r2"]


def test_attempts_that_end_well_do_not_make_failures_undone() -> None:
    door = Door(failures=2)
    for run, is_ok in (("r1", False), ("r2", True), ("r3", False)):
        door.ask(run)
        door.leave(run, is_ok=is_ok)

    assert door.state == "open"


def test_failures_that_lie_further_apart_than_the_window_do_not_open_it() -> None:
    door = Door(failures=2, window_ms=1_000)
    for run in ("r1", "r2", "r3"):
        door.ask(run)
        door.leave(run, is_ok=False)
        door.now += 1_000

    assert door.state == "closed"
    assert [run for run, _, _ in door.gate.recent] == ["r3"]


def test_an_attempt_that_nobody_judges_is_no_failure() -> None:
    door = Door(failures=1)
    door.ask()

    assert door.leave(is_ok=None) is Outcome.APPLIED
    assert door.state == "closed"


def test_a_failure_that_is_told_twice_counts_once() -> None:
    door = Door(failures=2)
    door.ask()
    door.leave(is_ok=False)

    assert door.leave(is_ok=False) is Outcome.DUPLICATE
    assert door.state == "closed"


def test_what_passed_before_it_opened_says_nothing_any_more() -> None:
    door = Door()
    door.ask("r1")
    door.opened()

    assert door.leave("r1", is_ok=True) is Outcome.LATE
    assert door.leave("r2", is_ok=False) is Outcome.LATE
    assert door.state == "open"


def test_after_its_time_one_attempt_may_try() -> None:
    door = Door().opened()
    for run in ("r1", "r2", "r3"):
        door.ask(run)

    assert door.fire() is Outcome.APPLIED

    assert door.passed == ["r1"]
    assert door.state == "half-open"
    assert door.waiting == ["r2", "r3"]
    door.ask("r4")
    assert door.passed == []


def test_if_nobody_waits_the_next_one_who_asks_may_try() -> None:
    door = Door().opened()
    door.fire()
    assert (door.state, door.due()) == ("half-open", None)

    door.ask("r1")
    assert door.passed == ["r1"]
    door.ask("r2")
    assert door.passed == []


def test_a_success_closes_it_and_lets_everybody_pass_in_order() -> None:
    door = Door().opened()
    for run in ("r1", "r2", "r3"):
        door.ask(run)
    door.fire()

    assert door.leave("r1", is_ok=True) is Outcome.APPLIED

    assert door.passed == ["r2", "r3"]
    assert door.state == "closed"
    assert not door.gate.recent
    assert not door.saved.places
    assert door.due() is None


def test_a_failure_opens_it_again() -> None:
    door = Door().opened()
    door.ask("r1")
    door.ask("r2")
    door.fire()

    door.leave("r1", is_ok=False)

    assert (door.state, door.gate.since, door.due()) == ("open", door.now, door.now + RESET_MS)
    assert door.passed == []
    door.ask("r1", attempt=2)
    door.fire()
    assert door.passed == ["r2"]
    assert door.waiting == ["r1"]


def test_a_try_that_nobody_judges_makes_room_for_the_next() -> None:
    door = Door().opened()
    door.ask("r1")
    door.ask("r2")
    door.fire()

    door.leave("r1", is_ok=None)

    assert door.passed == ["r2"]
    assert door.due() == door.now + TRY_MS
    door.leave("r2", is_ok=None)
    assert (door.state, door.due()) == ("half-open", None)


def test_a_try_without_an_answer_holds_nobody_up_for_ever() -> None:
    door = Door().opened()
    door.ask("r1")
    door.ask("r2")
    door.fire()

    assert door.due() == door.now + TRY_MS
    door.fire()
    assert door.passed == ["r2"]


@pytest.mark.parametrize("first", ["r1", "r2"])
def test_whichever_of_two_that_try_answers_first_decides(first: str) -> None:
    door = Door().opened()
    door.ask("r1")
    door.ask("r2")
    door.fire()
    door.fire()

    door.leave(first, is_ok=True)

    assert door.state == "closed"
    assert not door.saved.places


def test_if_one_who_tried_long_ago_gives_up_the_one_who_tries_now_goes_on() -> None:
    door = Door().opened()
    for run in ("r1", "r2", "r3"):
        door.ask(run)
    door.fire()
    door.fire()
    due = door.due()

    door.leave("r1", is_ok=None)

    assert door.passed == []
    assert door.due() == due


def test_of_many_without_an_answer_the_oldest_is_forgotten() -> None:
    door = Door().opened()
    for number in range(INSIDE_MAX + 1):
        door.ask(f"r{number}")
    for _ in range(INSIDE_MAX + 1):
        door.fire()

    assert door.passed == [f"r{INSIDE_MAX}"]
    assert len(door.gate.inside) == INSIDE_MAX
    assert door.leave("r0", is_ok=True) is Outcome.LATE
    assert door.state == "half-open"


def test_who_gives_up_waiting_is_forgotten() -> None:
    door = Door().opened()
    door.ask("r1")
    door.ask("r2")

    assert door.leave("r1", is_ok=None) is Outcome.APPLIED

    door.fire()
    assert door.passed == ["r2"]


def test_who_asks_again_keeps_the_place() -> None:
    door = Door().opened()
    door.ask("r1")
    door.ask("r2")

    assert door.ask("r1") is Outcome.DUPLICATE
    assert door.waiting == ["r1", "r2"]
    assert door.passed == []


def test_who_asks_again_having_passed_is_answered_again() -> None:
    door = Door().opened()
    door.ask("r1")
    door.fire()

    assert door.ask("r1") is Outcome.APPLIED
    assert door.passed == ["r1"]
    assert len(door.gate.inside) == 1


def test_an_attempt_that_has_been_overtaken_by_the_next_is_late() -> None:
    door = Door().opened()
    door.ask("r1", attempt=2)

    assert door.ask("r1", attempt=1) is Outcome.LATE
    assert door.leave("r1", attempt=1, is_ok=False) is Outcome.LATE
    assert door.waiting == ["r1"]


def test_the_next_attempt_takes_the_last_place() -> None:
    door = Door().opened()
    door.ask("r1", attempt=1)
    door.ask("r2")

    assert door.ask("r1", attempt=2) is Outcome.APPLIED
    assert door.waiting == ["r2", "r1"]


def test_the_next_attempt_of_who_tries_leaves_the_try_to_who_waits() -> None:
    door = Door().opened()
    door.ask("r1")
    door.ask("r2")
    door.fire()

    door.ask("r1", attempt=2)

    assert door.passed == ["r2"]
    assert door.waiting == ["r1"]


def test_who_waited_passes_in_portions_and_who_comes_meanwhile_waits_too() -> None:
    door = Door().opened()
    for number in range(PORTION + 3):
        door.ask(f"r{number}")
    door.fire()

    door.leave("r0", is_ok=True)

    assert door.passed == [f"r{number}" for number in range(1, PORTION + 1)]
    assert door.due() == door.now + PORTION_MS
    door.ask("late")
    assert door.passed == []
    door.fire()
    assert door.passed == [f"r{PORTION + 1}", f"r{PORTION + 2}", "late"]
    assert door.due() is None
    door.ask("later")
    assert door.passed == ["later"]


def test_what_fails_again_keeps_the_rest_back() -> None:
    door = Door().opened()
    for number in range(PORTION + 3):
        door.ask(f"r{number}")
    door.fire()
    door.leave("r0", is_ok=True)

    door.leave("r1", is_ok=False)
    door.leave("r2", is_ok=False)

    assert (door.state, door.due()) == ("open", door.now + RESET_MS)
    assert len(door.waiting) == 2


def test_a_timer_of_another_moment_is_late() -> None:
    door = Door().opened()
    door.ask("r1")

    assert door.tell(GateTimerFired(key=BANK, timer="", due=NOON + 1)) is Outcome.LATE
    assert door.state == "open"


def test_a_timer_that_fires_before_the_log_has_come_so_far_counts_from_its_own_moment() -> None:
    door = Door().opened()
    door.ask("r1")
    due = door.due()
    assert due is not None
    door.now = due - EARLY_MS

    door.tell(GateTimerFired(key=BANK, timer="", due=due))

    assert (door.state, door.gate.since, door.due()) == ("half-open", due, due + TRY_MS)


def test_it_is_set_as_whoever_asked_last_has_it() -> None:
    door = Door(failures=5)
    door.ask("r1")
    door.limits = {"failures": 1, "window_ms": 10, "reset_ms": 20}
    door.ask("r2")

    door.leave("r1", is_ok=False)

    assert (door.state, door.due()) == ("open", NOON + 20)


def test_it_keeps_a_bounded_number_of_failures() -> None:
    door = Door(failures=10 * FAILURES_MAX)
    door.ask()
    for number in range(FAILURES_MAX):
        assert door.state == "closed"
        door.leave(f"r{number}", is_ok=False)

    assert door.state == "open"


def test_it_weighs_more_the_more_it_keeps() -> None:
    door = Door()
    empty = door.gate.weight()
    door.opened()
    opened = door.gate.weight()
    door.ask("r1")

    assert empty < opened < door.gate.weight()


class TestFailuresThatComeLate:
    """An owner that was replaced, and goes on, publishes once more what it had saved before."""

    def test_one_from_before_the_gate_closed_again_does_not_count(self) -> None:
        door = Door(failures=1)
        failed_at = door.now
        door.ask("r1")
        door.leave("r1", is_ok=False, since=failed_at)
        door.ask("r2")
        door.fire()
        door.leave("r2", is_ok=True)
        assert door.gate.state == "closed"

        assert door.leave("r1", is_ok=False, since=failed_at) is Outcome.LATE
        assert door.gate.state == "closed"

    def test_one_from_before_the_window_does_not_count(self) -> None:
        door = Door(failures=1, window_ms=10_000)
        door.ask("r1")
        failed_at = door.now
        door.now += 10_000

        assert door.leave("r1", is_ok=False, since=failed_at) is Outcome.LATE

    def test_one_in_time_counts_from_when_it_happened(self) -> None:
        door = Door(failures=2, window_ms=10_000)
        door.ask("r1")
        door.ask("r2")
        failed_at = door.now
        door.now += 5_000
        door.leave("r1", is_ok=False, since=failed_at)
        door.now += 6_000

        door.leave("r2", is_ok=False, since=door.now)

        assert door.gate.state == "closed"
