"""Events and waits of one name and key meet, whichever comes first."""

from __future__ import annotations

from typing import Any

from builders import Meeting, Saved

from stream_durable.core.channel.fold import LATE_MS
from stream_durable.core.channel.reading import PORTION, PORTION_BYTES
from stream_durable.core.channel.state import Channel
from stream_durable.core.ids import channel_id
from stream_durable.core.messages import (
    ChannelContinued,
    ChannelTimerFired,
    EventDelivered,
    WaitChecked,
    WaitClosed,
    WaitOpened,
)
from stream_durable.core.status import Outcome


def opened(run: str = "run-1", wait: str = "w", attempt: int = 1, since: int = 0) -> WaitOpened:
    return WaitOpened(key="paid/7", run=run, wait=wait, attempt=attempt, since=since)


def closed(run: str = "run-1", wait: str = "w", attempt: int = 1) -> WaitClosed:
    return WaitClosed(key="paid/7", run=run, wait=wait, attempt=attempt)


def test_a_channel_is_named_after_event_and_key() -> None:
    assert channel_id("paid", "order/7") == "paid/order/7"


def test_an_event_after_the_wait_is_delivered() -> None:
    meeting = Meeting()

    assert meeting.tell(opened()) is Outcome.APPLIED
    assert meeting.delivered == []

    assert meeting.published("e1", b"5") is Outcome.APPLIED
    assert meeting.delivered == [("run-1", "w", "e1")]


def test_an_event_before_the_wait_is_kept_and_delivered() -> None:
    meeting = Meeting()
    meeting.published("e1", b"5")

    meeting.tell(opened())

    assert meeting.delivered == [("run-1", "w", "e1")]
    assert not meeting.channel.waits


def test_the_data_is_delivered_as_it_came() -> None:
    meeting = Meeting()
    meeting.published("e1", b'{"a": 1.50}')

    meeting.tell(opened())

    (delivered,) = meeting.effects.messages
    assert bytes(delivered.data) == b'{"a": 1.50}'  # type: ignore[attr-defined]


def test_two_waits_get_the_same_event() -> None:
    meeting = Meeting()
    meeting.tell(opened("run-2"))
    meeting.tell(opened("run-1"))

    meeting.published()

    assert meeting.delivered == [("run-2", "w", "e1"), ("run-1", "w", "e1")]


def test_a_wait_before_and_one_after_get_the_same_event() -> None:
    meeting = Meeting()
    meeting.tell(opened("run-1"))
    meeting.published()

    meeting.tell(opened("run-2"))

    assert meeting.delivered == [("run-2", "w", "e1")]


def test_a_wait_gets_one_event_only() -> None:
    meeting = Meeting()
    meeting.tell(opened())
    meeting.published("e1")

    meeting.published("e2")

    assert meeting.delivered == []


def test_of_several_kept_events_the_one_that_expires_first_is_taken() -> None:
    meeting = Meeting()
    meeting.published("e1", ttl_ms=9_000)
    meeting.published("e2", ttl_ms=1_000)

    meeting.tell(opened())

    assert meeting.delivered == [("run-1", "w", "e2")]


def test_the_same_event_twice_is_a_duplicate() -> None:
    meeting = Meeting()
    meeting.published("e1", b"1")
    meeting.tell(opened())

    assert meeting.published("e1", b"2") is Outcome.DUPLICATE
    assert meeting.effects.messages == []


def test_the_same_wait_twice_is_a_duplicate() -> None:
    meeting = Meeting()
    meeting.tell(opened())

    assert meeting.tell(opened()) is Outcome.DUPLICATE
    meeting.published()
    assert len(meeting.delivered) == 1


def test_an_expired_event_is_not_delivered_even_before_its_timer_fires() -> None:
    meeting = Meeting()
    meeting.published(ttl_ms=1_000)
    meeting.now += 1_000

    meeting.tell(opened())

    assert meeting.delivered == []
    assert list(meeting.channel.waits) == [("run-1", "w")]


