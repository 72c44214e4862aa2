"""Saves the changes of batches exactly once, or requests a smaller batch.

A commit is one statement for all partitions of a batch. After an unknown outcome the rows decide. A database
refusing everything is retried. A statement refused for its content or duration refuses no record: the caller
saves less at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from stream_durable.core.errors import StatementError, TransientError
from stream_durable.core.status import Outcome
from stream_durable.engine import batch
from stream_durable.engine.backlog import Backlog
from stream_durable.engine.cache import Cache
from stream_durable.engine.folding import standing
from stream_durable.engine.partition import Partition
from stream_durable.engine.publishing import Publishing
from stream_durable.engine.timers import Timers
from stream_durable.metrics import Metrics
from stream_durable.ports import Store
from stream_durable.retrying import retry_transient
from stream_durable.telemetry import COMMIT_REFUSED, logger

_log = logger(__name__)

_FIRST_SECONDS = 0.05
_LONGEST_SECONDS = 2.0


class Saving:
    """Writes the shares of a batch, and carries over into memory what is stored."""

    def __init__(
        self,
        store: Store,
        partitions: Mapping[int, Partition],
        cache: Cache,
        timers: Timers,
        publishing: Publishing,
        metrics: Metrics,
        fenced: Callable[[list[int]], None],
        survived: Callable[[], Awaitable[None]],
        backlog: Backlog,
    ) -> None:
        """Save for these partitions.

        Calls `fenced` for partitions owned by others by now, and `survived` after each refusal of the store.
        """
        self._store = store
        self._partitions = partitions
        self._cache = cache
        self._timers = timers
        self._publishing = publishing
        self._metrics = metrics
        self._fenced = fenced
        self._survived = survived
        self._backlog = backlog

    async def save(self, finished: list[batch.Finished]) -> StatementError | None:
        """Save all shares, however long the database is away; return why not, if a smaller batch may pass.

        What is not saved then is forgotten, and has to be folded again.
        """
        started, delay = time.perf_counter(), _FIRST_SECONDS
        while finished:
            refused, missed = None, False
            try:
                if await self._store.commit([f.share for f in finished]):
                    break
                missed = True
            except TransientError as error:
                refused = error if isinstance(error, StatementError) else None
                self._metrics.count_refused_commit(error.code)
                _log.warning(COMMIT_REFUSED, reason=str(error), code=error.code)
                await self._survived()
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_SECONDS)
            finished = await self._settle_doubt(finished, missed=missed)
            if refused is not None and finished:
                self._give_up(finished)
                return refused
        self._metrics.commit_seconds.observe(time.perf_counter() - started)
        for f in finished:
            self._saved(f)
        self._cache.shrink()
        self._metrics.batches.value += 1
        return None

    def _give_up(self, finished: list[batch.Finished]) -> None:
        """Forget unsaved changes, and remember acknowledged messages."""
        self._cache.forget_partitions([f.share.partition for f in finished])
        for f in finished:
            partition = self._partitions.get(f.share.partition)
            if partition is not None and partition.token == f.share.token:
                partition.published = f.share.published + partition.published
                partition.begun = f.share.begun + partition.begun

    async def _settle_doubt(self, finished: list[batch.Finished], *, missed: bool) -> list[batch.Finished]:
        """Read the rows after a miss or an unknown outcome, and return the shares still to save.

        After a miss some rows were another owner's, whatever the rows say by now: the database may have been
        set back since, and entities loaded before may be too new. So all partitions are taken over again.
        """
        partitions = [f.share.partition for f in finished]
        cursors = await retry_transient(
            lambda: self._store.cursors(partitions), "read the positions of partitions"
        )
        unsaved, fenced = [], []
        for f in finished:
            share = f.share
            owned = self._partitions.get(share.partition)
            if owned is None or owned.token != share.token:
                # Taken away while this was under way, and perhaps given anew: not what this share is of.
                continue
            match standing(share, cursors[share.partition]):
                case "saved":
                    self._saved(f)
                case "unsaved" if not missed:
                    unsaved.append(f)
                case "unsaved" | "taken":
                    fenced.append(share.partition)
        if fenced:
            self._fenced(fenced)
        return unsaved

    def _count(self, finished: batch.Finished) -> None:
        for what in finished.reviews or ():
            self._metrics.reviews.labels(what).inc()
        if not finished.share.exceptions:
            self._metrics.count_folded(Outcome.APPLIED, len(finished.outcomes))
            return
        for outcome, records in Counter(finished.outcomes).items():
            self._metrics.count_folded(Outcome(outcome), records)
        for letter in finished.share.dead:
            self._metrics.count_dead_letters(letter.code)

    def _saved(self, finished: batch.Finished) -> None:
        """Record a stored share, and publish its messages."""
        share = finished.share
        partition = self._partitions.get(share.partition)
        if partition is None or partition.token != share.token:
            return
        partition.moved(share)
        self._count(finished)
        self._cache.carry_over(finished.touched)
        self._timers.apply(share.timers)
        self._timers.folded(share.partition, finished.types)
        self._backlog.ended(finished.touched)
        if share.held is not None:
            self._backlog.added(partition, share.from_offset, share.held_count)
            for run in finished.held if self._backlog.is_long else ():
                self._cache.forget("run", run)
        if finished.row is not None:
            self._publishing.add(partition, finished.row, finished.messages)
