"""Functions beside the graph: one call at a time, in order, each once, and a constant number of steps."""

from __future__ import annotations

import pytest
from builders import NOON, RUN, Play, answering, hook, picture, signal, sleep, step, undoing

from stream_durable.core.definition.nodes import BesideNode
from stream_durable.core.format import BESIDE
from stream_durable.core.messages import InquireRun
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run.beside import SLOTS
from stream_durable.core.status import Outcome


def asking(*nodes: object, **options: object) -> Play:
    return Play(*(nodes or (signal("w"),)), beside=(answering(takes_context=True),), **options)  # type: ignore[arg-type]


def test_an_inquiry_is_a_call_with_what_it_carries() -> None:
    play = asking()
    said = play.inquired("q1", b'{"n":1}')

    [command] = said.commands
    assert (command.step, command.attempt, command.function) == ("~quote.0", 1, "~quote")
    assert command.item is not None and bytes(command.item) == b'{"n":1}'
    assert play.completed("~quote.0", b"7").facts == ["step.completed ~quote.0"]
    play.reload()
    assert play.step("~quote.0").output == b"7"
    assert play.run.status == "running"


def test_calls_are_made_one_by_one_in_the_order_of_the_log() -> None:
    play = asking()
    assert play.inquired("q1").asked == [("~quote.0", 1)]
    assert play.inquired("q2").asked == []
    assert play.inquired("q3").asked == []
    play.reload()

    assert play.completed("~quote.0").asked == [("~quote.1", 1)]
    assert play.failed("~quote.1").asked == [("~quote.2", 1)]
    assert play.completed("~quote.2").asked == []
    assert play.inquired("q4").asked == [("~quote.3", 1)]


def test_functions_of_other_names_do_not_wait_for_it() -> None:
    play = Play(signal("w"), beside=(answering("quote"), answering("state")))
    play.inquired("q1")
    assert play.inquired("q1", name="state").asked == [("~state.0", 1)]


def test_a_repeat_changes_nothing_before_during_and_after_the_call() -> None:
    play = asking()
    play.inquired("q1")
    play.inquired("q2")
    assert play.inquired("q1").outcome is Outcome.DUPLICATE
    assert play.inquired("q2").outcome is Outcome.DUPLICATE
    play.completed("~quote.0")
    assert play.inquired("q1").outcome is Outcome.DUPLICATE
    assert play.last.is_silent


def test_what_nobody_answers_is_refused() -> None:
    ask = InquireRun(key=RUN, id="q1", inquiry="price", format=BESIDE)
    assert asking().refused(ask) == "unknown_answer"
    assert Play(signal("w")).refused(ask) == "unknown_answer"
    early = asking(start={"at": NOON + 9})
    assert early.refused(InquireRun(key=RUN, id="q1", inquiry="quote", format=BESIDE)) == "not_begun"


def test_a_full_ring_refuses_one_more_and_is_used_again_with_the_next_attempts() -> None:
    play = asking()
    for number in range(SLOTS):
        play.inquired(f"q{number}")
    full = InquireRun(key=RUN, id="more", inquiry="quote", format=BESIDE)
    assert play.refused(full) == "beside_full"
    play.completed("~quote.0", b"0")
    play.reload()

    assert play.inquired("more").outcome is Outcome.APPLIED
    for number in range(1, SLOTS):
        play.completed(f"~quote.{number}", b"0")
    assert play.last.asked == [("~quote.0", 2)]
    assert play.completed("~quote.0", b"late", attempt=1).outcome is Outcome.LATE
    assert play.completed("~quote.0", b"9", attempt=2).outcome is Outcome.APPLIED
    assert play.run.graph.size == 1 + SLOTS


def test_retries_are_counted_from_the_first_attempt_of_the_call() -> None:
    retried = RetryPolicy(attempts=2, base_ms=100)
    play = Play(signal("w"), beside=(answering(retry=retried),))
    for number in range(SLOTS + 1):
        play.inquired(f"q{number}")
        if number < SLOTS:
            play.completed(f"~quote.{number}")
    play.failed("~quote.0", attempt=2)
    assert play.fire("~quote.0").asked == [("~quote.0", 3)]
    assert play.failed("~quote.0", attempt=3).facts == ["step.failed ~quote.0"]
    assert play.run.status == "running"


def test_the_run_waits_for_the_call_under_way_and_gives_up_those_that_wait() -> None:
    play = asking(signal("w"), step("end", "w"))
    play.inquired("q1")
    play.inquired("q2")
    play.signalled()
    assert play.completed("end").facts == ["step.completed end"]
    play.reload()

    assert play.completed("~quote.0").facts == ["step.completed ~quote.0", "run.completed"]
    assert play.status("~quote.1") == "cancelled"
    assert play.inquired("q3").outcome is Outcome.LATE


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_cancelled_run_makes_no_more_calls(is_clean: bool) -> None:
    hooks = (hook("on_cancel"),) if is_clean else ()
    play = asking(hooks=hooks)
    play.inquired("q1")
    play.inquired("q2")
    said = play.cancelled()
    if is_clean:
        said = play.completed("~quote.0")
        assert said.asked == [("~on_cancel", 1)]
        play.completed("~on_cancel")

    assert play.run.status == "cancelled"
    assert play.status("~quote.1") == "cancelled"
    play.reload()


def test_a_paused_run_makes_them_when_it_is_resumed() -> None:
    play = asking()
    play.inquired("q1")
    play.inquired("q2")
    play.paused()
    assert play.completed("~quote.0").asked == []
    assert play.inquired("q3").asked == []
    play.reload()
    assert play.resumed().asked == [("~quote.1", 1)]


def test_a_retry_leaves_calls_alone() -> None:
    play = asking(step("a"), signal("w", "a"))
    play.inquired("q1")
    play.inquired("q2")
    play.completed("a")
    assert play.retried(whole=True).asked == [("a", 2)]
    play.reload()
    assert play.completed("~quote.0").asked == [("~quote.1", 1)]
    assert play.inquired("q1").outcome is Outcome.DUPLICATE


def test_a_graph_that_is_tried_again_goes_on_answering() -> None:
    play = asking(step("a"), restart=RetryPolicy(attempts=2, base_ms=1_000))
    play.inquired("q1")
    play.inquired("q2")
    play.failed("a")
    assert play.status("~quote.1") == "pending"
    assert play.completed("~quote.0").facts[-1] == "run.retried"
    assert play.fire().asked == [("a", 2), ("~quote.1", 1)]


def test_a_run_that_asks_nothing_has_no_graph_of_its_own() -> None:
    play = asking(sleep("a"))
    assert play.run.graph is play.graph


def test_a_signal_that_comes_too_late_for_its_reaction_changes_nothing() -> None:
    """Only what is applied is saved: what changed nevertheless would be forgotten with the next load."""
    reaction = BesideNode(name="heard", on="signal", signal="told", step=step("~heard"))
    play = Play(step("a", compensation=undoing("a")), step("b", "a"), beside=(reaction,))
    play.completed("a")
    assert play.failed("b").asked == [("a~compensate", 1)]
    before = picture(play.run)

    assert play.signalled("told").outcome is Outcome.LATE

    assert picture(play.run) == before
