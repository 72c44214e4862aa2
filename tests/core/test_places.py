"""One gate, message by message: places, rates, turns, leases, and what comes late or twice."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from builders import NOON, Saved

from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import create, fold
from stream_durable.core.gate.fold import LEASE_MS, PORTION
from stream_durable.core.gate.limits import GateChange, GateLimits
from stream_durable.core.gate.rows import GateRow, PlaceRow, TurnRow, write
from stream_durable.core.gate.state import Gate
from stream_durable.core.messages import (
    GateAsked,
    GateTimerFired,
    Message,
    PlaceAsked,
    PlaceGiven,
    PlaceLeft,
    ResetGate,
    SetGate,
)
from stream_durable.core.status import Outcome
from stream_durable.core.tables import Rows


class Door:
    """A gate that is stored and loaded again after each message, beside one that stays in memory."""

    def __init__(self, key: str = "bank//", *, reloads: bool = True, **limits: Any) -> None:
        self.now, self.key, self.reloads = NOON, key, reloads
        self.limits = GateLimits(**limits)
        self.gate, self.kept = Gate(key, 3), Gate(key, 3)
        self.saved = Saved()
        self.effects = Effects()

    def tell(self, message: Message) -> Outcome:
        """Fold a message into both, which must do the same."""
        self.effects = Effects()
        outcome = fold(self.gate, message, self.now, self.effects)
        if self.reloads:
            beside = Effects()
            assert fold(self.kept, message, self.now, beside) == outcome
            assert beside.messages == self.effects.messages
            assert beside.timers == self.effects.timers
            self.saved.save(self.gate)
            self.saved.save_timers(self.effects)
            loaded = self.saved._load("gate", self.key, 3) or Gate(self.key, 3)
            assert isinstance(loaded, Gate)
            self.gate = loaded
            row = self.saved.timers.get(("gate", self.key, ""))
            assert (None if row is None else row.due) == self.gate.due
        return outcome

    def ask(self, run: str, attempt: int = 1, passes: int = 0, **about: Any) -> Outcome:
        about = {"limits": self.limits, **about}
        return self.tell(
            PlaceAsked(key=self.key, run=run, step="s", attempt=attempt, passes=passes, format=2, **about)
        )

    def leave(self, run: str, attempt: int = 1, passes: int = 0, units: int | None = None) -> Outcome:
        return self.tell(
            PlaceLeft(key=self.key, run=run, step="s", attempt=attempt, passes=passes, units=units, format=2)
        )

    def fire(self) -> Outcome:
        """Move the clock to when the gate asked to be told, and tell it."""
        assert self.gate.due is not None
        self.now = max(self.now, self.gate.due)
        return self.tell(GateTimerFired(key=self.key, timer="", due=self.gate.due))

    @property
    def given(self) -> list[str]:
        """The runs that the last message let pass."""
        return [each.key for each in self.effects.messages if isinstance(each, PlaceGiven)]


def test_so_many_are_inside_and_the_next_follows_whoever_leaves() -> None:
    door = Door(at_once=2)
    for run, passed in (("a", ["a"]), ("b", ["b"]), ("c", []), ("d", [])):
        door.ask(run)
        assert door.given == passed
    door.leave("b")
    assert door.given == ["c"]
    door.leave("d")
    assert not door.given
    door.leave("a")
    door.leave("c")
    assert not door.gate.inside
    assert not door.saved.places


def test_a_repeated_request_gives_no_second_place() -> None:
    door = Door(at_once=2)
    door.ask("a")
    door.ask("a")
    assert door.given == ["a"], "it may not have had the answer"
    assert len(door.gate.inside) == 1
    door.ask("b")
    door.ask("c")
    assert door.ask("c") is Outcome.DUPLICATE
    assert len(door.gate.waiting) == 1


@pytest.mark.parametrize("turns", [((1, 0), (2, 0)), ((1, 0), (1, 1)), ((1, 5), (2, 0))])
def test_a_later_turn_replaces_an_earlier_one_which_is_late_from_then_on(turns: Any) -> None:
    early, late = turns
    door = Door(at_once=1)
    door.ask("a", *early)
    door.ask("b")
    door.ask("a", *late)
    assert door.given == ["b"], "it goes to the end of the line"
    assert door.ask("a", *early) is Outcome.LATE
    assert door.leave("a", *early) is Outcome.LATE
    door.leave("b")
    assert door.given == ["a"]
    assert door.leave("a", *early) is Outcome.LATE
    assert len(door.gate.inside) == 1
    door.leave("a", *late)
    assert not door.gate.inside


def test_a_place_is_left_once() -> None:
    door = Door(at_once=1)
    for run in "abc":
        door.ask(run)
    door.leave("a")
    assert door.leave("a") is Outcome.LATE
    assert not door.given
    assert [*door.gate.inside] == [("b", "s")]


def test_a_request_that_comes_again_after_its_end_is_given_back_by_the_run() -> None:
    door = Door(at_once=1)
    door.ask("a")
    door.leave("a")
    door.ask("a")
    assert door.given == ["a"]
    [given] = door.effects.messages
    assert isinstance(given, PlaceGiven)
    assert given.is_held
    door.leave("a")
    assert not door.gate.inside


def test_holders_are_asked_after_and_keep_their_places_until_they_leave() -> None:
    door = Door(at_once=2)
    door.ask("a")
    door.now += 1_000
    door.ask("b")
    door.ask("c")
    door.fire()
    assert (door.now, door.given) == (NOON + LEASE_MS, ["a"])
    door.fire()
    assert (door.now, door.given) == (NOON + 1_000 + LEASE_MS, ["b"])
    door.fire()
    assert (door.now, door.given) == (NOON + 2 * LEASE_MS, ["a"])
    assert len(door.gate.inside) == 2
    door.leave("a")
    assert door.given == ["c"]


def test_a_rate_spreads_and_a_burst_is_saved_up() -> None:
    door = Door(rate=10, rate_ms=1_000, burst=2)
    times = []
    for n in range(6):
        door.ask(str(n))
        times += [door.now] * len(door.given)
    while door.gate.waiting:
        door.fire()
        times += [door.now] * len(door.given)
    assert [at - NOON for at in times] == [0, 0, 0, 100, 200, 300]
    assert not door.saved.places, "of a rate alone nothing is kept for who has passed"
    door.now += 60_000
    for n in range(4):
        door.ask(f"later {n}")
    assert len(door.gate.waiting) == 1


@pytest.mark.parametrize("rate", [(7, 1_000, 0), (7, 1_000, 5), (3_000, 1_000, 10), (1, 60_000, 0)])
def test_no_window_sees_more_than_rate_and_burst(rate: tuple[int, int, int]) -> None:
    count, window, burst = rate
    door = Door(rate=count, rate_ms=window, burst=burst, reloads=False)
    times: list[int] = []
    for n in range(400):
        door.now += (n * 7_919) % (2 * window // count + 1)
        door.ask(str(n))
        times += [door.now] * len(door.given)
        while door.gate.due is not None and door.gate.due <= door.now:
            door.fire()
            times += [door.now] * len(door.given)
    while door.gate.waiting:
        door.fire()
        times += [door.now] * len(door.given)
    assert len(times) == 400
    first = 0
    for last, at in enumerate(times):
        while times[first] <= at - window:
            first += 1
        assert last - first + 1 <= count + burst


def test_a_timer_that_comes_early_by_the_log_lets_nobody_pass_too_soon() -> None:
    door = Door(rate=1, rate_ms=10_000)
    door.ask("a")
    door.ask("b")
    due = door.gate.due
    assert due == NOON + 10_000
    door.now = due - 600
    door.tell(GateTimerFired(key=door.key, timer="", due=due))
    assert not door.given
    assert door.gate.due == due + 600, "its owner's clock is so much ahead"
    door.now = due
    door.tell(GateTimerFired(key=door.key, timer="", due=due + 600))
    assert door.given == ["b"]


def test_units_are_counted_and_corrected() -> None:
    door = Door(rate=100, rate_ms=10_000)
    door.ask("a", units=50)
    door.ask("b", units=10)
    assert door.gate.due == NOON + 5_000
    door.leave("a", units=20)
    assert door.gate.due == NOON + 2_000
    door.fire()
    assert door.given == ["b"]
    door.leave("b", units=110)
    door.ask("c")
    assert door.given == []
    while not door.given:
        door.fire()
    assert door.now == NOON + 2_000 + 11_000


def test_priority_then_age_and_a_share_for_the_low() -> None:
    door = Door(at_once=1, reloads=False)
    door.ask("first")
    for n in range(40):
        door.ask(f"low {n}", priority=-50)
    for n in range(400):
        door.ask(f"high {n}", priority=50)
    order, inside = [], "first"
    for _ in range(300):
        door.leave(inside)
        [inside] = door.given
        order.append(inside)
    low = [run for run in order if run.startswith("low")]
    high = [run for run in order if run.startswith("high")]
    assert low == [f"low {n}" for n in range(len(low))]
    assert high == [f"high {n}" for n in range(len(high))]
    assert 15 <= len(low) <= 45, "about a tenth"


def test_keys_take_turns_by_weight() -> None:
    door = Door(at_once=1, weights={"gold": 3, "silver": 2}, reloads=False)
    door.ask("first", share="other")
    for n in range(1_000):
        for share in ("gold", "silver", "iron"):
            door.ask(f"{share} {n}", share=share)
    inside, served = "first", Counter[str]()
    for _ in range(1_200):
        door.leave(inside)
        [inside] = door.given
        served[inside.split()[0]] += 1
    assert served["gold"] == pytest.approx(600, rel=0.02)
    assert served["silver"] == pytest.approx(400, rel=0.02)
    assert served["iron"] == pytest.approx(200, rel=0.02)


def test_a_key_that_comes_back_each_time_gets_no_more_than_its_turns() -> None:
    door = Door(at_once=1, weights={})
    door.ask("first", share="many")
    for n in range(60):
        door.ask(f"many {n}", share="many")
    door.ask("few 0", share="few")
    inside, served = "first", Counter[str]()
    for n in range(40):
        door.leave(inside)
        [inside] = door.given
        served[inside.split()[0]] += 1
        if inside.startswith("few"):
            door.ask(f"few {n + 1}", share="few")
    assert abs(served["many"] - served["few"]) <= 2


def test_costs_move_turns_and_corrections_move_them_back() -> None:
    door = Door(at_once=1, weights={})
    door.ask("first", share="a")
    for n in range(6):
        door.ask(f"dear {n}", share="dear", units=3)
        door.ask(f"cheap {n}", share="cheap", units=1)
    order, inside = [], "first"
    for _ in range(8):
        door.leave(inside, units=None)
        [inside] = door.given
        order.append(inside.split()[0])
    assert Counter(order)["cheap"] == 6
    assert Counter(order)["dear"] == 2


def test_keys_whose_turn_is_past_are_forgotten() -> None:
    door = Door(at_once=1, weights={})
    door.ask("first", share="x")
    for n in range(200):
        door.ask(f"r{n}", share=f"key {n}")
    inside = "first"
    for n in range(200):
        door.leave(inside)
        [inside] = door.given
        door.ask(f"more {n}", share="steady")
    for _ in range(150):
        door.leave(inside)
        [inside] = door.given
    assert len(door.saved.turns) <= 3


def test_changed_limits_hold_whatever_definitions_say_until_reset() -> None:
    door = Door(at_once=1)
    for run in "abcd":
        door.ask(run)
    door.tell(SetGate(key=door.key, id="m", format=2, change=GateChange(at_once=3)))
    assert door.given == ["b", "c"]
    assert (
        door.tell(SetGate(key=door.key, id="m", format=2, change=GateChange(at_once=3))) is Outcome.DUPLICATE
    )
    door.ask("e")
    assert not door.given, "what a definition asks for changes nothing"
    door.tell(SetGate(key=door.key, id="n", format=2, change=GateChange(rate=1, rate_ms=60_000)))
    assert (door.gate.limits.at_once, door.gate.limits.rate) == (3, 1)
    door.tell(ResetGate(key=door.key, id="o", format=2))
    assert door.gate.limits == door.limits
    for run in "abc":
        door.leave(run)
    assert door.given == ["d"]


def test_a_key_that_nobody_uses_is_forgotten_and_a_changed_one_is_not() -> None:
    door = Door("bank//acme", at_once=1, rate=10, rate_ms=1_000)
    door.ask("a")
    door.leave("a")
    assert door.saved.gates
    door.fire()
    assert not door.saved.gates
    assert not door.saved.timers
    assert door.tell(GateTimerFired(key=door.key, timer="", due=NOON)) is Outcome.LATE
    door.tell(SetGate(key=door.key, id="m", format=2, change=GateChange(at_once=5)))
    door.fire()
    assert door.saved.gates
    assert door.gate.limits.at_once == 5


def test_what_a_passage_writes_does_not_grow_with_those_who_wait() -> None:
    counts = []
    for waiting in (10, 100_000):
        door = Door(at_once=1, weights={}, reloads=False)
        for n in range(waiting):
            door.ask(f"r{n}", share=f"key {n % 10_000}")
        write(door.gate, Rows())
        rows = Rows()
        inside = "r0"
        for _ in range(5):
            door.leave(inside)
            [inside] = door.given
            write(door.gate, rows)
        counts.append([len(rows[row]) for row in (GateRow, PlaceRow, TurnRow)])
    assert counts[0] == counts[1]


def test_many_enter_in_portions() -> None:
    door = Door(at_once=1, reloads=False)
    for n in range(2 * PORTION):
        door.ask(f"r{n}")
    door.tell(SetGate(key=door.key, id="m", format=2, change=GateChange(at_once=10_000)))
    assert len(door.given) == PORTION
    door.fire()
    assert len(door.given) == PORTION - 1


def test_gates_and_breakers_do_not_take_messages_for_one_another() -> None:
    asked = PlaceAsked(key="bank", run="r", attempt=1, limits=GateLimits(at_once=1), format=2)
    for message in (asked, GateAsked(key="bank//", run="r", step="s", attempt=1)):
        entity = create(message, 0, lambda fingerprint: None)
        with pytest.raises(RejectedError, match="takes no such message"):
            fold(entity, message, NOON, Effects())
