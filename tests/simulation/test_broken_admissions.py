"""Admissions broken on purpose: each breach must be found by what is promised of the log."""

import pytest
from simulation.broken import found

from stream_durable.core.admission import fold
from stream_durable.core.admission.rule import SingleRule
from stream_durable.core.admission.state import Admission
from stream_durable.core.effects import Effects
from stream_durable.core.run import entering

SINGLE = ("skipping", "replacing", "queueing", "renewing", "of_queueing", "of_replacing")
TOGETHER = ("gathered", "batched", "of_gathered", "of_batched")


def test_a_second_run_beside_the_one_under_way_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def let_each_in(admission: Admission, rule: SingleRule, moment: int, out: Effects) -> None:
        for run in list(admission.waiting):
            fold._let_in(admission, [run], moment, out)

    monkeypatch.setattr(fold, "_single", let_each_in)

    found(20, by="single_runs_never_overlap", only=SINGLE)


def test_a_run_that_begins_without_being_let_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entering, "ask", lambda *ignored: False)

    found(20, by="runs_begin_as_they_are_let_in", only=TOGETHER)


def test_a_batch_of_one_too_many_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fitting = fold._fitting
    monkeypatch.setattr(fold, "_fitting", lambda admission, size: fitting(admission, size + 1))

    found(40, by="inputs_are_given_once", only=TOGETHER)


def test_a_member_that_is_never_merged_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fold, "_merge", lambda *ignored: None)

    found(20, by="nothing_is_owed_at_the_end", only=TOGETHER)
