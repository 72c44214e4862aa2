"""A step is ended from outside: before it waits, while it does, after, twice, and by silence."""

from __future__ import annotations

import pytest
from builders import NOON, RUN, Play, inside, parallel, step, token
from msgspec import Raw

from stream_durable.core.definition.nodes import Join
from stream_durable.core.failure import Failure
from stream_durable.core.format import TOKENS
from stream_durable.core.messages import CompleteStep
from stream_durable.core.status import Outcome


def complete(name: str = "w", attempt: int = 1, **options: object) -> CompleteStep:
    about = {"key": RUN, "id": "o1", "step": name, "format": TOKENS, "attempt": attempt, **options}
    return CompleteStep(**about, output=Raw(b"7"))  # type: ignore[arg-type]  # as a caller may write it


def test_the_value_is_the_output_and_who_gave_it_is_kept() -> None:
    play = Play(token("w"), step("a", "w", takes=("w",)))
    assert play.began.facts == ["run.started", "step.waiting w"]

    said = play.ended_outside("w", b'{"at":1}', by="courier")

    assert said.facts == ["step.completed w"]
    assert bytes(said.commands[0].outputs["w"]) == b'{"at":1}'
    play.reload()
    detail = play.step("w").detail
    assert detail is not None and detail.outside is not None
    assert (detail.outside.id, detail.outside.at, detail.outside.by) == ("o1", NOON, "courier")


def test_a_failure_from_outside_fails_the_step() -> None:
    play = Play(token("w"))
    said = play.failed_outside("w")

    assert said.facts == ["step.failed w", "run.failed"]
    assert play.run.failure == Failure("lost", "on the way", retryable=False, step="w")


def test_an_end_that_comes_before_the_wait_is_kept_for_it() -> None:
    play = Play(step("a"), token("w", "a"))
    said = play.ended_outside("w", b"7")
    assert (said.outcome, said.facts) == (Outcome.APPLIED, [])
    play.reload()
    assert play.status("w") == "pending"

    said = play.completed("a")

    assert said.facts == ["step.completed a", "step.completed w", "run.completed"]
    assert play.run.output == b"7"
    detail = play.step("w").detail
    assert detail is not None and detail.outside is not None and detail.outside.output is None


def test_a_failure_that_comes_before_the_wait_is_kept_for_it() -> None:
    play = Play(step("a"), token("w", "a"))
    play.failed_outside("w")
    play.reload()

    assert play.completed("a").facts == ["step.completed a", "step.failed w", "run.failed"]


def test_it_ends_once_however_often_its_token_is_used() -> None:
    play = Play(step("a"), token("w", "a"), step("b", "w"))
    play.ended_outside("w", b"1", id="one")
    assert play.ended_outside("w", b"1", id="one").outcome is Outcome.DUPLICATE
    assert play.ended_outside("w", b"2", id="two").outcome is Outcome.LATE
    assert play.beats_outside("w").outcome is Outcome.LATE
    play.completed("a")

    assert play.ended_outside("w", b"1", id="one").outcome is Outcome.DUPLICATE
    assert play.failed_outside("w", id="two").outcome is Outcome.LATE
    assert play.last.is_silent
    assert play.step("w").output == b"1"
    play.completed("b")
    assert play.ended_outside("w", b"1", id="two").outcome is Outcome.LATE


def test_what_makes_no_sense_is_refused_with_a_code() -> None:
    play = Play(token("w"), step("a"))

    assert play.refused(complete("a")) == "unknown_wait"
    assert play.refused(complete("ghost")) == "unknown_wait"
    assert play.refused(complete(attempt=2)) == "unknown_attempt"
    assert Play(token("w"), start={"at": NOON + 9}).refused(complete()) == "not_begun"


def test_a_wait_that_is_retried_by_hand_wants_the_token_of_the_new_attempt() -> None:
    play = Play(step("a", takes_context=True), token("w", "a"), step("b", "w"))
    assert play.began.commands[0].tokens == {}
    play.completed("a")
    play.ended_outside("w", b"1")
    said = play.retried("a")
    assert said.commands[0].tokens == {"w": 2}
    play.reload()

    assert play.ended_outside("w", b"2", id="late", attempt=1).outcome is Outcome.LATE
    assert play.ended_outside("w", b"3", id="early", attempt=2).outcome is Outcome.APPLIED
    play.completed("a", attempt=2)
    assert play.step("w").output == b"3"


