"""What seeds of the simulator have found about records that come again, come late, or come together."""

from __future__ import annotations

from builders import Play, Saved, each, hook, step
from msgspec import Raw

from stream_durable.core.definition.nodes import Breaker
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
    def stored(*, is_one_batch: bool) -> dict[object, object]:
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
