"""Logs that are broken on purpose: readers do not get all that is on them."""

import pytest
from simulation.broken import found

from stream_durable.memory.ports import MemoryLog
from stream_durable.memory.weather import Faults
from stream_durable.wire.topics import COMMANDS, INBOX

#: Commands come many at once, and to a worker that has not come to the ones before.
BURSTS = Faults(delay=0.02, blocks=1.0, leaderless=0.5)


def let_late_records_through(monkeypatch: pytest.MonkeyPatch, topics: str) -> None:
    """Drop what was read before a stop, and not what is read before it is carried out."""
    begin_stop, has_stopped = MemoryLog.begin_stop, MemoryLog.has_stopped

    def begin(self: MemoryLog, partition: int) -> None:
        if self.name.startswith(topics):
            self.drop([partition])
        else:
            begin_stop(self, partition)

    def end(self: MemoryLog, partition: int) -> None:
        if not self.name.startswith(topics):
            has_stopped(self, partition)

    monkeypatch.setattr(MemoryLog, "begin_stop", begin)
    monkeypatch.setattr(MemoryLog, "has_stopped", end)


def test_results_that_come_late_behind_a_stop_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    let_late_records_through(monkeypatch, INBOX)

    found(40, by="no_record_is_left_out", faults=Faults(delay=0.003, leaderless=0.5))


def test_results_that_come_late_behind_a_stop_leave_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    let_late_records_through(monkeypatch, INBOX)

    found(60, by="evidence_is_complete", faults=Faults(delay=0.003, leaderless=0.5))


def test_commands_that_come_late_behind_a_stop_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    let_late_records_through(monkeypatch, COMMANDS)

    found(100, by="no_record_is_left_out", faults=BURSTS, only=("joined", "shop", "diamond"))
