"""What people order a run to do, at moments that suit and at those that do not."""

from __future__ import annotations

import pytest
from builders import Play, branch, each, event, hook, inside, parallel, signal, step, undoing

from stream_durable.core.definition.guards import Breaker
from stream_durable.core.messages import (
    AttemptCompleted,
    AttemptReturned,
    CancelStep,
    GatePassed,
    Grafted,
    RetryRun,
    SkipStep,
    WaitClosed,
)
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run import ending
from stream_durable.core.run.state import Step
from stream_durable.core.status import Outcome

TWICE = RetryPolicy(attempts=2, base_ms=1_000)
KIND_A = b'{"kind":"a","items":[1,2]}'


def test_nothing_begins_in_a_pause_and_everything_after_it() -> None:
    play = Play(step("a"), step("b", "a"), signal("w", "a"))
    play.paused()
    assert play.completed("a").asked == []
    play.reload()

    said = play.resumed(b'{"by":"hand"}')

    assert said.asked == [("b", 1)]
    assert said.facts == ["run.resumed", "step.waiting w"]


def test_a_run_that_ended_in_a_pause_cannot_be_resumed() -> None:
    play = Play(step("a"))
    play.paused()
    play.completed("a")

    assert play.resumed().outcome is Outcome.LATE


def test_what_comes_after_a_cancelled_step_is_cancelled_and_after_a_skipped_one_goes_on() -> None:
    play = Play(step("a"), step("b", "a"), step("c"), step("d", "c"))

    assert play.step_cancelled("a").cancels == [("a", 1)]
    assert play.status("b") == "cancelled"
    assert play.step_skipped("c").asked == [("d", 1)]
    assert play.completed("d").facts[-1] == "run.completed"


def test_a_step_of_a_run_whose_time_has_not_come_has_not_begun() -> None:
    play = Play(step("a"), start={"at": 1_765_000_000_000})

    assert play.refused(AttemptCompleted(key="run-1", step="a", attempt=1)) == "not_begun"
    assert play.refused(CancelStep(key="run-1", id="x", step="a")) == "not_begun"


def test_an_attempt_that_waits_at_a_gate_has_been_asked_of_nobody() -> None:
    play = Play(step("a", breaker=Breaker(name="bank")))

    assert play.refused(AttemptReturned(key="run-1", step="a", attempt=1)) == "unknown_attempt"
    assert play.tell(GatePassed(key="run-1", step="a", attempt=1)).asked == [("a", 1)]


@pytest.mark.parametrize("order", [CancelStep, SkipStep])
def test_a_helper_that_is_not_called_cannot_be_ended(order: type[CancelStep | SkipStep]) -> None:
    play = Play(step("a"), hooks=(hook("on_failure"),))
    play.failed("a")
    play.completed("~on_failure")
    play.retried("a")

    assert play.tell(order(key="run-1", id="x", step="~on_failure")).outcome is Outcome.LATE
    assert play.completed("a", attempt=2).facts[-1] == "run.completed"


# Steps made anew.


def test_a_step_is_made_anew_with_all_after_it_under_new_attempts() -> None:
    play = Play(step("a"), step("b", "a"), step("c", "b"))
    for name in "abc":
        play.completed(name)

    assert play.retried("b").asked == [("b", 2)]
    assert play.retried("b").outcome is Outcome.DUPLICATE
    play.reload()
    assert play.completed("b", attempt=2).asked == [("c", 2)]


def test_what_was_cancelled_for_a_failure_is_made_anew_with_what_failed() -> None:
    play = Play(step("a"), step("b"), step("c", "a", "b"))
    play.failed("a")
    assert play.status("b") == "cancelled"

    assert play.retried("").asked == [("a", 2), ("b", 2)]
    play.completed("a", attempt=2)
    assert play.completed("b", attempt=2).asked == [("c", 1)]


def test_what_waits_for_a_cancelled_step_is_cancelled_again() -> None:
    play = Play(step("a"), step("b"), step("c", "a", "b"), signal("w"))
    play.step_cancelled("b")
    play.completed("a")

    play.retried("a")

    play.completed("a", attempt=2)
    assert play.status("c") == "cancelled"
    assert play.signalled().facts[-1] == "run.completed"


def test_a_step_that_never_began_is_not_made_anew() -> None:
    play = Play(
        branch("kind"), inside("kind", step("a")), inside("kind", step("b"), 1), step("z", "kind"),
        input=KIND_A,
    )  # fmt: skip
    play.completed("a")
    play.completed("z")

    assert play.refused(RetryRun(key="run-1", id="r", step="b")) == "not_begun"


