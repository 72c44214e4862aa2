"""What seeds of the simulator have found about records that come again, come late, or come together."""

from __future__ import annotations

from typing import Any

from builders import Play, Saved, branch, each, hook, inside, step
from msgspec import Raw

from stream_durable.core.definition.guards import Breaker
from stream_durable.core.effects import Effects
from stream_durable.core.fold import fold
from stream_durable.core.messages import (
    CancelRun,
    CancelStep,
    GateLeft,
    GatePassed,
    PauseRun,
    ResumeRun,
    RetryRun,
)
from stream_durable.core.status import Outcome

RUN = "run-1"


def test_a_pause_that_comes_again_after_the_resumption_does_nothing() -> None:
    play = Play(step("a"), step("b", "a"))
    pause = PauseRun(key=RUN, id="pause")
    play.tell(pause)
    play.tell(ResumeRun(key=RUN, id="resume"))
    play.reload()

    assert play.tell(pause).outcome is Outcome.DUPLICATE
    assert play.completed("a").asked == [("b", 1)]


def test_a_resumption_that_comes_again_does_not_end_the_next_pause() -> None:
    play = Play(step("a"))
    resume = ResumeRun(key=RUN, id="resume", context=Raw(b'{"n":1}'))
    play.tell(PauseRun(key=RUN, id="pause"))
    play.tell(resume)
    play.tell(PauseRun(key=RUN, id="another"))

    assert play.tell(resume).outcome is Outcome.DUPLICATE
    assert play.run.is_paused


def test_a_cancellation_that_comes_again_does_not_end_what_was_made_anew() -> None:
    play = Play(step("a"), step("b"))
    cancel, cancel_b = CancelRun(key=RUN, id="cancel"), CancelStep(key=RUN, id="cancel b", step="b")
    play.tell(cancel_b)
    play.tell(cancel)
    play.retried(id="first", whole=True)

    assert play.tell(cancel).outcome is Outcome.DUPLICATE
    assert play.tell(cancel_b).outcome is Outcome.DUPLICATE
    assert play.run.status == "running"


def test_an_earlier_retry_that_comes_again_does_nothing() -> None:
    play = Play(step("a"))
    first = RetryRun(key=RUN, id="first", step="a")
    play.completed("a")
    assert play.tell(first).asked == [("a", 2)]
    play.completed("a", attempt=2)
    assert play.retried("a", id="second").asked == [("a", 3)]

    assert play.tell(first).outcome is Outcome.DUPLICATE


def test_a_run_that_ended_in_a_pause_runs_when_it_is_made_anew() -> None:
    play = Play(step("a"))
    play.paused()
    play.failed("a")

    assert play.retried().asked == [("a", 2)]
    assert not play.run.is_paused


def test_nothing_that_is_jumped_over_is_asked_for() -> None:
    play = Play(step("a"), step("b", "a"), step("c", "b"), step("d", "c"), step("e", "d"))

    said = play.jumped("a", "e")

    assert said.asked == [("e", 1)]
    assert said.cancels == []


def test_a_pass_for_an_attempt_that_is_over_is_given_back() -> None:
    play = Play(step("a", breaker=Breaker(name="bank")), step("b"))
    play.step_cancelled("a")

    said = play.tell(GatePassed(key=RUN, step="a", attempt=1, gate="bank"))

    assert said.outcome is Outcome.LATE
    assert said.messages == [GateLeft(key="bank", run=RUN, step="a", attempt=1)]


def test_a_pass_that_comes_again_while_the_attempt_runs_is_kept() -> None:
    play = Play(step("a", breaker=Breaker(name="bank")))
    passed = GatePassed(key=RUN, step="a", attempt=1, gate="bank")
    play.tell(passed)

    assert play.tell(passed).messages == []
    play.started("a")
    assert play.tell(passed).messages == []


def test_what_is_made_anew_twice_in_one_batch_is_stored_as_if_in_two() -> None:
    def stored(*, is_one_batch: bool) -> dict[str, Any]:
        # A hook is called for each member; the members, and with them their helpers, are replaced.
        play = Play(each("e"), input=b'{"items":[1,2]}', hooks=(hook("on_step_start"),))
        saved = Saved()
        saved.save(play.run)
        for retry in (RetryRun(key=RUN, id="1", whole=True), RetryRun(key=RUN, id="2", whole=True)):
            fold(play.run, retry, play.now, Effects())
            if not is_one_batch:
                saved.save(play.run)
        saved.save(play.run)
        return saved.all()

    assert stored(is_one_batch=True) == stored(is_one_batch=False)


def test_a_branch_that_had_picked_nothing_is_made_anew_with_a_member_that_was_cancelled() -> None:
    play = Play(
        branch("kind", is_selected=True, cases=("0", None)),
        inside("kind", step("one"), clause=0), inside("kind", step("two"), clause=1), step("end", "kind"),
    )  # fmt: skip
    play.step_cancelled("one")
    play.cancelled()

    assert play.retried().asked == [("kind", 2)]


def test_a_cancelled_member_of_a_clause_that_was_not_picked_is_nothing_to_retry() -> None:
    play = Play(
        step("w"), branch("kind", "w"),
        inside("kind", step("one"), clause=0), inside("kind", step("two"), clause=1),
        input=b'{"kind":"a"}',
    )  # fmt: skip
    play.step_cancelled("two")
    play.completed("w")
    play.completed("one")
    assert play.run.status == "completed"

    assert play.refused(RetryRun(key=RUN, id="retry")) == "nothing_to_retry"


def test_of_a_run_that_was_cancelled_before_it_began_no_step_alone_can_be_made_anew() -> None:
    play = Play(step("a"), step("b"), start={"at": 1_765_000_000_000})
    play.cancelled()

    assert play.refused(RetryRun(key=RUN, id="retry", step="a")) == "not_begun"
    assert play.retried(whole=True).asked == [("a", 1), ("b", 1)]
