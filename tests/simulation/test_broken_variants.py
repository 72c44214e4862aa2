"""Engines that are broken on purpose: each must be found, or a clean seed would prove nothing."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from simulation.broken import found

from stream_durable.core.errors import StatementError
from stream_durable.core.policy import RetryPolicy
from stream_durable.engine import batch
from stream_durable.engine.isolation import Refusals
from stream_durable.engine.outbox import outgoing
from stream_durable.engine.partition import Partition
from stream_durable.engine.publishing import Publishing
from stream_durable.engine.reconciler import Reconciler
from stream_durable.engine.saving import Saving
from stream_durable.engine.takeover import Takeovers
from stream_durable.engine.timers import Near, Timers
from stream_durable.lanes import Concerns, Lane, Trouble
from stream_durable.memory.producing import AWAY
from stream_durable.memory.store import MemoryStore
from stream_durable.memory.weather import Faults
from stream_durable.ports import Share
from stream_durable.sending import Delivery, Sender
from stream_durable.worker.job import Job
from stream_durable.worker.reports import Reports


def test_publishing_before_the_commit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    save = Saving.save

    async def hasty(self: Saving, finished: list[batch.Finished]) -> StatementError | None:
        for one in finished:
            if one.row is not None:
                self._publishing.add(self._partitions[one.share.partition], one.row, one.messages)
        return await save(self, [one._replace(row=None) for one in finished])

    monkeypatch.setattr(Saving, "save", hasty)

    found(5, by="nothing_was_wrong_meanwhile")


def test_believing_that_a_message_is_there_which_is_nowhere_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settle = Delivery.settle

    def trusting(self: Delivery, i: int, error: Any, placed: Any) -> None:
        settle(self, i, error, None)

    monkeypatch.setattr(Delivery, "settle", trusting)

    found(60, by="accepted_is_kept")


def test_an_heir_that_lets_go_of_what_the_group_has_given_to_it_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Takeovers, "given", lambda self, partitions: None)

    found(100, by="everything_has_ended", faults=Faults(crash=0.02, crashes_max=20, set_backs=1.5))


class Unfenced(MemoryStore):
    """Writes whatever anybody sends."""

    def fits(self, share: Share) -> bool:
        return True

    def _refuse_conflicts(self, shares: Sequence[Share]) -> None:
        pass


def test_a_store_without_a_fence_is_found() -> None:
    found(60, by="evidence_is_complete", make_store=Unfenced)


class Torn(MemoryStore):
    """Writes the cursor of a batch and, now and then, not its rows: two transactions where one belongs."""

    def __init__(self, partitions: int) -> None:
        super().__init__(partitions)
        self._commits = 0

    def write_rows(self, share: Share) -> None:
        self._commits += 1
        if self._commits % 25:
            super().write_rows(share)


def test_a_cursor_that_runs_ahead_of_the_state_is_found() -> None:
    found(5, by="state_is_the_fold_of_the_log", make_store=Torn)


class Forgetful(MemoryStore):
    """Keeps no outbox: what was saved and not yet said is lost with its owner."""

    def write_outbox(self, share: Share) -> None:
        pass


def test_an_outbox_that_is_not_stored_is_found() -> None:
    found(60, by="lifecycle_is_gapless", make_store=Forgetful)


def test_chance_in_the_fold_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = random.Random(1)
    monkeypatch.setattr(RetryPolicy, "delay_ms", lambda *_: drawn.randrange(50, 900))

    found(5, by="state_is_the_fold_of_the_log")


def test_commands_with_a_drawn_identity_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = random.Random(1)

    def renumbered(effects: Any, partition: int) -> Any:
        for _, command in effects.commands:
            command.attempt += drawn.choice((0, 0, 0, 1))
        return outgoing(effects, partition)

    monkeypatch.setattr(batch.outbox, "outgoing", renumbered)

    found(5, by="commands_have_causes")


def test_saying_nothing_of_what_a_dead_owner_left_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def skip(self: Publishing, partition: Any, rows: Any) -> None:
        partition.published += [offset for offset, _ in rows]

    monkeypatch.setattr(Publishing, "publish_left", skip)

    found(60, by="lifecycle_is_gapless")


def test_a_takeover_that_loads_no_timers_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def load_none(self: Timers, partition: int) -> None:
        self._near[partition] = near = Near()
        near.until = (self._clock.now() + 10_000_000, "run", "\U0010ffff", "")

    monkeypatch.setattr(Timers, "load", load_none)

    found(40, by="everything_has_ended")


def test_commands_done_before_their_results_are_acknowledged_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add = Reports.add

    def hasty(self: Reports, partition: Any, message: Any, then: Callable[[], None]) -> None:
        then()
        add(self, partition, message, lambda: None)

    monkeypatch.setattr(Reports, "add", hasty)

    found(300, by="everything_has_ended", faults=Faults(crash=0.02, late=0.2, crashes_max=20))


def test_a_cache_that_keeps_what_a_misrouted_record_brought_in_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def own(self: Reconciler, partition: Partition) -> None:
        self._partitions[partition.id] = partition

    monkeypatch.setattr(Reconciler, "_own", own)

    found(80, by="state_is_the_fold_of_the_log", faults=Faults(handovers=1.5))


def test_timers_committed_while_others_are_read_and_lost_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = Timers.apply

    def forget(self: Timers, rows: Any) -> None:
        kept = {near: near.meanwhile for near in self._near.values()}
        for near in kept:
            near.meanwhile = None
        apply(self, rows)
        for near, meanwhile in kept.items():
            near.meanwhile = meanwhile

    monkeypatch.setattr(Timers, "apply", forget)

    # Nobody dies, so nobody reads all timers anew.
    found(200, by="everything_has_ended", faults=Faults(late=0.2, delay=0.03))


def test_a_timeout_of_a_thread_that_is_not_reported_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def cancel(self: Job, is_overdue: bool) -> None:
        self.is_cancelled = self.is_cancelled or is_overdue

    monkeypatch.setattr(Job, "is_overdue", property(lambda self: False, cancel))

    found(150, by="everything_has_ended")


def test_garbage_that_vanishes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    bury = batch._bury

    def drop(folding: batch.Folding, *rest: Any) -> None:
        bury(folding, *rest)
        folding.letters.clear()

    monkeypatch.setattr(batch, "_bury", drop)

    found(10, by="dead_letters_are_garbage")


class FromTheStart(MemoryStore):
    """Lets every owner begin where the log begins, and not where its partition stands."""

    async def claim(self, partition: int, owner: str, token: Any, *rest: Any, **options: Any) -> Any:
        claim = await super().claim(partition, owner, token, *rest, **options)
        self.tables.partitions[partition].next_offset = 0
        return claim._replace(next_offset=0, fingerprint=0)

    def _refuse_conflicts(self, shares: Sequence[Share]) -> None:
        pass


def test_an_offset_that_is_not_kept_is_found() -> None:
    found(60, by="evidence_is_complete", make_store=FromTheStart)


def test_repeating_a_whole_burst_for_one_message_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = Sender._failed

    def repeat(self: Sender, delivery: Delivery, i: int, error: Any) -> None:
        for j, (message, headers) in enumerate(delivery.messages):
            if j != i and delivery.settled[j]:
                self._wire.produce(message, headers, lambda *_: None)
        failed(self, delivery, i, error)

    monkeypatch.setattr(Sender, "_failed", repeat)

    found(60, by="nothing_was_wrong_meanwhile", faults=Faults(narrow=1.0))


@pytest.mark.timeout(900)
def test_trying_for_ever_what_will_never_be_taken_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pause = Sender._pause

    async def patient(self: Sender, lane: Lane, trouble: Trouble) -> None:
        await pause(self, lane, trouble._replace(concerns=Concerns.MOMENT))

    monkeypatch.setattr(Sender, "_look_at", patient)
    monkeypatch.setattr(Sender, "_refuse", lambda self, delivery, i, trouble: self._failed(delivery, i, AWAY))

    found(250, by="everything_has_ended", faults=Faults(narrow=1.0))


def test_blaming_each_message_of_a_batch_for_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def blame(self: Sender, delivery: Delivery, i: int, error: Any) -> None:
        trouble = self._wire.trouble(error)
        if trouble.concerns is Concerns.MESSAGE:
            self._refuse(delivery, i, trouble)
        else:
            failed(self, delivery, i, error)

    failed = Sender._failed
    monkeypatch.setattr(Sender, "_failed", blame)

    found(80, by="lifecycle_is_gapless", faults=Faults(narrow=1.0))


def test_an_outbox_row_that_is_removed_before_it_is_published_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say = Publishing.say

    def hasty(self: Publishing, messages: Any, then: Callable[[], None]) -> None:
        then()
        say(self, messages, lambda: None)

    monkeypatch.setattr(Publishing, "say", hasty)

    found(100, by="lifecycle_is_gapless", faults=Faults(crash=0.02, leaderless=0.5, crashes_max=20))


def test_a_database_error_that_is_blamed_on_whatever_record_is_there_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def blame(self: Reconciler, reads: list[batch.Read], refused: StatementError) -> None:
        for read in reads:
            self._refusals.refuse_unstorable(read.record, str(refused))
        await self._apply_reads(reads)

    monkeypatch.setattr(Reconciler, "_apply_less", blame)

    found(20, by="dead_letters_are_garbage", faults=Faults(slow_commit=0.2, delay=0.002))


def test_a_record_that_cannot_be_stored_and_is_tried_for_ever_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Refusals, "refuse_unstorable", lambda self, record, reason: False)

    found(30, by="everything_is_read", faults=Faults(delay=0.002))