def test_a_clause_that_was_not_chosen_stays_skipped_when_what_is_before_it_is_made_anew() -> None:
    play = Play(
        step("s"), branch("kind"), inside("kind", step("a", "s")), inside("kind", step("b", "s"), 1),
        input=KIND_A,
    )  # fmt: skip
    play.completed("s")
    play.completed("a")

    assert play.retried("s").asked == [("s", 2)]
    assert play.completed("s", attempt=2).asked == [("a", 2)]
    assert play.completed("a", attempt=2).facts[-1] == "run.completed"


def test_a_group_waits_again_for_a_member_that_comes_after_what_is_made_anew() -> None:
    play = Play(step("i"), parallel("g"), inside("g", step("m", "i")), inside("g", step("n")), step("z", "g"))
    for name in ("i", "n", "m", "z"):
        play.completed(name)

    assert play.retried("i").asked == [("i", 2)]
    assert play.completed("i", attempt=2).asked == [("m", 2)]
    assert play.completed("m", attempt=2).asked == [("z", 2)]
    assert play.completed("z", attempt=2).facts[-1] == "run.completed"


def test_members_that_a_step_added_go_when_it_is_made_anew_for_what_is_before_it() -> None:
    scan = step("scan", on_error="continue")
    play = Play(step("x"), step("a", "x", ended=("x",)), templates=(scan,))
    play.failed("x")
    play.expanded("a", Grafted(of="scan"), Grafted(of="scan"))
    play.completed("a[0]")
    play.failed("a[1]")

    assert play.retried().asked == [("x", 2)]
    assert play.completed("x", attempt=2).asked == [("a", 2)]
    assert play.expanded("a", Grafted(of="scan"), attempt=2).asked == [("a~2[0]", 1)]


def test_members_of_a_group_within_a_group_are_left_alone() -> None:
    play = Play(
        parallel("g"), inside("g", parallel("h")), inside("h", step("a")), inside("h", step("b")),
        inside("g", step("m")),
    )  # fmt: skip
    for name in "abm":
        play.completed(name)

    assert play.retried("m").asked == [("m", 2)]
    assert play.completed("m", attempt=2).facts[-1] == "run.completed"


def test_all_is_made_anew_when_a_list_had_some_left() -> None:
    play = Play(each("g", compensation=undoing("g"), retry=TWICE), step("z", "g"), input=KIND_A)
    play.completed("g[0]")
    play.completed("g[1]")
    play.failed("z")
    play.completed("g[1]~compensate")
    play.completed("g[0]~compensate")
    assert play.run.status == "compensated"

    said = play.retried("z")

    assert said.asked == [("g[0]", 2), ("g[1]", 2)]
    play.reload()


def test_a_wait_is_closed_where_it_is_open_though_its_key_is_made_anew() -> None:
    play = Play(step("a"), event("paid", "a", key="a.id"))
    play.completed("a", b'{"id":"first"}')

    closed = [message for message in play.retried("a").messages if isinstance(message, WaitClosed)]

    assert [(message.key, message.wait) for message in closed] == [("paid/first", "paid")]
    (opened,) = play.completed("a", b'{"id":"second"}', attempt=2).messages
    assert opened.key == "paid/second"


def test_a_run_cancelled_while_it_fails_is_not_tried_again() -> None:
    restart = RetryPolicy(attempts=3, base_ms=10)
    play = Play(step("a", compensation=undoing("a")), step("b", "a"), restart=restart)
    play.completed("a")
    assert play.failed("b").asked == [("a~compensate", 1)]
    assert play.cancelled().outcome is Outcome.APPLIED

    said = play.completed("a~compensate")

    assert "run.retried" not in said.facts
    assert play.run.has_ended
    assert play.run.attempt == 1


def test_a_late_cancel_does_not_bind_a_run_that_is_retried_by_hand() -> None:
    restart = RetryPolicy(attempts=3, base_ms=10)
    play = Play(step("a", compensation=undoing("a")), step("b", "a"), restart=restart)
    play.completed("a")
    play.failed("b")
    play.cancelled()
    play.completed("a~compensate")
    play.retried(whole=True)
    play.completed("a", attempt=2)
    play.failed("b", attempt=2)

    assert "run.retried" in play.completed("a~compensate", attempt=2).facts


def test_a_run_with_something_left_to_undo_is_not_compensated() -> None:
    """A retry by hand may leave undone what it does not need, and be cut short after something else."""
    play = Play(step("a", compensation=undoing("a")), step("b", compensation=undoing("b")))
    play.completed("a")
    play.failed("b")
    play.completed("a~compensate")
    assert play.run.status == ending._outcome(play.run, "cancelled") == "compensated"

    play.run.steps[play.run.graph.index["b"]] = Step("completed", 2)

    assert ending._outcome(play.run, "cancelled") == "cancelled"