def test_events_are_forgotten_when_their_time_is_over() -> None:
    meeting = Meeting()
    meeting.published("e1", ttl_ms=1_000)
    meeting.published("e2", ttl_ms=5_000)

    assert meeting.fire() is Outcome.APPLIED
    assert list(meeting.channel.events) == ["e2"]
    assert list(meeting.effects.timers.values()) == [meeting.channel.due]

    meeting.fire()
    assert meeting.channel.is_over
    assert list(meeting.effects.timers.values()) == [None]


def test_an_earlier_event_moves_the_timer() -> None:
    meeting = Meeting()
    meeting.published("e1", ttl_ms=5_000)
    assert list(meeting.effects.timers.values()) == [meeting.now + 5_000]

    meeting.published("e2", ttl_ms=1_000)
    assert list(meeting.effects.timers.values()) == [meeting.now + 1_000]

    meeting.published("e3", ttl_ms=9_000)
    assert meeting.effects.timers == {}


def test_a_timer_of_another_moment_is_late() -> None:
    meeting = Meeting()
    meeting.published(ttl_ms=1_000)
    early = ChannelTimerFired(key="paid/7", timer="", due=meeting.now)

    assert meeting.tell(early) is Outcome.LATE
    assert len(meeting.channel.events) == 1


def test_a_timer_fires_on_a_channel_that_knows_of_none() -> None:
    assert Meeting().tell(ChannelTimerFired(key="paid/7", timer="", due=1)) is Outcome.LATE


def test_a_closed_wait_gets_nothing() -> None:
    meeting = Meeting()
    meeting.tell(opened("run-1"))
    meeting.tell(opened("run-2"))

    assert meeting.tell(closed("run-1")) is Outcome.APPLIED
    meeting.published()

    assert meeting.delivered == [("run-2", "w", "e1")]


def test_closing_a_wait_that_is_not_open_is_late() -> None:
    assert Meeting().tell(closed()) is Outcome.LATE


class TestMessagesThatComeLate:
    """An owner that was replaced, and goes on, publishes what it had saved before: late and once more."""

    def test_closing_an_earlier_wait_leaves_the_later_one_open(self) -> None:
        meeting = Meeting()
        meeting.tell(opened(attempt=2))

        assert meeting.tell(closed(attempt=1)) is Outcome.LATE

        meeting.published()
        assert meeting.delivered == [("run-1", "w", "e1")]

    def test_opening_an_earlier_wait_leaves_the_later_one_as_it_is(self) -> None:
        meeting = Meeting()
        meeting.tell(opened(attempt=2))

        assert meeting.tell(opened(attempt=1)) is Outcome.LATE

        assert meeting.tell(closed(attempt=2)) is Outcome.APPLIED
        assert meeting.channel.is_over

    def test_a_later_wait_takes_the_place_of_an_earlier_one(self) -> None:
        meeting = Meeting()
        meeting.tell(opened(attempt=1))
        meeting.tell(opened(attempt=2))

        meeting.published()

        (delivered,) = meeting.effects.messages
        assert isinstance(delivered, EventDelivered)
        assert delivered.attempt == 2

    def test_of_a_wait_that_is_opened_late_the_run_is_asked_whether_it_still_waits(self) -> None:
        meeting = Meeting()

        assert meeting.tell(opened(attempt=3, since=meeting.now - LATE_MS - 1)) is Outcome.APPLIED

        assert meeting.effects.messages == [WaitChecked(key="run-1", wait="w", channel="paid/7", attempt=3)]
        meeting.published()
        assert meeting.delivered == [("run-1", "w", "e1")]

    def test_of_a_wait_that_is_opened_in_time_nobody_is_asked(self) -> None:
        meeting = Meeting()

        meeting.tell(opened(since=meeting.now - LATE_MS))

        assert meeting.effects.messages == []

    def test_a_message_of_a_release_that_named_no_attempt_is_about_the_wait_there_is(self) -> None:
        meeting = Meeting()
        meeting.tell(opened(attempt=2))

        assert meeting.tell(opened(attempt=0)) is Outcome.DUPLICATE
        assert meeting.tell(closed(attempt=0)) is Outcome.APPLIED


