"""Channels give events to reactions one by one; repeats and late messages change nothing."""

from __future__ import annotations

from typing import Any

from builders import RUN, Meeting, Play, lasting_picture, reacting, signal, step
from msgspec import Raw

from core.test_taking import restored
from stream_durable.core.channel.fold import EVENTS_MAX
from stream_durable.core.channel.reading import PORTION, PORTION_BYTES
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.fold import refuse
from stream_durable.core.messages import (
    AttemptJumped,
    CancelRun,
    ChannelContinued,
    EventGiven,
    EventReacted,
    ReadClosed,
    ReadOpened,
    RetryRun,
    SignalRun,
)
from stream_durable.core.run.beside import SLOTS
from stream_durable.core.run.mail import SEEN_MAX
from stream_durable.core.run.redrive import redrive
from stream_durable.core.run.waits import LINE_MAX
from stream_durable.core.status import Outcome

CHANNEL, NAME = "paid/7", "~on_paid"


def opened(run: str = RUN, ordinal: int = 1, since: int = 0) -> ReadOpened:
    return ReadOpened(key=CHANNEL, run=run, reaction=NAME, ordinal=ordinal, since=since, format=2)


def reacted(number: int, run: str = RUN, ordinal: int = 1, room: int = 1) -> EventReacted:
    return EventReacted(
        key=CHANNEL, run=run, reaction=NAME, ordinal=ordinal, number=number, room=room, format=2
    )


def closed(run: str = RUN, ordinal: int = 1) -> ReadClosed:
    return ReadClosed(key=CHANNEL, run=run, reaction=NAME, ordinal=ordinal, format=2)


class Reading(Meeting):
    """A channel that is stored and loaded again after each message."""

    def tell(self, message: Any) -> Outcome:
        outcome = super().tell(message)
        again = restored(self.channel)
        assert lasting_picture(again) == lasting_picture(self.channel)
        self.channel = again
        return outcome

    @property
    def given(self) -> list[tuple[str, str, int]]:
        """(run, event, number) of what the last message gave."""
        return [(m.key, m.id, m.number) for m in self.effects.messages if type(m) is EventGiven]


