"""Held steps: nothing of them goes on by itself, a person's decision counts once, a held run can be ended."""

from __future__ import annotations

from typing import Any

import pytest
from builders import NOON, RUN, Play, Said, ask, branch, child, event, parallel, signal, step, token, undoing
from msgspec import Raw

from stream_durable.core.definition.nodes import EachNode, Join
from stream_durable.core.failure import Failure
from stream_durable.core.format import HOLD
from stream_durable.core.messages import CompleteHeld, FailHeld, Grafted, RetryRun, SkipStep, WaitOpened
from stream_durable.core.policy import RetryPolicy
from stream_durable.core.run.rows import phase
from stream_durable.core.status import Outcome

TWICE = RetryPolicy(attempts=2, base_ms=1_000)


def held(name: str, *after: str, **options: Any) -> Any:
    return step(name, *after, on_error="hold", **options)


def completed_by_hand(play: Play, name: str, output: bytes = b"7", id: str = "d1", **fields: Any) -> Said:  # noqa: A002
    return play.tell(CompleteHeld(key=RUN, id=id, step=name, format=HOLD, output=Raw(output), **fields))


def failed_by_hand(play: Play, name: str, id: str = "d1", **fields: Any) -> Said:  # noqa: A002
    return play.tell(FailHeld(key=RUN, id=id, step=name, format=HOLD, **fields))


def reviews(play: Play, name: str) -> list[tuple[str, str, str]]:
    detail = play.run.steps[play.run.graph.index[name]].detail
    return [] if detail is None else [(one.decision, one.by, one.reason) for one in detail.reviews]


def test_a_step_is_held_after_its_last_attempt_and_nothing_goes_on() -> None:
    play = Play(held("a", retry=TWICE), step("b", "a"))
    assert play.failed("a").facts == ["step.retrying a"]
    play.fire("a")
    said = play.failed("a", attempt=2)
    assert said.facts == ["step.held a"] and not said.asked and not said.timers
    assert (play.status("a"), phase(play.run), play.run.ended) == ("held", "waiting", None)
    play.reload()
    assert play.failed("a", attempt=2).outcome is Outcome.DUPLICATE
    assert play.completed("a", attempt=2).outcome is Outcome.LATE
    assert play.last.is_silent


def test_the_time_of_the_run_stands_still_and_goes_on_with_what_was_left() -> None:
    play = Play(held("a"), held("b"), step("c", "a", "b"), timeout_ms=60_000)
    play.now = NOON + 20_000
    assert play.failed("a").timers[""] is None
    play.now = NOON + 30_000
    assert "" not in play.failed("b").timers
    play.reload()
    play.now = NOON + 1_000_000
    assert "" not in completed_by_hand(play, "a").timers
    assert completed_by_hand(play, "b", id="d2").timers[""] == play.now + 40_000
    play.fire()
    assert play.run.failure is not None and play.run.failure.code == "timeout"


def test_a_retry_has_all_attempts_again() -> None:
    play = Play(held("a", retry=TWICE))
    play.failed("a")
    play.fire("a")
    play.failed("a", attempt=2)
    said = play.tell(RetryRun(key=RUN, id="r1", step="a", by="tom", reason="the bank is back"))
    assert said.facts == ["run.retried", "step.retrying a"] and said.asked == [("a", 3)]
    assert said.commands[0].ordinal == 1
    play.reload()
    assert play.failed("a", attempt=3).facts == ["step.retrying a"]
    play.fire("a")
    assert play.failed("a", attempt=4).facts == ["step.held a"]
    assert play.tell(RetryRun(key=RUN, id="r1", step="a")).outcome is Outcome.DUPLICATE
    assert reviews(play, "a") == [("retry", "tom", "the bank is back")]
    play.retried(id="r2")
    assert play.completed("a", attempt=5).facts == ["step.completed a", "run.completed"]


