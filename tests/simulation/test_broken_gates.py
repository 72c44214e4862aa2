"""Gates broken on purpose: each breach must be found by what is promised of the log."""

import pytest
from simulation.broken import found

from stream_durable.core.effects import Effects
from stream_durable.core.gate.state import Gate
from stream_durable.core.run import entering, sections
from stream_durable.core.run.state import End, Run
from stream_durable.engine import redrive, resolving

#: Workflows that pass gates.
GATED = ("limited", "keyed", "twice_guarded", "sectioned")
#: And those whose runs do.
CROWDS = ("few", "owned", "crowd")


def test_one_more_than_there_are_places_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_place(gate: Gate) -> bool:
        most = gate.limits.at_once
        return most is None or len(gate.inside) <= most

    monkeypatch.setattr(Gate, "has_place", has_place)

    found(20, by="never_more_are_inside", only=GATED)


def test_a_rate_that_forgets_what_has_passed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gate, "use", lambda *ignored: None)

    found(40, by="rates_are_kept", only=GATED)


def test_a_run_that_begins_without_waiting_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entering, "ask", lambda *ignored: False)

    found(20, by="runs_have_passed_their_gates", only=CROWDS)


def test_one_more_run_than_there_are_places_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_place(gate: Gate) -> bool:
        most = gate.limits.at_once
        return most is None or len(gate.inside) <= most

    monkeypatch.setattr(Gate, "has_place", has_place)

    found(20, by="never_more_are_inside", only=CROWDS)


def test_a_section_that_waits_for_no_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def admit(run: Run, i: int, out: Effects, ends: list[End]) -> bool:
        sections.ask_section(run, i, out)
        return True

    monkeypatch.setattr(sections, "admit", admit)

    found(20, by="sections_keep_their_place", only=("sectioned",))


def test_limits_that_forget_what_was_changed_for_all_keys_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def settle(gate: Gate, now: int | None = None) -> None:
        gate.limits = gate.asked if gate.change is None else gate.change.applied(gate.asked)
        gate.line.weights = gate.limits.weights

    monkeypatch.setattr(Gate, "settle", settle)

    found(20, by="limits_are_as_ordered", only=GATED)


def test_requests_that_do_not_say_what_was_changed_for_all_keys_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resolving, "limit", lambda *ignored: None)

    found(20, by="requests_carry_the_limits_of_all_keys", only=GATED)


def test_a_redrive_that_does_not_say_what_was_changed_for_all_keys_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redrive, "limit", lambda *ignored: None)

    found(20, by="requests_carry_the_limits_of_all_keys")