class TestTheChannel:
    def test_as_many_events_are_given_as_there_is_room_for(self) -> None:
        meeting = Reading(CHANNEL)
        meeting.tell(opened())
        for number in range(1, 7):
            meeting.published(f"e{number}")
        meeting.tell(reacted(1, room=3))
        assert meeting.given == [(RUN, f"e{number}", number) for number in (2, 3, 4)]
        given = [m for m in meeting.effects.messages if type(m) is EventGiven]
        assert [m.more for m in given] == [2, 1, 0]
        # Only the last of them can be answered, and all are repeated until it was.
        assert meeting.tell(reacted(3)) is Outcome.LATE
        meeting.tell(opened())
        assert [m for m in meeting.effects.messages if type(m) is EventGiven] == given
        meeting.tell(reacted(4, room=5))
        assert meeting.given == [(RUN, "e5", 5), (RUN, "e6", 6)]
        meeting.tell(reacted(6, room=5))
        assert meeting.given == []
        meeting.published("e7")
        assert meeting.given == [(RUN, "e7", 7)]

    def test_large_events_are_given_in_several_records(self) -> None:
        meeting = Reading(CHANNEL)
        meeting.tell(opened())
        for number in range(1, 8):
            meeting.published(f"e{number}", b'"' + b"x" * 850_000 + b'"')
        meeting.tell(reacted(1, room=50))
        assert meeting.given == [
            (RUN, f"e{number}", number) for number in range(2, 3 + PORTION_BYTES // 850_000)
        ]

    def test_the_next_event_is_given_when_the_one_before_was_reacted_to(self) -> None:
        meeting = Reading(CHANNEL)
        meeting.tell(opened())
        meeting.published("e1", b"5")
        assert meeting.given == [(RUN, "e1", 1)]
        meeting.published("e2")
        meeting.published("e3")
        assert meeting.given == []
        meeting.tell(reacted(1))
        assert meeting.given == [(RUN, "e2", 2)]
        meeting.tell(reacted(2))
        assert meeting.given == [(RUN, "e3", 3)]
        meeting.tell(reacted(3))
        assert meeting.given == []

    def test_late_repeated_and_misplaced_messages_change_nothing(self) -> None:
        meeting = Reading(CHANNEL)
        meeting.tell(opened(ordinal=2))
        for n in range(3):
            meeting.published(f"e{n}")
        before = lasting_picture(meeting.channel)
        for message in (opened(ordinal=1), reacted(1, ordinal=1), reacted(2, ordinal=2), closed(ordinal=1),
                        reacted(1, ordinal=3), reacted(1, run="other")):  # fmt: skip
            assert meeting.tell(message) is Outcome.LATE
            assert not meeting.effects.messages and lasting_picture(meeting.channel) == before
        meeting.tell(reacted(1, ordinal=2))
        assert meeting.tell(reacted(1, ordinal=2)) is Outcome.LATE
        assert meeting.given == []

    def test_a_repeated_opening_is_given_the_event_under_way_again(self) -> None:
        meeting = Reading(CHANNEL)
        meeting.tell(opened())
        assert meeting.tell(opened()) is Outcome.DUPLICATE
        meeting.published("e1")
        meeting.tell(opened())
        assert meeting.given == [(RUN, "e1", 1)]

    def test_events_since_a_time_are_given_and_no_earlier_ones(self) -> None:
        meeting = Reading(CHANNEL)
        meeting.published("e1")
        meeting.now += 10
        meeting.published("e2")
        meeting.tell(opened("a", since=meeting.now))
        assert meeting.given == [("a", "e2", 2)]
        meeting.tell(opened("b", since=meeting.now + 1))
        assert meeting.given == []

    def test_an_event_is_kept_beyond_its_time_until_all_have_had_it(self) -> None:
        meeting = Reading(CHANNEL)
        for run in ("a", "b"):
            meeting.tell(opened(run))
        for n in range(3):
            meeting.published(f"e{n}", ttl_ms=5)
        meeting.fire()
        assert len(meeting.channel.events) == 3 and meeting.channel.due is None
        assert meeting.channel.next_free(0) is None
        for number in (1, 2, 3):
            meeting.tell(reacted(number, "a"))
        assert len(meeting.channel.events) == 3
        meeting.tell(reacted(1, "b"))
        assert list(meeting.channel.events) == ["e1", "e2"]
        meeting.tell(closed("b"))
        assert not meeting.channel.events
        meeting.tell(closed("a"))
        assert meeting.channel.is_over

    def test_many_reactions_are_given_an_event_in_portions(self) -> None:
        meeting = Meeting(CHANNEL)
        for n in range(PORTION + 7):
            meeting.tell(opened(f"r{n:04}"))
        meeting.published("e1")
        seen = [m.key for m in meeting.effects.messages if type(m) is EventGiven]
        assert len(seen) == PORTION
        assert ChannelContinued(key=CHANNEL) in meeting.effects.messages
        meeting.published("e2")
        assert not meeting.effects.messages
        meeting.tell(ChannelContinued(key=CHANNEL))
        seen += [m.key for m in meeting.effects.messages if type(m) is EventGiven]
        assert sorted(seen) == sorted(run for run, _ in meeting.channel.readers)
        assert meeting.tell(ChannelContinued(key=CHANNEL)) is Outcome.LATE

    def test_numbers_increase_when_all_events_are_gone(self) -> None:
        meeting = Reading(CHANNEL)
        meeting.tell(opened())
        meeting.published("e1", ttl_ms=0)
        meeting.tell(reacted(1))
        meeting.fire()
        assert not meeting.channel.events
        meeting.published("e2", ttl_ms=0)
        assert meeting.given == [(RUN, "e2", 2)]


def play(*nodes: Any, **options: Any) -> Play:
    made = nodes or (signal("w"), step("end", "w"))
    return Play(*made, beside=(reacting(event="paid"),), input=b'{"id":7}', **options)


def given(id: str, number: int, ordinal: int = 1) -> EventGiven:  # noqa: A002
    return EventGiven(key=RUN, reaction=NAME, id=id, ordinal=ordinal, number=number, channel=CHANNEL,
                      data=Raw(b"1"), format=2)  # fmt: skip


class TestTheRun:
    def test_it_registers_at_the_beginning_reacts_and_acknowledges(self) -> None:
        made = play()
        [opening] = [m for m in made.began.messages if isinstance(m, ReadOpened)]
        assert (opening.key, opening.reaction, opening.ordinal) == (CHANNEL, NAME, 1)
        assert made.tell(given("e1", 1)).asked == [("~on_paid.0", 1)]
        made.reload()
        assert made.tell(given("e1", 1)).outcome is Outcome.DUPLICATE
        assert made.last.is_silent
        assert made.completed("~on_paid.0").messages == [reacted(1)]
        assert made.tell(given("e1", 1)).outcome is Outcome.DUPLICATE
        assert made.last.messages == [reacted(1)]

    def test_the_end_closes_and_a_retry_opens_with_the_next_number(self) -> None:
        made = play()
        assert closed() in made.tell(CancelRun(key=RUN, id="c1")).messages
        assert made.tell(given("e1", 1)).messages == [closed()]
        again = made.tell(RetryRun(key=RUN, id="r1", whole=True)).messages
        assert [m.ordinal for m in again if isinstance(m, ReadOpened)] == [2]
        assert made.tell(given("e1", 1)).messages == [closed()]
        assert made.tell(given("e2", 4, ordinal=2)).asked == [("~on_paid.0", 1)]

    def test_a_takeover_registers_again(self) -> None:
        made = play()
        out = Effects()
        redrive(made.run, out)
        assert [m for m in out.messages if isinstance(m, ReadOpened)] == [
            m for m in made.began.messages if isinstance(m, ReadOpened)
        ]

    def test_a_jump_of_a_reaction_lets_what_is_under_way_stop_first(self) -> None:
        made = play(step("a", compensation=step("a~compensate")), step("end", "a"))
        made.tell(given("e1", 1))
        jump = AttemptJumped(key=RUN, step="~on_paid.0", attempt=1, to="end")
        assert made.tell(jump).asked == []
        assert made.failed("a", code="cancelled").asked == [("end", 1)]
        assert made.step("a").status == "skipped"


def test_a_run_that_is_not_there_is_given_no_more() -> None:
    out = Effects()
    refuse(given("e1", 1), RejectedError("unknown_run", "gone"), out)
    assert out.messages == [closed()]


def test_a_flood_of_events_is_given_in_order_and_leaves_nothing() -> None:
    meeting = Meeting(CHANNEL)
    meeting.tell(opened())
    for n in range(EVENTS_MAX):
        assert meeting.published(f"e{n}", ttl_ms=5) is Outcome.APPLIED
        assert len(meeting.effects.messages) == (n == 0)
    meeting.fire()
    assert len(meeting.channel.events) == EVENTS_MAX
    for number in range(1, EVENTS_MAX):
        meeting.tell(reacted(number))
        [given] = meeting.effects.messages
        assert isinstance(given, EventGiven) and (given.id, given.number) == (f"e{number}", number + 1)
    meeting.tell(reacted(EVENTS_MAX))
    assert not meeting.channel.events and not meeting.channel.order


def test_a_flood_of_signals_is_worked_off_in_order_within_bounds() -> None:
    made = Play(signal("w"), beside=(reacting("told"),))
    for n in range(LINE_MAX):
        asked = made.tell(SignalRun(key=RUN, id=f"s{n}", signal="told", data=Raw(b"%d" % n))).asked
        assert asked == ([("~on_told.0", 1)] if not n else [])
    made.reload()
    for n in range(LINE_MAX):
        said = made.completed(f"~on_told.{n % SLOTS}", attempt=1 + n // SLOTS)
        assert [bytes(command.item or b"") for command in said.commands] == [
            b"%d" % next_one for next_one in range(n + 1, min(n + 2, LINE_MAX))
        ]
    mail = made.run.mail
    assert mail is not None and not mail.kept and len(mail.seen) <= SEEN_MAX
    assert len(made.run.steps) <= SLOTS + 1