def test_a_value_stands_for_the_output_and_counts_once() -> None:
    play = Play(held("a"), step("b", "a", takes=("a",)))
    play.failed("a")
    said = completed_by_hand(play, "a", b'{"n":1}', by="tom", reason="looked up")
    assert said.facts == ["step.completed a"] and said.commands[0].outputs == {"a": Raw(b'{"n":1}')}
    assert reviews(play, "a") == [("complete", "tom", "looked up")]
    assert completed_by_hand(play, "a").outcome is Outcome.DUPLICATE
    assert completed_by_hand(play, "a", id="d2").outcome is Outcome.LATE
    assert failed_by_hand(play, "a", id="d3").outcome is Outcome.LATE
    assert play.last.is_silent


def test_a_decision_about_an_earlier_attempt_is_late() -> None:
    play = Play(held("a"))
    play.failed("a")
    play.retried("a")
    play.failed("a", attempt=2)
    assert completed_by_hand(play, "a", attempt=1).outcome is Outcome.LATE
    assert completed_by_hand(play, "a", id="d2", attempt=2).facts == ["step.completed a", "run.completed"]


def test_only_a_held_step_is_decided_about() -> None:
    play = Play(held("a"))
    decision = CompleteHeld(key=RUN, id="d1", step="a", format=HOLD)
    assert play.refused(decision) == "not_held"
    assert play.refused(FailHeld(key=RUN, id="d1", step="b", format=HOLD)) == "unknown_step"


def test_a_person_fails_or_skips_the_step() -> None:
    play = Play(held("a"), step("b", "a"))
    play.failed("a")
    said = failed_by_hand(play, "a", by="tom", failure=Failure("stolen", "the card"))
    assert said.facts == ["step.failed a", "run.failed"]
    assert play.run.failure is not None and (play.run.failure.code, play.run.failure.step) == ("stolen", "a")
    other = Play(held("a"), step("b", "a"))
    other.failed("a")
    skipped = other.tell(SkipStep(key=RUN, id="s1", step="a", by="tom"))
    assert skipped.facts == ["step.skipped a"] and skipped.asked == [("b", 1)]
    assert reviews(other, "a") == [("skip", "tom", "")]


def test_a_held_run_is_cancelled_and_undone() -> None:
    play = Play(step("a", compensation=undoing("a")), held("b", "a"), timeout_ms=60_000)
    play.completed("a")
    play.failed("b")
    said = play.cancelled("enough", compensate=True, by="tom")
    assert said.asked == [("a~compensate", 1)] and reviews(play, "b") == [("cancel", "tom", "enough")]
    assert not any(due for due in said.timers.values())
    assert play.completed("a~compensate").facts[-1] == "run.compensated"
    assert play.run.requests is not None and play.run.requests.held == 0


@pytest.mark.parametrize("is_owing", [False, True])
def test_another_failure_ends_a_run_with_held_steps(is_owing: bool) -> None:  # noqa: FBT001
    play = Play(step("z", compensation=undoing("z") if is_owing else None), held("a", "z"), step("b", "z"))
    play.completed("z")
    play.failed("a")
    play.failed("b")
    if is_owing:
        play.completed("z~compensate")
    assert play.run.ended is not None and play.status("a") == "cancelled"
    assert play.run.requests is not None and play.run.requests.held == 0


def test_a_step_of_an_ending_run_is_not_held() -> None:
    play = Play(step("a"), held("b", "a", ended=("a",)))
    play.failed("a")
    assert play.failed("b").facts == ["step.failed b", "run.failed"]


def test_a_retry_of_a_paused_run_waits_for_its_going_on() -> None:
    play = Play(held("a"))
    play.failed("a")
    play.paused()
    assert not play.retried("a").asked
    play.reload()
    assert play.resumed().asked == [("a", 2)]