class TestManyWaits:
    """What is too much for one record is left to the next ones."""

    def waiting(self, count: int) -> Meeting:
        meeting = Meeting()
        for i in range(count):
            meeting.tell(opened(f"run-{i}"))
        return meeting

    def go_on(self, meeting: Meeting) -> list[str]:
        """Continue as often as the channel asks for it; return the runs that were woken, in order."""
        woken = [run for run, _, _ in meeting.delivered]
        while any(isinstance(m, ChannelContinued) for m in meeting.effects.messages):
            assert meeting.tell(ChannelContinued(key="paid/7")) is Outcome.APPLIED
            assert len(meeting.delivered) <= PORTION
            woken += [run for run, _, _ in meeting.delivered]
        return woken

    def test_all_are_woken_in_the_order_in_which_they_began_to_wait(self) -> None:
        meeting = self.waiting(3 * PORTION + 7)

        meeting.published()

        assert len(meeting.delivered) == PORTION
        assert self.go_on(meeting) == [f"run-{i}" for i in range(3 * PORTION + 7)]
        assert not meeting.channel.waits
        assert meeting.tell(ChannelContinued(key="paid/7")) is Outcome.LATE

    def test_a_large_event_wakes_fewer_at_a_time(self) -> None:
        meeting = self.waiting(20)

        meeting.published(data=b'"%b"' % (b"x" * (PORTION_BYTES // 10)))

        assert 5 < len(meeting.delivered) < 11
        assert len(self.go_on(meeting)) == 20

    def test_each_wait_gets_the_event_that_came_first_after_it(self) -> None:
        meeting = self.waiting(PORTION + 2)
        meeting.published("e1", ttl_ms=0)
        meeting.tell(opened("late"))
        meeting.published("e2", ttl_ms=0)
        assert meeting.delivered == []

        woken = []
        while meeting.channel.waking:
            meeting.tell(ChannelContinued(key="paid/7"))
            woken += meeting.delivered

        assert woken == [
            (f"run-{PORTION}", "w", "e1"),
            (f"run-{PORTION + 1}", "w", "e1"),
            ("late", "w", "e2"),
        ]

    def test_an_event_is_kept_until_it_has_woken_all(self) -> None:
        meeting = self.waiting(PORTION + 1)
        meeting.published(ttl_ms=0)
        assert meeting.channel.due is None
        saved = Saved()
        saved.save(meeting.channel)
        assert list(loaded(saved, meeting).waking) == [("e1", PORTION + 1)]

        meeting.tell(ChannelContinued(key="paid/7"))

        assert meeting.delivered == [(f"run-{PORTION}", "w", "e1")]
        saved.save(meeting.channel)
        assert not loaded(saved, meeting).waking
        meeting.fire()
        assert meeting.channel.is_over

    def test_a_wait_whose_turn_is_still_to_come_is_woken_when_it_is_asked_for_again(self) -> None:
        meeting = self.waiting(PORTION + 1)
        meeting.published(ttl_ms=0)

        assert meeting.tell(opened(f"run-{PORTION}")) is Outcome.APPLIED

        assert meeting.delivered == [(f"run-{PORTION}", "w", "e1")]

    def test_a_wait_that_is_closed_in_time_is_not_woken(self) -> None:
        meeting = self.waiting(PORTION + 2)
        meeting.published(ttl_ms=0)

        meeting.tell(closed(f"run-{PORTION}"))
        meeting.tell(ChannelContinued(key="paid/7"))

        assert meeting.delivered == [(f"run-{PORTION + 1}", "w", "e1")]


def loaded(saved: Saved, meeting: Meeting) -> Channel:
    return saved.load_channel(meeting.channel.id, meeting.channel.partition)


class Ungone(dict[str, Any]):
    """A dictionary that nobody may go through."""

    def __iter__(self) -> Any:
        raise AssertionError("gone through")

    items = values = keys = __iter__


def test_events_that_are_kept_are_not_gone_through() -> None:
    meeting = Meeting()
    for i in range(300):
        meeting.published(f"e{i}")
    meeting.channel.events = Ungone(meeting.channel.events)

    assert meeting.published("another") is Outcome.APPLIED
    assert meeting.tell(opened()) is Outcome.APPLIED
    assert meeting.delivered == [("run-1", "w", "another")]
