"""Events and waits of one name and key meet, whichever comes first."""

from __future__ import annotations

from builders import Meeting

from stream_durable.core.ids import channel_id
from stream_durable.core.messages import ChannelTimerFired, WaitClosed, WaitOpened
from stream_durable.core.status import Outcome


def opened(run: str = "run-1", wait: str = "w") -> WaitOpened:
    return WaitOpened(key="paid/7", run=run, wait=wait)


def closed(run: str = "run-1", wait: str = "w") -> WaitClosed:
    return WaitClosed(key="paid/7", run=run, wait=wait)


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
    assert meeting.channel.waits == set()


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

    assert meeting.delivered == [("run-1", "w", "e1"), ("run-2", "w", "e1")]


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
    assert meeting.channel.waits == {("run-1", "w")}


def test_events_are_forgotten_when_their_time_is_over() -> None:
    meeting = Meeting()
    meeting.published("e1", ttl_ms=1_000)
    meeting.published("e2", ttl_ms=5_000)

    assert meeting.fire() is Outcome.APPLIED
    assert list(meeting.channel.events) == ["e2"]
    assert list(meeting.effects.timers.values()) == [meeting.channel.due]

    meeting.fire()
    assert meeting.channel.is_empty
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