def test_a_retry_waits_for_a_place_of_the_workflow() -> None:
    play = Play(held("a"), step("b"), concurrency=1)
    assert play.failed("a").asked == [("b", 1)]
    assert not play.retried("a").asked
    play.reload()
    assert play.completed("b").asked == [("a", 2)]


@pytest.mark.parametrize("cancel_rest", [False, True])
def test_a_race_with_a_held_member(cancel_rest: bool) -> None:  # noqa: FBT001
    race = Join(of=("a", "b"), cancel_rest=cancel_rest)
    play = Play(held("a"), step("b"), step("c", joins=(race,)))
    play.failed("a")
    play.reload()
    assert play.completed("b").asked == [("c", 1)]
    assert play.status("a") == ("cancelled" if cancel_rest else "held")
    play.completed("c")
    assert (play.run.ended is None) is not cancel_rest
    if not cancel_rest:
        assert failed_by_hand(play, "a").facts == ["step.failed a", "run.completed"]


def test_a_race_is_lost_when_a_person_fails_its_last_member() -> None:
    play = Play(held("a"), step("b"), step("c", joins=(Join(of=("a", "b")),)))
    play.failed("b")
    assert play.failed("a").facts == ["step.held a"]
    failed_by_hand(play, "a")
    assert play.run.status == "failed"


def test_a_held_member_keeps_its_place_in_the_group() -> None:
    play = Play(
        parallel("g", concurrency=1), held("a", member_of="g"), step("b", member_of="g"), step("c", "g")
    )
    assert not play.failed("a").asked
    play.reload()
    assert play.retried("a").asked == [("a", 2)]
    assert play.completed("a", attempt=2).asked == [("b", 1)]
    assert play.completed("b").asked == [("c", 1)]


def test_a_group_fails_when_a_person_fails_its_member() -> None:
    play = Play(parallel("g"), held("a", member_of="g"), step("b", member_of="g"))
    play.failed("a")
    assert failed_by_hand(play, "a").facts[-1] == "run.failed"
    assert play.status("g") == "failed"


def test_each_member_is_held_by_itself() -> None:
    play = Play(EachNode(name="e", over="input.items", step=held("e")), input=b'{"items":[1,2,3]}')
    play.failed("e[0]")
    play.completed("e[1]", b"1")
    play.failed("e[2]")
    play.reload()
    completed_by_hand(play, "e[0]", b"0")
    assert play.retried("e[2]").commands[0].item == Raw(b"3")
    assert play.completed("e[2]", b"2", attempt=2).facts[-1] == "run.completed"
    assert play.run.output == b"[0,1,2]"


def test_a_held_expansion_begins_again_as_a_whole() -> None:
    play = Play(held("a"), step("b", "a"), templates=(step("t"),))
    play.expanded("a", Grafted(of="t"), Grafted(of="t"))
    said = play.failed("a[0]")
    assert "step.held a" in said.facts and play.status("a[1]") == "cancelled"
    play.reload()
    assert play.retried("a").asked == [("a", 2)]
    play.expanded("a", Grafted(of="t"), attempt=2)
    assert play.completed(play.run.graph.names[-1], b"1").asked == [("b", 1)]


def test_a_held_branch_is_completed_or_begins_again() -> None:
    nodes = (
        branch("k", on_error="hold"), step("a", member_of="k", clause=0), step("b", member_of="k", clause=1)
    )  # fmt: skip
    play = Play(*nodes, input=b'{"kind":"a"}')
    assert "step.held k" in play.failed("a").facts
    play.reload()
    assert play.retried("k").asked == [("a", 2)]
    play.failed("a", attempt=2)
    assert completed_by_hand(play, "k", b"5").facts[-1] == "run.completed"
    assert play.run.output == b"5"


