"""Early signals and started children broken on purpose: each breach must be found."""

from __future__ import annotations

from typing import Any

import pytest
from simulation.broken import found

from stream_durable.core.channel.state import Channel
from stream_durable.core.run import ending, rows
from stream_durable.core.run.mail import KeptSignal, Mail
from stream_durable.core.run.signal_rows import thaw_mail
from stream_durable.memory.weather import Faults


def test_signals_that_outlive_their_time_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeptSignal, "is_over", lambda self, now: False)

    found(60, by="signals_end_waits_within_their_time", only=("signals", "branched"))


def test_senders_that_are_forgotten_when_a_run_is_loaded_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def anonymous(signals: Any, **options: Any) -> Mail:
        mail = thaw_mail(signals, **options)
        for position, kept in mail.kept.items():
            mail.kept[position] = KeptSignal(*kept[:3])
        return mail

    monkeypatch.setattr(rows, "thaw_mail", anonymous)

    handed_over = Faults(handovers=1.5, delay=0.002)
    found(60, by="state_is_the_fold_of_the_log", faults=handed_over, only=("signals", "branched"))


def test_expired_events_that_leave_no_evidence_where_a_channel_was_loaded_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lose = Channel.lose_event

    def some(self: Channel, event_id: str) -> None:
        # The oracle loads nothing: there every channel is new.
        if self.is_new:
            lose(self, event_id)
        else:
            self.forget_event(event_id)

    monkeypatch.setattr(Channel, "lose_event", some)

    found(40, by="state_is_the_fold_of_the_log", faults=Faults(handovers=1.5, delay=0.002), only=("events",))


def test_started_children_that_are_left_alone_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "_cancel_started", lambda run, graph, out, **undoes: None)

    found(60, by="started_children_go_their_own_way", only=("inside",))
