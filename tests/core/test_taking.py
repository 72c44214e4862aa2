"""Waits that take: an event is given to one of them, and to the next if that one no longer waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from builders import Meeting, Play, event, lasting_picture, sleep, step
from growth import grows_with
from msgspec import Raw

from stream_durable.core.channel import rows
from stream_durable.core.channel.rows import EventRow, WaitRow
from stream_durable.core.channel.state import Channel
from stream_durable.core.messages import (
    CancelRun,
    CancelStep,
    EventOffered,
    EventTaken,
    SkipStep,
    TakeOpened,
    WaitChecked,
    WaitClosed,
    WaitOpened,
)
from stream_durable.core.status import Outcome
from stream_durable.core.tables import Rows

CHANNEL, RUN = "paid/7", "run-1"


def opened(run: str = RUN, attempt: int = 1, since: int = 0) -> TakeOpened:
    return TakeOpened(key=CHANNEL, run=run, wait="w", attempt=attempt, since=since, format=2)


def watched(run: str) -> WaitOpened:
    return WaitOpened(key=CHANNEL, run=run, wait="w", attempt=1)


def taken(run: str = RUN, id: str = "e1", attempt: int = 1) -> EventTaken:  # noqa: A002
    return EventTaken(key=CHANNEL, id=id, run=run, wait="w", attempt=attempt, format=2)


def closed(run: str = RUN, attempt: int = 1) -> WaitClosed:
    return WaitClosed(key=CHANNEL, run=run, wait="w", attempt=attempt)


def restored(channel: Channel) -> Channel:
    """Return the channel made of its own rows."""
    written = Rows()
    channel.touched_events = dict.fromkeys(channel.events)
    channel.touched_waits = dict.fromkeys([*channel.waits, *channel.takers, *channel.readers])
    rows.write(channel, written)
    parts: list[Any] = [
        [(*row[:2], *row[3:]) for row in written.of(EventRow)],
        [(*row[:3], *row[4:]) for row in written.of(WaitRow)],
    ]
    return rows.thaw(channel.id, channel.partition, parts, None)


class Taking(Meeting):
    """A channel that is stored and loaded again after each message."""

    def tell(self, message: Any) -> Outcome:
        outcome = super().tell(message)
        again = restored(self.channel)
        assert lasting_picture(again) == lasting_picture(self.channel)
        self.channel = again
        return outcome

    @property
    def offered(self) -> list[tuple[str, str]]:
        """(run, event) of what the last message offered."""
        return [(m.key, m.id) for m in self.effects.messages if type(m) is EventOffered]


class TestTheChannel:
    def test_of_two_waits_the_first_gets_the_event_and_the_second_the_next(self) -> None:
        meeting = Taking()
        meeting.tell(opened("run-2"))
        meeting.tell(opened("run-1"))

        meeting.published("e1", b"5")
        [offer] = meeting.effects.messages
        assert meeting.offered == [("run-2", "e1")]
        assert isinstance(offer, EventOffered)
        assert (offer.channel, offer.attempt, bytes(offer.data)) == (CHANNEL, 1, b"5")

        meeting.published("e2")
        assert meeting.offered == [("run-1", "e2")]
        meeting.published("e3")
        assert meeting.offered == []

    def test_those_that_do_not_take_are_woken_besides(self) -> None:
        meeting = Taking()
        for message in (watched("a"), opened("b"), watched("c"), opened("d")):
            meeting.tell(message)

        meeting.published()

        assert sorted(meeting.delivered) == [("a", "w", "e1"), ("b", "w", "e1"), ("c", "w", "e1")]
        meeting.tell(taken("b"))
        meeting.tell(watched("late"))
        assert meeting.delivered == [("late", "w", "e1")]

    def test_an_event_that_came_first_is_taken_once(self) -> None:
        meeting = Taking()
        meeting.published("e1", ttl_ms=9_000)
        meeting.published("e2", ttl_ms=1_000)

        meeting.tell(opened("a"))
        assert meeting.offered == [("a", "e2")]
        meeting.tell(opened("b"))
        assert meeting.offered == [("b", "e1")]
        meeting.tell(opened("c"))
        assert meeting.offered == []
        assert list(meeting.channel.takers) == [("c", "w")]

    def test_one_that_was_had_by_a_wait_that_does_not_take_is_still_there_to_be_taken(self) -> None:
        meeting = Taking()
        meeting.tell(watched("a"))
        meeting.published()

        meeting.tell(opened("b"))

        assert meeting.offered == [("b", "e1")]

    def test_an_expired_event_is_not_offered(self) -> None:
        meeting = Taking()
        meeting.published(ttl_ms=1_000)
        meeting.now += 1_000

        meeting.tell(opened())

        assert meeting.offered == []

    def test_what_was_taken_is_kept_for_its_time_and_counts_once(self) -> None:
        meeting = Taking()
        meeting.tell(opened())
        meeting.published(ttl_ms=5_000)

        assert meeting.tell(taken()) is Outcome.APPLIED
        assert meeting.tell(taken()) is Outcome.DUPLICATE
        assert meeting.published() is Outcome.DUPLICATE
        meeting.fire()
        assert meeting.channel.is_over
        assert meeting.tell(taken()) is Outcome.LATE


class TestGivingBack:
    """A run that waits no longer gives back what it was offered."""

    def test_it_goes_to_the_next_in_line(self) -> None:
        meeting = Taking()
        for run in ("a", "b", "c"):
            meeting.tell(opened(run))
        meeting.published()

        assert meeting.tell(closed("a")) is Outcome.APPLIED
        assert meeting.offered == [("b", "e1")]
        assert meeting.tell(closed("a")) is Outcome.LATE
        assert meeting.tell(taken("a")) is Outcome.LATE
        assert meeting.tell(taken("b")) is Outcome.APPLIED
        assert list(meeting.channel.takers) == [("c", "w")]

    def test_without_another_it_is_kept_for_the_rest_of_its_time(self) -> None:
        meeting = Taking()
        meeting.tell(opened("a"))
        meeting.published(ttl_ms=5_000)
        meeting.tell(closed("a"))

        meeting.tell(opened("b"))
        assert meeting.offered == [("b", "e1")]
        meeting.tell(closed("b"))
        meeting.fire()
        assert meeting.channel.is_over

    @pytest.mark.parametrize("is_taken", [True, False])
    def test_an_offer_whose_answer_was_lost_is_made_again_at_the_end_of_its_time(
        self,
        is_taken: bool,  # noqa: FBT001
    ) -> None:
        meeting, play = Taking(), Play(event("w", take=True), sleep("nap"), input=Raw(b'{"id":"7"}'))
        meeting.tell(opened())
        meeting.tell(opened("b"))
        meeting.published(ttl_ms=5_000)
        [offer] = meeting.effects.messages
        if is_taken:
            play.tell(offer)
        else:
            play.step_cancelled("w")

        meeting.fire()

        [again] = meeting.effects.messages
        assert again == offer
        assert meeting.channel.due is None
        [answer] = play.tell(again).effects.messages
        meeting.tell(answer)
        assert meeting.offered == ([] if is_taken else [("b", "e1")])

    @pytest.mark.parametrize("is_kept", [True, False])
    def test_an_offer_outlasts_the_time_of_the_event(self, is_kept: bool) -> None:  # noqa: FBT001
        meeting = Taking()
        meeting.tell(opened("a"))
        meeting.tell(opened("b"))
        meeting.published(ttl_ms=0)
        meeting.fire()
        assert meeting.channel.due is None
        meeting.tell(watched("c"))
        assert meeting.delivered == []

        if is_kept:
            meeting.tell(taken("a"))
            assert not meeting.channel.events
        else:
            meeting.tell(closed("a"))
            assert meeting.offered == [("b", "e1")]
            meeting.tell(closed("b"))
            assert not meeting.channel.events

    def test_what_was_taken_is_not_given_back_by_a_repeated_offer(self) -> None:
        meeting = Taking()
        meeting.tell(opened("a"))
        meeting.tell(opened("b"))
        meeting.published()
        meeting.tell(taken("a"))

        assert meeting.tell(closed("a")) is Outcome.LATE

        assert meeting.offered == []
        assert list(meeting.channel.takers) == [("b", "w")]

    def test_a_wait_that_has_no_offer_yet_is_closed(self) -> None:
        meeting = Taking()
        meeting.tell(opened("a"))

        assert meeting.tell(closed("a")) is Outcome.APPLIED
        meeting.published()
        assert meeting.offered == []

    def test_closing_an_earlier_wait_leaves_the_later_one_with_its_offer(self) -> None:
        meeting = Taking()
        meeting.tell(opened("a", attempt=2))
        meeting.published()

        assert meeting.tell(closed("a", attempt=1)) is Outcome.LATE
        assert meeting.tell(taken("a", attempt=2)) is Outcome.APPLIED


class TestMessagesThatComeAgain:
    def test_a_wait_opened_twice_is_offered_the_same_event(self) -> None:
        meeting = Taking()
        meeting.tell(opened())
        assert meeting.tell(opened()) is Outcome.DUPLICATE
        meeting.published("e1")
        meeting.published("e2")

        assert meeting.tell(opened()) is Outcome.APPLIED
        assert meeting.offered == [(RUN, "e1")]

    def test_opening_an_earlier_wait_leaves_the_later_one_as_it_is(self) -> None:
        meeting = Taking()
        meeting.tell(opened(attempt=2))

        assert meeting.tell(opened(attempt=1)) is Outcome.LATE
        meeting.tell(opened(attempt=3))
        meeting.published()
        [offer] = meeting.effects.messages
        assert isinstance(offer, EventOffered)
        assert offer.attempt == 3

    def test_of_one_opened_late_the_run_is_asked_and_what_it_is_offered_comes_back(self) -> None:
        meeting = Taking()
        meeting.tell(opened("gone", since=meeting.now - 60_000))
        assert meeting.effects.messages == [WaitChecked(key="gone", wait="w", channel=CHANNEL, attempt=1)]
        meeting.tell(opened("b"))

        meeting.published()
        assert meeting.offered == [("gone", "e1")]
        meeting.tell(closed("gone"))
        assert meeting.offered == [("b", "e1")]


class TestTheRun:
    def play(self, *others: Any) -> Play:
        return Play(event("w", take=True, timeout_ms=60_000), *others, input=Raw(b'{"id":"7"}'))

    def offered(self, attempt: int = 1, id: str = "e1") -> EventOffered:  # noqa: A002
        return EventOffered(
            key=RUN, wait="w", id=id, data=Raw(b"5"), attempt=attempt, channel=CHANNEL, format=2
        )

    def answers(self, play: Play, attempt: int = 1) -> list[Any]:
        said = play.tell(self.offered(attempt))
        return [m for m in said.effects.messages if isinstance(m, EventTaken | WaitClosed)]

    def test_it_accepts_while_it_waits(self) -> None:
        play = self.play()
        assert self.answers(play) == [taken()]
        assert play.run.output == b"5"

    def test_it_answers_an_offer_that_comes_again_as_before(self) -> None:
        play = self.play(step("then", "w"))
        self.answers(play)
        play.reload()
        assert self.answers(play) == [taken()]
        assert play.run.steps[0].output == b"5"
        assert self.answers(play, attempt=2) == [closed(attempt=2)]

    def test_it_gives_back_another_event_than_it_took(self) -> None:
        play = self.play(step("then", "w"))
        self.answers(play)

        said = play.tell(self.offered(id="e2"))

        assert said.effects.messages == [closed()]
        assert play.run.steps[0].output == b"5"

    @pytest.mark.parametrize(
        "order",
        [
            CancelRun(key=RUN, id="c"),
            CancelStep(key=RUN, id="c", step="w"),
            SkipStep(key=RUN, id="c", step="w"),
            None,
        ],
    )
    def test_it_gives_back_when_the_wait_is_over(self, order: Any) -> None:
        play = self.play(sleep("nap", ms=500_000))
        if order is None:
            play.fire("w")
        else:
            play.tell(order)
        assert self.answers(play) == [closed()]

    def test_it_gives_back_what_was_offered_to_an_earlier_wait(self) -> None:
        play = self.play(sleep("nap", ms=500_000))
        play.fire("w")
        play.retried("w")
        assert play.run.steps[0].attempt == 2
        assert self.answers(play, attempt=1) == [closed()]
        assert self.answers(play, attempt=2) == [taken(attempt=2)]

    def test_what_an_earlier_wait_took_stays_taken(self) -> None:
        play = self.play(step("then", "w"))
        assert self.answers(play, attempt=1) == [taken()]
        play.retried("w")
        assert play.run.steps[0].attempt == 2
        play.reload()

        # As when the acceptance was lost with the log of the channel.
        assert self.answers(play, attempt=1) == [taken()]
        said = play.tell(self.offered(attempt=1, id="e2"))
        assert [type(message) for message in said.effects.messages] == [WaitClosed]
        assert self.answers(play, attempt=2) == [taken(attempt=2)]


def test_the_next_of_many_is_found_however_many_were_before() -> None:
    def work(count: int) -> Callable[[], object]:
        channel = Channel(CHANNEL, 3)
        for n in range(count):
            channel.add_wait((f"run-{n}", "w"), 1)
            channel.add_taker((f"run-{n}", "t"), 1)

        def give() -> None:
            for waits in (channel.waits, channel.takers):
                while waits:
                    channel.remove_wait(next(iter(waits)))

        return give

    assert grows_with(work, 50_000)
