"""Signals and events that are sent later."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOON, Saved, lasting_picture
from msgspec import Raw

from stream_durable.core.effects import Effects
from stream_durable.core.entities import timer_fired
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import fold
from stream_durable.core.ids import ID_BYTES_MAX, byte_length, later_id
from stream_durable.core.later.fold import REMEMBERED_MS
from stream_durable.core.later.state import Later
from stream_durable.core.messages import CancelLater, Message, SendLater, SignalRun
from stream_durable.core.status import Outcome
from stream_durable.wire.events import deferred

SIGNAL = SignalRun(key="run-1", id="m1", signal="go", data=Raw(b"5"))


class Planned:
    """One message for later, stored and loaded again after each message about it."""

    def __init__(self) -> None:
        self.now = NOON
        self.later = Later(deferred(SIGNAL).key, 3)
        self.saved = Saved()

    def tell(self, message: Message) -> Outcome:
        self.effects = Effects()
        outcome = fold(self.later, message, self.now, self.effects)
        self.saved.save(self.later)
        again = self.saved.load_later(self.later.id, 3)
        assert lasting_picture(again) == lasting_picture(self.later)
        self.later = again
        return outcome

    def send(self, **when: Any) -> Outcome:
        return self.tell(deferred(SIGNAL, **when))

    def cancel(self, id: str = "c1") -> Outcome:  # noqa: A002
        return self.tell(CancelLater(key=self.later.id, id=id, format=2))

    def fire(self) -> Outcome:
        assert self.later.timer is not None
        self.now = max(self.now, self.later.timer)
        return self.tell(timer_fired("later", self.later.id, "", self.later.timer))

    def timer(self) -> int | None:
        """Return the moment that the last message asked to be woken at."""
        [timer] = self.effects.timers.values()
        return timer


@pytest.mark.parametrize("when", [{"after_ms": 5_000}, {"at": NOON + 5_000}])
def test_it_is_sent_when_its_moment_comes_and_once(when: dict[str, int]) -> None:
    planned = Planned()
    assert planned.send(**when) is Outcome.APPLIED
    assert (planned.timer(), planned.effects.messages) == (NOON + 5_000, [])
    assert planned.send(**when) is Outcome.DUPLICATE

    assert planned.fire() is Outcome.APPLIED
    assert planned.effects.messages == [SIGNAL]
    planned.now += 1_000
    assert planned.send(**when) is Outcome.DUPLICATE
    assert planned.effects.messages == []


@pytest.mark.parametrize("when", [{"after_ms": 0}, {"at": NOON - 1}, {"at": NOON}])
def test_a_moment_that_is_over_sends_it_at_once(when: dict[str, int]) -> None:
    planned = Planned()
    planned.send(**when)
    assert planned.effects.messages == [SIGNAL]


def test_a_cancelled_one_is_not_sent() -> None:
    planned = Planned()
    planned.send(after_ms=5_000)
    old = timer_fired("later", planned.later.id, "", NOON + 5_000)

    assert planned.cancel() is Outcome.APPLIED
    assert planned.cancel("c2") is Outcome.DUPLICATE
    planned.now += 5_000
    assert planned.tell(old) is Outcome.LATE
    assert planned.effects.messages == []
    assert planned.send(after_ms=5_000) is Outcome.DUPLICATE


def test_a_cancellation_after_the_moment_is_late() -> None:
    planned = Planned()
    planned.send(after_ms=0)
    assert planned.cancel() is Outcome.LATE


def test_one_that_there_is_not_cannot_be_cancelled() -> None:
    with pytest.raises(RejectedError, match="no message 'signal:run-1/go#m1' is kept for later"):
        Planned().cancel()


def test_the_id_is_remembered_for_a_day_and_then_forgotten() -> None:
    planned = Planned()
    planned.send(after_ms=0)
    assert planned.timer() == NOON + REMEMBERED_MS

    assert planned.fire() is Outcome.APPLIED

    assert planned.timer() is None
    assert not planned.saved.laters
    assert planned.send(after_ms=9) is Outcome.APPLIED


def test_a_timer_that_comes_again_does_nothing() -> None:
    planned = Planned()
    planned.send(after_ms=5)
    due = planned.later.timer
    assert due is not None
    planned.fire()
    assert planned.tell(timer_fired("later", planned.later.id, "", due)) is Outcome.LATE
    assert Planned().tell(timer_fired("later", planned.later.id, "", due)) is Outcome.LATE


def test_a_timer_by_a_clock_that_is_fast_waits_for_the_log() -> None:
    planned = Planned()
    planned.send(after_ms=60_000)
    early = timer_fired("later", planned.later.id, "", NOON + 60_000)

    assert planned.tell(early) is Outcome.LATE
    assert planned.timer() == NOON + 60_000
    planned.fire()
    assert planned.effects.messages == [SIGNAL]


@pytest.mark.parametrize("when", [{}, {"at": 1, "after_ms": 1}])
def test_one_moment_is_named(when: dict[str, int]) -> None:
    with pytest.raises(RejectedError, match="one of the two"):
        Planned().tell(SendLater(key="x", format=2, message=SIGNAL, **when))


def test_a_long_id_is_shortened() -> None:
    key = later_id("event", "n/" + "é" * 200, "i" * 300)
    assert byte_length(key) <= ID_BYTES_MAX
    assert key != later_id("event", "n/" + "é" * 200, "i" * 299 + "j")