def test_held_waits_wait_again() -> None:
    play = Play(
        signal("s", timeout_ms=1_000, on_error="hold"), event("e", timeout_ms=1_000, on_error="hold"),
        ask("q", timeout_ms=1_000, on_error="hold"), token("t", timeout_ms=1_000, on_error="hold"),
        input=b'{"id":"7"}',
    )  # fmt: skip
    play.now += 1_000
    for name in "seqt":
        assert play.fire(name).facts == [f"step.held {name}"]
    assert play.signalled().facts == []
    play.reload()
    assert play.retried("s").facts == ["run.retried", "step.retrying s", "step.completed s"]
    [opened] = play.retried("e", id="r2").messages
    assert isinstance(opened, WaitOpened) and opened.attempt == 2
    assert play.refused(CompleteHeld(key=RUN, id="d1", step="q", format=HOLD, output=Raw(b"7"))) == (
        "invalid_answer"
    )
    completed_by_hand(play, "q", b"true")
    assert play.retried("t", id="r3").timers["t"] == play.now + 1_000


def test_a_held_child_is_started_again() -> None:
    play = Play(child("k", on_error="hold"))
    assert play.child_ended("k", status="failed").facts == ["step.held k"]
    [start] = play.retried("k").messages
    assert play.child_ended("k", b"3", child=start.key).facts[-1] == "run.completed"


def test_a_jump_passes_over_a_step_that_waits_for_a_held_one() -> None:
    play = Play(held("a"), step("b", "a"), step("c"), step("d", "c"), step("e", "d"))
    play.failed("a")
    assert play.jumped("c", "e").asked == [("e", 1)]
    play.completed("e")
    assert play.run.ended is None and play.status("a") == "held"
    play.cancelled()
    assert play.run.status == "cancelled"


def test_finish_ends_a_run_with_a_held_step() -> None:
    play = Play(held("a"), step("b"))
    play.failed("a")
    play.finished("b", b"1")
    assert (play.run.status, play.status("a")) == ("completed", "cancelled")


def test_a_retry_from_an_earlier_step_takes_the_held_one_along() -> None:
    play = Play(step("a"), held("b", "a"), step("c", "b"), timeout_ms=60_000)
    play.completed("a")
    play.now += 10_000
    play.failed("b")
    play.now += 90_000
    said = play.retried("a")
    assert said.asked == [("a", 2)] and said.timers[""] == play.now + 50_000
    assert reviews(play, "b") == [("retry", "", "")]
    play.reload()
    assert play.completed("a", attempt=2).asked == [("b", 2)]


def test_the_whole_run_is_retried_while_a_step_is_held() -> None:
    play = Play(step("a"), held("b", "a"))
    play.completed("a")
    play.failed("b")
    assert play.retried(whole=True).asked == [("a", 2)]
    assert play.run.requests is not None and play.run.requests.held == 0


def test_the_total_time_of_a_held_step_begins_again() -> None:
    play = Play(held("a", total_ms=5_000))
    play.now += 5_000
    assert play.fire("a").facts == ["step.held a"]
    play.now += 50_000
    assert play.retried("a").timers["a"] == play.now + 5_000


def test_a_held_step_after_one_that_is_retried_too_begins_in_its_turn() -> None:
    play = Play(step("a", on_error="continue"), held("b", "a"), step("c", "b"), timeout_ms=60_000)
    play.failed("a")
    play.failed("b")
    said = play.retried()
    assert said.asked == [("a", 2)] and said.timers[""] == NOON + 60_000
    assert reviews(play, "b") == [("retry", "", "")]
    play.reload()
    assert play.completed("a", attempt=2).asked == [("b", 2)]


def test_held_members_of_what_is_made_again_are_gone() -> None:
    member = step("b", on_error="hold")
    every = EachNode(name="b", after=("a",), over="input.items", step=member)
    play = Play(step("a", on_error="continue"), every, input=b'{"items":[1,2]}')
    play.failed("a")
    play.failed("b[0]")
    assert play.retried().asked == [("a", 2)]
    assert play.run.requests is not None and play.run.requests.held == 0
    play.reload()
    assert len(play.completed("a", attempt=2).asked) == 2