def test_only_functions_with_a_context_are_handed_attempts() -> None:
    play = Play(step("a"), token("w", "a"))
    play.completed("a")
    play.ended_outside("w")

    assert play.retried("a").commands[0].tokens == {}


def test_the_time_is_over() -> None:
    play = Play(token("w", timeout_ms=60_000))
    assert play.due("w") == NOON + 60_000

    assert play.fire("w").facts == ["step.failed w", "run.failed"]
    assert play.run.failure is not None
    assert (play.run.failure.code, play.run.failure.retryable) == ("timeout", False)
    assert "nobody ended it by its token within 60000 ms" in play.run.failure.message
    assert play.ended_outside("w").outcome is Outcome.LATE


def test_heartbeats_put_silence_off_and_not_the_end_of_the_time() -> None:
    play = Play(token("w", heartbeat_ms=10_000, timeout_ms=25_000))
    assert play.due("w") == NOON + 10_000
    play.now += 9_000
    assert play.beats_outside("w").timers == {"w": NOON + 19_000}
    play.now += 9_000
    play.reload()
    assert play.beats_outside("w").timers == {"w": NOON + 25_000}

    play.fire("w")
    assert play.run.failure is not None
    assert "nobody ended it" in play.run.failure.message


def test_silence_ends_the_wait() -> None:
    play = Play(token("w", heartbeat_ms=10_000, timeout_ms=25_000))
    play.fire("w")
    assert play.run.failure is not None
    assert (play.run.failure.code, play.run.failure.message) == (
        "timeout",
        "no heartbeat came within 10000 ms",
    )


def test_a_value_stands_in_when_the_time_is_over() -> None:
    play = Play(token("w", heartbeat_ms=10_000, on_timeout='"nobody"'))
    play.fire("w")
    assert play.run.output == b'"nobody"'


def test_a_heartbeat_before_the_wait_or_without_a_limit_changes_nothing() -> None:
    play = Play(step("a"), token("w", "a", heartbeat_ms=10_000), token("v"))
    assert (play.beats_outside("w").outcome, play.last.timers) == (Outcome.APPLIED, {})
    assert (play.beats_outside("v").outcome, play.last.timers) == (Outcome.APPLIED, {})
    play.now += 5_000
    assert play.completed("a").timers == {"w": NOON + 15_000}


@pytest.mark.parametrize("way", ["skipped", "cancelled"])
def test_a_step_that_was_ended_by_hand_takes_no_end_from_outside(way: str) -> None:
    play = Play(step("a"), token("w", "a"), step("b"))
    play.ended_outside("w", b"7")
    if way == "skipped":
        play.step_skipped("w")
    else:
        play.step_cancelled("w")
    play.completed("a")

    assert play.status("w") == way
    assert play.ended_outside("w", id="o2").outcome is Outcome.LATE


def test_a_cancelled_run_takes_no_end_from_outside() -> None:
    play = Play(token("w"))
    play.cancelled()
    assert play.status("w") == "cancelled"
    assert play.ended_outside("w").outcome is Outcome.LATE


def test_a_paused_run_keeps_it_until_it_goes_on() -> None:
    play = Play(step("a"), token("w", "a"))
    play.paused()
    play.completed("a")
    assert play.ended_outside("w", b"7").outcome is Outcome.APPLIED
    play.reload()

    assert play.resumed().facts[-2:] == ["step.completed w", "run.completed"]


def test_it_wins_a_race() -> None:
    play = Play(
        token("w"), token("v"), step("a", joins=(Join(of=("w", "v"), cancel_rest=True),), takes=("w",))
    )
    said = play.ended_outside("v")

    assert said.asked == [("a", 1)]
    assert play.status("w") == "cancelled"
    assert play.ended_outside("w", id="o2").outcome is Outcome.LATE


def test_members_of_a_group_are_ended_in_any_order_and_early() -> None:
    play = Play(
        step("a"),
        parallel("p", "a", concurrency=1),
        inside("p", token("w")),
        inside("p", token("v")),
        inside("p", step("b")),
    )
    play.ended_outside("v", b"2", id="o2")
    play.completed("a")
    play.reload()
    assert (play.status("w"), play.status("v")) == ("waiting", "pending")
    play.ended_outside("w", b"1")
    assert play.status("v") == "completed"
    play.completed("b")
    assert play.run.output == b'{"w":{"output":1},"v":{"output":2},"b":{"output":null}}'
