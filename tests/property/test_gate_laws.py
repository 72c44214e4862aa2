"""Whatever a gate is told: one tries at a time, nobody is passed over, nobody is forgotten."""

from __future__ import annotations

from builders import NOON, Saved, lasting_picture
from hypothesis import event, given
from hypothesis import strategies as st

from property.world import laws
from stream_durable.core.effects import Effects
from stream_durable.core.fold import fold
from stream_durable.core.gate.breaker import TRY_MS
from stream_durable.core.gate.breaker_state import Breaker
from stream_durable.core.messages import GateAsked, GateLeft, GatePassed, GateTimerFired, Message
from stream_durable.core.status import Outcome

BANK = "bank"
RUNS = ("r1", "r2", "r3", "r4", "r5")

#: (what happens, to which run, how long after what happened before)
Moves = list[tuple[str, str, int]]
moves: st.SearchStrategy[Moves] = st.lists(
    st.tuples(
        st.sampled_from(("ask", "ask", "again", "well", "badly", "badly", "gone", "fire", "fire", "stray")),
        st.sampled_from(RUNS),
        st.sampled_from((0, 1, 40, 900)),
    ),
    max_size=60,
)


class Site:
    """A gate, and runs that ask it, as runs do: an attempt leaves before the next one asks."""

    def __init__(self) -> None:
        self.now = NOON
        self.gate = Breaker(BANK, 3)
        self.saved = Saved()
        self.attempts = dict.fromkeys(RUNS, 1)
        #: Those who have asked and not left: whether they have passed.
        self.asked: dict[str, bool] = {}
        #: Those whose ask came again after they had passed: a closed gate does not remember whom it let pass.
        self.repeated: set[str] = set()

    def move(self, what: str, run: str, later: int) -> None:
        self.now += later
        if what == "fire":
            if self.gate.due is not None:
                self.now = max(self.now, self.gate.due)
                self.tell(GateTimerFired(key=BANK, timer="", due=self.gate.due))
        elif what == "stray":
            self.tell(GateTimerFired(key=BANK, timer="", due=self.now - 1))
            self.tell(GateLeft(key=BANK, run="stranger", step="s", attempt=1, is_ok=True))
        elif what in ("ask", "again"):
            if (what == "again") == (run in self.asked):
                if self.asked.setdefault(run, False):
                    self.repeated.add(run)
                self.tell(
                    GateAsked(
                        key=BANK, run=run, step="s", attempt=self.attempts[run], failures=2, window_ms=1_000,
                        reset_ms=500,
                    )
                )  # fmt: skip
        elif run in self.asked and (self.asked[run] or what == "gone"):
            is_ok = {"well": True, "badly": False, "gone": None}[what]
            del self.asked[run]
            self.repeated.discard(run)
            self.tell(GateLeft(key=BANK, run=run, step="s", attempt=self.attempts[run], is_ok=is_ok))
            self.attempts[run] += 1

    def tell(self, message: Message) -> None:
        before, waiting = lasting_picture(self.gate), list(self.gate.waiting)
        inside, due = set(self.gate.inside), self.gate.due
        effects = Effects()
        outcome = fold(self.gate, message, self.now, effects)
        self.saved.save(self.gate)
        self.saved.save_timers(effects)
        if outcome is not Outcome.APPLIED:
            assert lasting_picture(self.gate) == before
            assert not effects.messages
            assert not effects.timers
        self._passed(effects, waiting)
        try_next = set(self.gate.inside) - inside
        assert len(try_next) <= 1
        if try_next and isinstance(message, GateAsked):
            assert due is None, "somebody tries already"
        self.check()

    def _passed(self, effects: Effects, waiting: list[tuple[str, str]]) -> None:
        passed = []
        for message in effects.messages:
            assert isinstance(message, GatePassed)
            assert message.attempt == self.attempts[message.key]
            self.asked[message.key] = True
            passed.append((message.key, message.step))
        assert [key for key in passed if key in waiting] == waiting[: len(set(passed) & set(waiting))]

    def check(self) -> None:
        gate = self.gate
        assert lasting_picture(self.saved.load_gate(BANK, 3)) == lasting_picture(gate)
        timer = self.saved.timers.get(("gate", BANK, ""))
        assert gate.due == (None if timer is None else timer.due)
        held, waits = (
            {run for run, _ in gate.waiting},
            {run for run, has_passed in self.asked.items() if not has_passed},
        )
        assert waits <= held <= waits | self.repeated
        ordinals = [place.ordinal for places in (gate.inside, gate.waiting) for place in places.values()]
        assert ordinals == sorted(set(ordinals))
        if gate.waiting:
            assert gate.due is not None, "who waits is thought of"
        if gate.state == "open":
            assert gate.due is not None
        if gate.state != "half-open":
            assert not gate.inside
        if gate.state == "half-open" and gate.due is not None:
            assert gate.inside


@laws
@given(moves)
def test_laws_of_gates(moves: Moves) -> None:
    site = Site()
    for what, run, later in moves:
        site.move(what, run, later)
        event(site.gate.state)


@laws
@given(moves)
def test_when_the_dependency_is_back_everybody_passes(moves: Moves) -> None:
    site = Site()
    for what, run, later in moves:
        site.move(what, run, later)
    for _ in range(100):
        if not site.asked:
            break
        site.move("fire", RUNS[0], 0)
        for run in [run for run, passed in site.asked.items() if passed]:
            site.move("well", run, 1)

    assert not site.asked
    assert site.gate.waiting == {}


def test_a_try_holds_the_others_back_for_its_time() -> None:
    site = Site()
    for run in ("r1", "r2"):
        site.move("ask", run, 0)
    for run in ("r1", "r2"):
        site.move("badly", run, 0)
    for run in ("r1", "r2", "r3"):
        site.move("ask", run, 0)

    site.move("fire", "r1", 0)
    began = site.now
    site.move("fire", "r1", 0)

    assert site.now == began + TRY_MS
