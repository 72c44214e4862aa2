"""Functions beside the graph with `concurrency=`: several calls under way, begun in the order of the log."""

from __future__ import annotations

from builders import RUN, Play, Said, answering, reacting, signal, step, undoing
from msgspec import Raw

from stream_durable.core.format import BESIDE, READS
from stream_durable.core.messages import EventGiven, EventReacted, InquireRun
from stream_durable.core.run.beside import SLOTS
from stream_durable.core.status import Outcome


def asking(concurrency: int, *nodes: object) -> Play:
    beside = (answering(concurrency=concurrency),)
    return Play(*(nodes or (signal("w"),)), beside=beside)  # type: ignore[arg-type]


def reading(concurrency: int) -> Play:
    """Return a run that reacts to events."""
    return Play(signal("w"), beside=(reacting(event="paid", concurrency=concurrency),), input=b'{"id":"a"}')


def give(play: Play, number: int, more: int = 0) -> list[tuple[int, int]]:
    """Give an event, and return beyond which ones the channel is asked for how many."""
    given = EventGiven(
        key=RUN, reaction="~on_paid", id=f"e{number}", data=Raw(b"1"), ordinal=1, number=number, channel="c",
        more=more, format=READS,
    )  # fmt: skip
    return asked_after(play.tell(given))


def asked_after(said: Said) -> list[tuple[int, int]]:
    return [(each.number, each.room) for each in said.messages if isinstance(each, EventReacted)]


def test_so_many_calls_are_under_way_and_the_next_begins_when_any_of_them_ends() -> None:
    play = asking(2)
    assert play.inquired("q1").asked == [("~quote.0", 1)]
    assert play.inquired("q2").asked == [("~quote.1", 1)]
    assert play.inquired("q3").asked == []
    assert play.inquired("q4").asked == []
    play.reload()
    assert play.completed("~quote.1").asked == [("~quote.2", 1)]
    play.reload()
    assert play.failed("~quote.0").asked == [("~quote.3", 1)]
    assert play.completed("~quote.3").asked == []


def test_signals_are_taken_out_of_the_run_as_there_is_room() -> None:
    play = Play(signal("w"), beside=(reacting("hit", concurrency=2),))
    assert [play.signalled("hit", id=f"s{n}").asked for n in range(5)] == [
        [("~on_hit.0", 1)], [("~on_hit.1", 1)], [], [], [],
    ]  # fmt: skip
    play.reload()
    assert play.completed("~on_hit.1").asked == [("~on_hit.2", 1)]
    assert play.completed("~on_hit.2").asked == [("~on_hit.3", 1)]
    assert play.completed("~on_hit.0").asked == [("~on_hit.4", 1)]
    assert play.signalled("hit", id="s2").outcome is Outcome.DUPLICATE


def test_calls_that_waited_for_a_resumed_run_begin_together() -> None:
    play = Play(signal("w"), beside=(reacting("hit", concurrency=3),))
    play.paused()
    assert [play.signalled("hit", id=f"s{n}").asked for n in range(4)] == [[], [], [], []]
    play.reload()
    assert play.resumed().asked == [("~on_hit.0", 1), ("~on_hit.1", 1), ("~on_hit.2", 1)]
    assert play.completed("~on_hit.0").asked == [("~on_hit.3", 1)]


def test_a_call_that_goes_on_and_on_holds_up_the_others_only_when_its_step_is_needed_again() -> None:
    play = asking(2)
    play.inquired("slow")
    for n in range(1, SLOTS):
        assert play.inquired(f"q{n}").asked == [(f"~quote.{n}", 1)]
        play.completed(f"~quote.{n}")
    assert (
        play.refused(InquireRun(key=RUN, id="more", inquiry="quote", data=Raw(b"1"), format=BESIDE))
        == "beside_full"
    )
    assert play.completed("~quote.0").asked == []
    assert play.inquired("more").asked == [("~quote.0", 2)]


def test_a_kept_signal_waits_for_the_step_of_a_call_that_goes_on_and_on() -> None:
    play = Play(signal("w"), beside=(reacting("hit", concurrency=2),))
    for n in range(SLOTS):
        play.signalled("hit", id=f"s{n}")
        if n:
            play.completed(f"~on_hit.{n}")
    assert play.signalled("hit", id="more").asked == []
    play.reload()
    assert play.completed("~on_hit.0").asked == [("~on_hit.0", 2)]


def test_events_are_asked_for_as_there_is_room() -> None:
    play = reading(3)
    assert give(play, 4) == [(4, 2)]
    assert play.last.asked == [("~on_paid.0", 1)]
    assert give(play, 7, more=1) == []
    assert give(play, 8) == []
    assert play.last.asked == [("~on_paid.2", 1)]
    play.reload()
    assert asked_after(play.completed("~on_paid.0")) == [(8, 1)]
    assert asked_after(play.completed("~on_paid.1")) == []
    play.reload()
    assert asked_after(play.completed("~on_paid.2")) == []
    assert give(play, 9) == [(9, 2)]


def test_events_that_are_given_again_are_asked_beyond_again_only_when_there_is_room() -> None:
    play = reading(2)
    give(play, 4)
    assert give(play, 4) == [(4, 1)]
    give(play, 7)
    assert give(play, 7) == []
    play.completed("~on_paid.0")
    assert give(play, 4, more=1) == []
    assert give(play, 7) == [(7, 1)]


def test_no_more_events_are_asked_for_than_have_a_step_of_their_own() -> None:
    play = reading(3)
    give(play, 1)
    for number in range(2, SLOTS):
        give(play, number)
        play.completed(f"~on_paid.{number - 1}")
    # The step of the first one, which goes on and on, would be the next but one.
    assert asked_after(play.last) == []
    assert give(play, SLOTS) == []
    assert asked_after(play.completed(f"~on_paid.{SLOTS - 1}")) == []
    assert asked_after(play.completed("~on_paid.0")) == [(SLOTS, 3)]


def test_a_run_with_nothing_else_left_begins_no_more_calls() -> None:
    play = Play(signal("w"), beside=(reacting("hit", concurrency=2),))
    play.signalled("hit", id="s0")
    play.signalled(id="go")
    assert play.run.status == "running"
    assert play.signalled("hit", id="s1").asked == []
    assert play.completed("~on_hit.0").facts[-1] == "run.completed"


def test_a_call_of_one_function_keeps_no_run_for_those_of_another() -> None:
    play = Play(signal("w"), beside=(answering("quote"), answering("state")))
    play.inquired("q1")
    play.inquired("s1", name="state")
    play.inquired("s2", name="state")
    play.signalled(id="go")
    assert play.completed("~state.0").asked == []
    assert play.completed("~quote.0").facts[-1] == "run.completed"


def test_a_run_that_is_cancelled_begins_no_more_and_is_undone_after_those_under_way() -> None:
    undone = step("a", compensation=undoing("a"))
    play = Play(undone, signal("w", "a"), beside=(reacting("hit", concurrency=3),))
    play.completed("a")
    for n in range(5):
        play.signalled("hit", id=f"s{n}")
    play.cancelled(compensate=True)
    play.reload()
    assert [play.completed(f"~on_hit.{n}").asked for n in (2, 0, 1)] == [[], [], [("a~compensate", 1)]]
