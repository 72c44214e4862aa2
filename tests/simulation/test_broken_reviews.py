"""Held steps broken on purpose: each breach must be found by what is promised of the log."""

from typing import Any

import pytest
from simulation.broken import found

from stream_durable.core.effects import Effects
from stream_durable.core.fold import HANDLERS
from stream_durable.core.messages import ChangeHeld
from stream_durable.core.run import advance, attempts, changing, review
from stream_durable.core.run.state import Run
from stream_durable.core.status import Outcome
from stream_durable.memory.weather import Faults

HOLDING = ("held", "held_parts", "holding")


def test_a_held_step_that_is_tried_again_by_itself_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = review.hold

    def hold_and_ask(run: Run, i: int, step: Any, failure: Any, now: int, out: Effects) -> None:
        hold(run, i, step, failure, now, out)
        attempts.ask_again(run, i, step, out)

    monkeypatch.setattr(advance.review, "hold", hold_and_ask)

    found(10, by="a_held_step_waits_for_a_person", only=HOLDING)


def test_a_time_out_that_goes_on_while_a_step_is_held_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "set_run_due", lambda *ignored: None)

    found(20, by="the_time_of_a_run_stands_still", only=HOLDING)


def test_a_decision_that_is_not_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "note", lambda *ignored, **named: None)

    found(10, by="decisions_are_kept_once", only=HOLDING)


def test_a_released_step_that_is_still_counted_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "release", lambda *ignored: None)

    found(10, by="the_time_of_a_run_stands_still", only=HOLDING)


def test_a_changed_input_that_reaches_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(run: Run, message: ChangeHeld, now: int, out: Effects) -> Outcome:
        was = run.input
        outcome = changing.change(run, message, now, out)
        run.input = was
        return outcome

    monkeypatch.setitem(HANDLERS, ChangeHeld, change)

    found(20, by="a_changed_run_goes_on_with_what_was_changed", only=HOLDING)


def test_changed_retries_that_are_not_used_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing, "take_over", lambda *ignored: None)

    found(40, by="a_changed_step_has_the_attempts_it_was_given", only=("held_retried",))


def test_changed_retries_that_are_forgotten_with_the_cache_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changing, "take_over_all", lambda *ignored: None)

    found(
        40,
        by="state_is_the_fold_of_the_log",
        only=("held_retried",),
        faults=Faults(handovers=1.5, delay=0.002),
    )
