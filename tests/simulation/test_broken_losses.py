"""Engines that are broken on purpose, where what was kept is lost or forgotten, or a loop stands still."""

from uuid import UUID

import pytest
from simulation.broken import found

from stream_durable.core.run import attempts
from stream_durable.engine import takeover
from stream_durable.engine.partition import Partition
from stream_durable.engine.redrive import Redrive
from stream_durable.engine.takeover import Takeovers
from stream_durable.engine.watch import Watch
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Faults
from stream_durable.ports import LogBounds
from stream_durable.worker.job import Job
from stream_durable.worker.lane import Lane

LOST = Faults(lost_logs=0.4, crash=0.004, handovers=0.3)
SET_BACK = Faults(set_backs=0.3)


class Trusting(Partition):
    """Looks at no record before its offset."""

    @property
    def verify_offset(self) -> int | None:  # type: ignore[override]
        return None

    @verify_offset.setter
    def verify_offset(self, offset: int | None) -> None:
        pass


def test_a_log_that_is_taken_for_another_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover, "lost_log", lambda claim, bounds: None)
    monkeypatch.setattr(takeover, "Partition", Trusting)

    found(40, by="evidence_is_complete", faults=LOST)


def test_losses_after_which_nothing_is_asked_for_again_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(self: Redrive, partition: int) -> None:
        pass

    monkeypatch.setattr(Redrive, "partition", nothing)

    found(40, by="everything_has_ended", faults=LOST)


class Alone(MemoryStore):
    """Has nobody ask again but the partition whose log was lost."""

    async def new_generation(
        self, partition: int, token: UUID, topic_id: str, next_offset: int, reason: str
    ) -> int | None:
        due = {number: row.must_redrive for number, row in self.tables.partitions.items()}
        generation = await super().new_generation(partition, token, topic_id, next_offset, reason)
        for number, row in self.tables.partitions.items():
            if number != partition:
                row.must_redrive = due[number]
        return generation


def test_what_others_had_asked_of_a_partition_that_was_lost_is_found() -> None:
    found(
        60, by="everything_has_ended", faults=Faults(lost_logs=0.8, late=0.1), make_store=Alone,
        only=("parent", "looping", "expecting"),
    )  # fmt: skip


def test_an_outbox_that_mixes_two_logs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def leave(self: Takeovers, owned: Partition) -> None:
        pass

    monkeypatch.setattr(Takeovers, "_clear_outbox", leave)

    stopped = Faults(lost_logs=0.8, stall=0.1, delay=0.01)
    found(150, by="nothing_was_wrong_meanwhile", faults=stopped)


def test_records_of_another_log_at_offsets_that_are_free_in_it_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(takeover, "Partition", Trusting)

    found(150, by="evidence_is_complete", faults=Faults(lost_logs=0.4, crash=0.01, gap=0.4))


def test_a_store_set_back_that_only_a_commit_notices_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_away(self: Watch) -> None:
        pass

    monkeypatch.setattr(Watch, "_look_at_rows", look_away)

    found(60, by="everything_is_read", faults=SET_BACK)


def test_attempts_that_are_given_up_with_one_blocked_worker_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempts, "LOSSES_MAX", 0)

    found(20, by="an_attempt_is_lost_with_many_workers", faults=Faults(blocks=0.4))


def test_offsets_that_are_forgotten_and_nobody_told_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_the_end(self: Lane, partition: int, committed: int | None, bounds: LogBounds) -> int:
        return bounds.high

    monkeypatch.setattr(Lane, "_begin_unknown", at_the_end)

    found(20, by="everything_has_ended", faults=Faults(forgotten=0.3))


def test_a_worker_that_begins_anew_where_offsets_were_forgotten_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def at_the_beginning(self: Lane, partition: int, committed: int | None, bounds: LogBounds) -> int:
        return bounds.low

    monkeypatch.setattr(Lane, "_begin_unknown", at_the_beginning)

    found(20, by="forgotten_offsets_begin_nothing_anew", faults=Faults(forgotten=0.3))


def test_ends_by_calls_that_were_replaced_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "_is_astray", lambda *_: False)

    slow = Faults(blocks=0.4, freezes=0.4, handovers=0.4, delay=0.01)
    found(10, by="ends_follow_from_what_was_kept", faults=slow, only=("keeping", "inside"))


def test_ends_of_replaced_calls_that_answer_a_newer_one_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Job, "_answers", lambda *_: True)

    slow = Faults(blocks=0.4, freezes=0.4, handovers=0.4, delay=0.01)
    found(20, by="everything_has_ended", faults=slow, only=("keeping", "inside"))
