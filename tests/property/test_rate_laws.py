"""Whatever calls cost in fact: in no window do more pass than the rate and the burst, and no use is lost."""

from __future__ import annotations

from collections.abc import Iterator

from builders import NOON
from hypothesis import event, given
from hypothesis import strategies as st

from property.world import laws
from stream_durable.core.gate.limits import GateLimits
from stream_durable.core.gate.line import Place
from stream_durable.core.gate.state import LOWS_MAX, Gate, gate_id

RATE, RATE_MS, BURST = 10, 1_000, 3
#: (how long after what came before, whether a call begins, its cost or the part that it has cost)
Moves = list[tuple[int, bool, int]]
moves: st.SearchStrategy[Moves] = st.lists(
    st.tuples(st.sampled_from((0, 1, 30, 100, 400, 2_000)), st.booleans(), st.integers(0, BURST + 1)),
    max_size=120,
)


class Site:
    """A gate with a rate, and calls that begin and end."""

    def __init__(self) -> None:
        self.now = NOON
        self.gate = Gate(gate_id("model"), 0)
        self.gate.asked = GateLimits(rate=RATE, rate_ms=RATE_MS, burst=BURST)
        self.gate.settle()
        #: (when, what it cost in fact so far), in the order of passing.
        self.passed: list[tuple[int, int]] = []
        self.inside: list[tuple[int, Place]] = []
        #: The use of the rate if each call had cost from the beginning what it has cost.
        self.refunded = 0

    def begin(self, cost: int) -> None:
        if self.gate.opens(cost, self.now) > self.now:
            return
        place = Place((1, 0), self.gate.next_ordinal(), self.now, units=cost)
        self.gate.use(cost, self.now)
        self.gate.enter((f"r{len(self.passed)}", "s"), place, None)
        self.inside.append((len(self.passed), place))
        self.passed.append((self.now, cost))

    def end(self, chosen: int, spent: int) -> None:
        number, place = self.inside.pop(chosen % len(self.inside))
        spent = min(spent, place.cost)
        self.gate.leave((f"r{number}", "s"))
        before = max(self.gate.full, self.now * 1_000_000)
        self.gate.correct(place, spent, self.now)
        self.refunded += before - max(self.gate.full, self.now * 1_000_000)
        self.passed[number] = (self.passed[number][0], spent)

    def sums(self) -> Iterator[int]:
        """What passed in each window, by what it cost in fact."""
        for at, _ in self.passed:
            yield sum(cost for when, cost in self.passed if at <= when < at + RATE_MS)

    def ideal(self) -> int:
        """How far the rate were used now, in nanoseconds, had each call cost so much from the beginning."""
        full = 0
        for at, cost in self.passed:
            full = max(full, at * 1_000_000) + cost * (RATE_MS * 1_000_000 // RATE)
        return max(full, self.now * 1_000_000)


@laws
@given(moves)
def test_no_more_passes_than_the_rate_says_and_all_that_may_be_is_given_back(moves: Moves) -> None:
    site = Site()
    for later, begins, amount in moves:
        site.now += later
        if begins or not site.inside:
            site.begin(amount)
        else:
            site.end(amount, amount // 2)
    if site.refunded:
        event("something was given back")

    assert max(site.sums(), default=0) <= RATE + BURST
    assert len(site.gate.lows) <= LOWS_MAX
    # As exact as if the costs had been known, as long as nothing is forgotten.
    if len(site.passed) < LOWS_MAX:
        assert max(site.gate.full, site.now * 1_000_000) == site.ideal()
