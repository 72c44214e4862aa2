"""Folding during a commit, broken on purpose."""

from collections.abc import Iterable

import pytest
from simulation.broken import found

from stream_durable.engine.cache import Cache
from stream_durable.engine.reconciler import Reconciler
from stream_durable.ports import Record


def test_records_that_overtake_others_during_a_commit_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = Reconciler._apply

    async def always(self: Reconciler, records: list[Record], *, follows: bool) -> None:
        await apply(self, records, follows=True)

    monkeypatch.setattr(Reconciler, "_apply", always)

    found(20, by="everything_has_ended")


def test_what_followed_a_refused_batch_and_is_kept_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forget = Cache.forget_partitions

    def keep_some(self: Cache, partitions: Iterable[int]) -> None:
        if not isinstance(partitions, dict):
            forget(self, partitions)

    monkeypatch.setattr(Cache, "forget_partitions", keep_some)

    found(100, by="state_is_the_fold_of_the_log")
