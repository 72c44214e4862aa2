"""Calls of a function that keeps values: only the call that holds the attempt keeps them, and ends it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from builders import RUN, Play, hook, inside, parallel, signal, step
from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.format import EMITS, INSIDE
from stream_durable.core.messages import (
    AttemptCompleted,
    AttemptEmitted,
    AttemptEnd,
    AttemptFailed,
    AttemptNoted,
    AttemptReturned,
    AttemptSkipped,
    AttemptWaits,
    Call,
    InnerWait,
    RunContinued,
)
from stream_durable.core.run import portions
from stream_durable.core.run.rows import step_rows
from stream_durable.core.status import Outcome

FIRST, SECOND = Call(), Call(losses=1)
WHO: dict[str, Any] = {"key": RUN, "step": "a", "attempt": 1}


def kept(worker: str, value: bytes, call: Call, name: str = "charge") -> AttemptNoted:
    return AttemptNoted(
        **WHO, worker=worker, format=INSIDE, passes=call.passes, returns=call.returns, losses=call.losses,
        note=name, at=1, value=Raw(value), is_first=True,
    )  # fmt: skip


def noted(play: Play, worker: str, value: bytes, call: Call, name: str = "charge") -> Outcome:
    return play.tell(kept(worker, value, call, name)).outcome


def completed(call: Call | None, worker: str = "w1", output: bytes = b'"old"') -> AttemptCompleted:
    return AttemptCompleted(**WHO, worker=worker, output=Raw(output), call=call)


def lost() -> Play:
    """Return a run whose step is requested again after its worker fell silent before it had kept anything."""
    play = Play(step("a"))
    play.started("a", "w1")
    assert play.fire("a").asked == [("a", 1)]
    return play


ENDS: list[AttemptEnd] = [
    completed(FIRST),
    AttemptFailed(**WHO, worker="w1", failure=Failure("Oops"), call=FIRST),
    AttemptSkipped(**WHO, worker="w1", call=FIRST),
    AttemptReturned(**WHO, worker="w1", call=FIRST),
]


@pytest.mark.parametrize("end", ENDS, ids=lambda end: type(end).__name__)
def test_a_replaced_call_whose_value_was_not_kept_does_not_end_the_attempt(end: AttemptEnd) -> None:
    play = lost()
    assert noted(play, "w1", b"1", FIRST) is Outcome.LATE

    assert play.tell(end).outcome is Outcome.LATE

    assert noted(play, "w2", b"2", SECOND) is Outcome.APPLIED
    assert play.tell(end).outcome is Outcome.LATE
    assert play.tell(completed(SECOND, "w2", b'"new"')).outcome is Outcome.APPLIED
    assert play.step("a").output == b'"new"'


def test_the_emissions_of_a_replaced_call_do_not_leave() -> None:
    play = lost()
    message = AttemptEmitted(**WHO, worker="w1", format=EMITS, end=completed(FIRST), emissions=())

    assert play.tell(message).outcome is Outcome.LATE


def test_a_call_replaced_at_its_own_worker_does_not_end_the_attempt() -> None:
    play = lost()
    assert noted(play, "w1", b"2", SECOND) is Outcome.APPLIED

    assert play.tell(completed(FIRST)).outcome is Outcome.LATE
    assert play.tell(completed(SECOND, output=b'"new"')).outcome is Outcome.APPLIED


def test_a_call_whose_values_were_kept_by_another_does_not_end_the_attempt() -> None:
    """One command, delivered twice: both calls are the one that was requested, and one of them holds it."""
    play = Play(step("a"))
    assert noted(play, "w2", b"2", FIRST) is Outcome.APPLIED
    assert noted(play, "w1", b"1", FIRST, "other") is Outcome.LATE

    assert play.tell(completed(FIRST, "w1")).outcome is Outcome.LATE
    assert play.tell(completed(FIRST, "w2")).outcome is Outcome.APPLIED


def test_a_call_whose_values_were_lost_with_a_log_does_not_end_the_attempt() -> None:
    play = Play(step("a"))

    assert play.tell(completed(FIRST)).outcome is Outcome.LATE


def test_an_end_that_names_no_call_counts_from_any_worker() -> None:
    play = lost()

    assert play.tell(completed(None)).outcome is Outcome.APPLIED


def test_a_replaced_call_that_is_announced_once_more_does_not_hold_the_attempt() -> None:
    play = lost()

    assert play.started("a", "w1", call=FIRST).outcome is Outcome.LATE

    assert noted(play, "w2", b"2", SECOND) is Outcome.APPLIED


def test_the_call_that_is_announced_and_keeps_values_ends_the_attempt() -> None:
    play = lost()
    assert play.started("a", "w2", call=SECOND).outcome is Outcome.APPLIED
    assert noted(play, "w2", b"2", SECOND) is Outcome.APPLIED

    assert play.tell(completed(SECOND, "w2")).outcome is Outcome.APPLIED


def test_a_value_kept_before_and_after_a_reset_is_one_row() -> None:
    """One batch may hold both: a row is written once in a commit, or the commit fails."""
    play = Play(step("a"))
    noted(play, "w1", b"1", FIRST)
    play.tell(completed(FIRST))
    play.retried(whole=True)
    again = msgspec.structs.replace(kept("w1", b"2", FIRST), attempt=2)
    assert play.tell(again).outcome is Outcome.APPLIED

    rows = [row for row in step_rows(play.run) if row.name == "a/charge"]

    assert [row.output for row in rows] == [b"2"]


def test_two_waits_of_one_name_in_a_message_fail_the_attempt() -> None:
    """No worker of this release sends it; one in another language may."""
    play = Play(step("a"))
    waits = tuple(
        InnerWait(at, Raw(msgspec.json.encode(signal("a/word", signals=(name,)))))
        for at, name in ((1, "go"), (2, "stop"))
    )

    said = play.tell(AttemptWaits(**WHO, worker="w1", format=INSIDE, waits=waits))

    assert said.facts == ["step.failed a", "run.failed"]
    assert play.run.left == 0


def test_the_first_note_of_a_call_counts_though_its_value_is_kept_already() -> None:
    play = Play(step("a"))
    noted(play, "w1", b"1", FIRST)
    assert play.fire("a").asked == [("a", 1)]

    assert noted(play, "w2", b"1", SECOND) is Outcome.APPLIED
    assert noted(play, "w2", b"1", SECOND) is Outcome.DUPLICATE

    assert play.due("a") is not None
    assert play.tell(completed(SECOND, "w2", b"2")).outcome is Outcome.APPLIED


def waiting(name: str) -> AttemptWaits:
    waits = (InnerWait(1, Raw(msgspec.json.encode(signal(f"{name}/go")))),)
    return AttemptWaits(key=RUN, step=name, attempt=1, worker="w1", format=INSIDE, waits=waits)


def test_a_hook_that_has_waited_waits_for_no_place_of_the_workflow() -> None:
    play = Play(step("a"), step("b", "a"), hooks=(hook("on_step_complete"),), concurrency=1)
    name = "a~on_step_complete"
    assert play.completed("a").asked == [(name, 1)]
    assert play.tell(waiting(name)).asked == [("b", 1)]
    assert play.signalled("go").asked == [(name, 1)]


def test_a_hook_that_is_to_go_on_is_counted_when_its_run_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(step("a"), step("b", "a"), hooks=(hook("on_step_complete"),))
    name = "a~on_step_complete"
    play.completed("a")
    play.tell(waiting(name))
    monkeypatch.setattr(portions, "LOAD_MAX", 0)
    assert not play.signalled("go").asked, "it is left to the next record"
    monkeypatch.undo()

    play.reload()

    play.completed("b")
    play.completed("b~on_step_complete")
    assert play.run.ended is None
    assert play.tell(RunContinued(key=RUN)).asked == [(name, 1)]
    play.completed(name)
    assert play.run.status == "completed"


def test_a_step_out_of_time_between_two_passes_has_failed() -> None:
    play = Play(step("a", total_ms=5_000))
    play.tell(waiting("a"))
    play.paused()
    play.signalled("go")
    assert play.status("a") == "pending"
    assert play.fire("a").facts == ["step.failed a", "run.failed"]


def test_a_member_held_between_two_passes_has_its_place_again() -> None:
    member = inside("g", step("a", total_ms=5_000, on_error="hold"))
    play = Play(parallel("g", concurrency=1), member, inside("g", step("b")))
    play.tell(waiting("a"))
    play.paused()
    play.signalled("go")
    assert play.fire("a").facts == ["step.held a"]
    play.reload()
    assert not play.resumed().asked, "the one place is that of the held member"
    assert play.retried("a").asked == [("a", 2)]
    assert play.completed("a", attempt=2).asked == [("b", 1)]


def test_a_held_step_that_begins_again_has_what_it_kept_however_its_run_was_loaded() -> None:
    play = Play(step("a", on_error="hold"))
    noted(play, "w1", b"1", FIRST)
    play.tell(AttemptFailed(**WHO, worker="w1", failure=Failure("Oops"), call=FIRST))
    play.retried("a")
    play.reload()
    assert play.failed("a", attempt=2).facts == ["step.held a"]
    (again,) = play.retried("a", "retry-2").commands
    assert [kept.value for kept in again.kept] == [Raw(b"1")]
    play.failed("a", attempt=3)
    assert play.retried("a", "retry-3", whole=True).commands[0].kept == ()
