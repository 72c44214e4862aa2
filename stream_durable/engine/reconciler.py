"""The reconciler: exactly-once state from an at-least-once log.

The group suggests ownership; the partition's row in the store decides. A takeover stamps the row with a fresh
random token (`takeover.py`); from then on every commit compares and sets token and offset, so a replaced
owner, however late, writes nothing.

The path of a record: `run` takes arrived records; `_apply` decodes them, loads missing entities and folds
(`batch.py`); `_commit` saves with one statement for all partitions; `publishing.py` publishes afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import assert_never

from stream_durable.core.errors import RejectedError, ReplacedError, StatementError, TransientError
from stream_durable.core.format import FORMAT
from stream_durable.core.run.portions import STEP_LOAD
from stream_durable.engine import batch
from stream_durable.engine.backlog import Backlog
from stream_durable.engine.cache import Cache
from stream_durable.engine.folding import Folder
from stream_durable.engine.following import AHEAD_MAX, Follower, Following
from stream_durable.engine.holds import Holds
from stream_durable.engine.isolation import Isolation, Refusals
from stream_durable.engine.loading import LOAD_SHARE, Loads
from stream_durable.engine.log_clock import LogClock
from stream_durable.engine.partition import Partition, fingerprint
from stream_durable.engine.presence import Presence
from stream_durable.engine.publishing import Publishing
from stream_durable.engine.redrive import Redrive
from stream_durable.engine.resolving import resolve
from stream_durable.engine.saving import Saving
from stream_durable.engine.takeover import Takeovers
from stream_durable.engine.tidying import LEAVE_SECONDS, Tidying
from stream_durable.engine.timers import Timers
from stream_durable.engine.watch import Watch
from stream_durable.metrics import Metrics
from stream_durable.ports import (
    Assigned,
    Clock,
    Current,
    Keys,
    Log,
    LogLost,
    Publisher,
    Record,
    Revoked,
    Store,
    VerdictLog,
)
from stream_durable.retrying import retry_transient
from stream_durable.settings import EngineSettings
from stream_durable.telemetry import DEPENDENCY_FAILED, PARTITION_FENCED, logger
from stream_durable.wire.verdicts import CRASHES, Verdict

_log = logger(__name__)

#: So many records are folded during saves in a row, a small batch counted as `AHEAD_MAX`; then others save.
_IN_A_ROW_MAX = 5_000
_OTHER_RECORD = "the record before the offset we stand at is not the one that was folded"


class Reconciler:
    """Folds owned partitions, saves, and publishes."""

    def __init__(
        self,
        log: Log,
        store: Store,
        publisher: Publisher,
        definitions: Current,
        verdicts: VerdictLog,
        clock: Clock,
        settings: EngineSettings,
        metrics: Metrics,
        *,
        owner: str,
        source: str,
        partition_count: int,
        knows: int = FORMAT,
    ) -> None:
        """Serve as `owner`; publish as `source`; leave formats above `knows` to newer releases."""
        self._log = log
        self._store = store
        self._definitions = definitions
        self._settings = settings
        self._metrics = metrics
        self._partitions: dict[int, Partition] = {}
        #: Being given up: not to be taken over once more, whatever is seen of them.
        self._leaving: frozenset[int] = frozenset()
        self._cache = Cache(settings.cache_bytes_max)
        self._refusals = Refusals()
        self._holds = Holds(log, definitions, verdicts, self._partitions, self._refusals, knows)
        hold, unpublished_max = self._holds.hold_back, settings.unpublished_bytes_max
        self._publishing = Publishing(publisher, source, metrics, bytes_max=unpublished_max, hold=hold)
        self._clock = LogClock(clock)
        self._timers = Timers(
            store, publisher, self._clock, metrics,
            horizon_ms=settings.timer_horizon_ms, held_max=settings.timers_held_max,
        )  # fmt: skip
        self._writing = asyncio.Lock()
        # What the steps that one batch begins may weigh, beside what they weigh for being steps.
        load_max = settings.batch_bytes_max + STEP_LOAD * settings.batch_records_max
        self._folder = Folder(
            store, definitions, self._cache, self._refusals, partition_count, load_max, self._partitions
        )
        self._backlog = Backlog(
            store, self._publishing, self._partitions, self._clock, metrics, self._writing,
            settings.begin_at_once, self._folder.recall,
        )  # fmt: skip
        self._redrive = Redrive(store, definitions, self._publishing, partition_count, self._writing)
        self._takeovers = Takeovers(
            log, store, definitions, verdicts, self._publishing, self._timers, self._own, self._redrive,
            settings, metrics,
            owner=owner, partition_count=partition_count, knows=knows,
        )  # fmt: skip
        self._isolation = Isolation(store, settings.stall_takeovers_max)
        metrics.partitions_held.set_function(lambda: len(self.held()))
        metrics.cache_bytes.set_function(lambda: self._cache.bytes)
        self._watch = Watch(
            log, store, self._partitions, self._take_again, self._fenced, self._take_again,
            self._holds.__contains__,
        )  # fmt: skip
        self._presence = Presence(store, self._partitions, self._takeovers)
        self._saving = Saving(
            store, self._partitions, self._cache, self._timers, self._publishing, metrics, self._fenced,
            self._isolation.absolve, self._backlog,
        )  # fmt: skip
        self._tidying = Tidying(
            log, self._partitions, self._publishing, self._saving, self._backlog, self._writing
        )
        self._follower = Follower(
            log, self._partitions, self._folder, lambda: self._watch.is_fresh, self._hear,
            self._publish_ahead, settings.batch_records_max, settings.batch_bytes_max,
        )  # fmt: skip
        #: Of the group, with partitions or to stand by.
        self.is_member = self._is_applying = self._is_stopping = False

    @property
    def partitions(self) -> dict[int, Partition]:
        """The partitions owned now."""
        return self._partitions

    def held(self) -> dict[int, str]:
        """Return the reason for each partition standing still."""
        return self._holds.reasons() | self._takeovers.refused

    def trouble(self) -> str | None:
        """Return the reason if the database refuses everybody."""
        return self._store.trouble()

    @property
    def is_taking_over(self) -> bool:
        """Whether a takeover is under way."""
        return self._takeovers.is_busy

    async def run(self) -> None:
        """Reconcile until cancelled; then leave in good order."""
        try:
            async with asyncio.TaskGroup() as group:
                beside = self._timers, self._tidying, self._backlog, self._watch, self._presence
                for part in (*beside, self._holds):
                    group.create_task(part.run())
                self._takeovers.group = self._redrive.group = group
                try:
                    await self._consume_whole()
                finally:
                    await self._tidying.before_leaving(self._partitions)
        finally:
            await self._log.close()

    async def _consume_whole(self) -> None:
        """Consume; a stop waits for the end of the batch under way, to know the saved state."""
        consuming = asyncio.ensure_future(self._consume())
        try:
            await asyncio.shield(consuming)
        finally:
            self._is_stopping = True
            if self._is_applying:
                await asyncio.wait([consuming], timeout=LEAVE_SECONDS)
            consuming.cancel()

    async def _consume(self) -> None:
        while not self._is_stopping:
            event = await self._follower.next()
            if isinstance(event, list):
                self._is_applying = True
                for records in (slices := list(batch.sliced(event, self._settings.batch_bytes_max))):
                    if not self._is_stopping:
                        await self._apply(records, follows=records is slices[-1])
                self._is_applying = False
            elif isinstance(event, Assigned):
                self.is_member = True
                self._takeovers.given(event.partitions)
                # What was adopted is ours already.
                self._takeovers.begin(p for p in event.partitions if p not in self._partitions)
            elif isinstance(event, Revoked):
                self._takeovers.cancel(event.partitions)
                self._holds.leave(event.partitions)
                self._leaving = frozenset(event.partitions)
                await self._tidying.before_leaving(event.partitions)
                self._let_go(event.partitions)
                self._leaving = frozenset()
            elif isinstance(event, LogLost):
                self._take_again(event.partition, "the log does not hold the offset we stand at")
            else:
                assert_never(event)

    def _own(self, partition: Partition, verdicts: Iterable[Verdict]) -> None:
        # A record that came to the wrong partition may have brought in an entity of this one, which has
        # moved on under its owner since.
        self._cache.forget_partitions([partition.id])
        self._partitions[partition.id] = partition
        self._backlog.wake()
        self._refusals.learn(partition.id, verdicts)
        self._metrics.partitions_owned.set(len(self._partitions))

    def _let_go(self, partitions: Iterable[int]) -> None:
        gone = list(partitions)
        self._takeovers.cancel(gone)
        for partition in gone:
            self._partitions.pop(partition, None)
        self._refusals.forget(gone)
        self._holds.forget(gone)
        self._cache.forget_partitions(gone)
        self._timers.drop(gone)
        self._metrics.partitions_owned.set(len(self._partitions))

    def _take_again(self, partition: int, lost: str | None = None) -> None:
        """Take over a partition once more; `lost` is the reason for another log, if there is one."""
        if partition in self._leaving:
            return
        self._log.stop_fetching(partition)
        self._let_go([partition])
        self._takeovers.begin([partition], lost=lost)

    async def _apply(self, records: list[Record], *, follows: bool) -> None:
        """Read, load, fold, save and publish; with `follows`, no arrived record is left to apply after it."""
        self._hear(records, len(records))
        async with self._writing:
            reads = self._folder.read(self._current(records))
            cautious = {p.id for p in self._partitions.values() if p.cautious}
            suspects = [r for r in reads if r.record.partition in cautious]
            trusted = [r for r in reads if r.record.partition not in cautious]
            await self._apply_reads(trusted, follows=follows and not cautious)
            await self._fold_one_by_one(suspects)

    def _hear(self, records: list[Record], count: int) -> None:
        self._clock.hear(records[-1].time)
        self._backlog.hear(records, count)

    async def _fold_one_by_one(self, reads: list[batch.Read]) -> None:
        """Fold the records of partitions without progress separately, after those of the others."""
        for r in reads:
            partition = self._partitions.get(r.record.partition)
            if partition is None:
                continue
            reason = await self._isolation.judge(partition, r.record)
            if reason is not None:
                r = batch.Read(r.record, RejectedError(CRASHES, reason))  # noqa: PLW2901
            partition.cautious = max(0, partition.cautious - 1)
            await self._apply_reads([r])

    async def _apply_reads(self, reads: list[batch.Read], *, follows: bool = False) -> None:
        """Apply records; with `follows`, go on folding while a batch is saved, and publish few ahead."""
        foldings, in_a_row = None, 0
        while reads:
            if foldings is None:
                left = await self._prepare(reads)
                if isinstance(left, StatementError):
                    await self._apply_less(reads, left)
                    return
                # While we waited, partitions may have been taken away, or held at one of these records.
                reads = self._follower.owned(reads)
                foldable = reads[: left.before(reads)] if left else reads
                foldings = self._folder.fold(foldable, self._partitions) or None
                if foldings is None:
                    continue
            count = sum(len(folding.evidence.offsets) for folding in foldings)
            may_follow = follows and self._watch.is_fresh
            ahead = may_follow and not self._folder.has_loaded and count <= AHEAD_MAX
            lost = [folding for folding in foldings if folding.effects.lost_queues]
            finished = await self._finish(foldings, lost, ahead=ahead)
            following = Following(finished, is_ahead=ahead)
            in_a_row += max(count, AHEAD_MAX)
            if may_follow and count == len(reads) and in_a_row < _IN_A_ROW_MAX:
                refused = await self._follower.save(self._saving.save(finished), following)
            else:
                refused = await self._saving.save(finished)
            self._folder.has_loaded = False
            if refused is not None or following.is_broken:
                self._cache.forget_partitions(following.foldings)
            foldings = None
            if refused is not None:
                await self._apply_less(reads[:count], refused)
            else:
                for folding in lost:
                    self._redrive.begin(folding.partition, folding.effects.lost_queues)
                foldings = following.owned(self._partitions)
                self._cache.hold(folding.touched for folding in foldings or ())
            reads = self._follower.owned(reads[count:] + following.reads)

    async def _finish(
        self, foldings: list[batch.Folding], lost: list[batch.Folding], *, ahead: bool
    ) -> list[batch.Finished]:
        """Convert what was folded to what is saved, and with `ahead` publish what may go before."""
        if any(folding.effects.has_early_timer for folding in foldings):
            self._clock.was_early()
        await self._redrive.note(folding.partition for folding in lost)
        await resolve(foldings, self._definitions)
        for folding in foldings if ahead else ():
            self._publish_ahead(folding)
        return [batch.finish(f, holds_back=self._backlog.holds(f.partition)) for f in foldings]

    def _publish_ahead(self, folding: batch.Folding) -> None:
        if not self._backlog.holds(folding.partition) and (messages := batch.take_ahead(folding)):
            self._publishing.begin(folding.partition, folding.row, messages)

    async def _apply_less(self, reads: list[batch.Read], refused: StatementError) -> None:
        """Apply half of the unsaved records, then the rest, until an unstorable record is alone."""
        stood = {p.id: p.next_offset for p in self._partitions.values()}
        left = [r for r in reads if r.record.offset >= stood.get(r.record.partition, r.record.offset + 1)]
        if len(left) > 1:
            await self._apply_reads(left[: len(left) // 2])
            await self._apply_reads(left[len(left) // 2 :])
        elif left and len(reads) > 1:
            await self._apply_reads(left)  # one of the others may be to blame, and another owner's by now
        elif left and refused.is_data and self._refusals.refuse_unstorable(left[0].record, str(refused)):
            await self._apply_reads(left)
        elif left:
            self._holds.hold_refused(left[0].record, str(refused))

    def _current(self, records: list[Record]) -> list[Record]:
        """Return the records not yet folded by this owner, and check the identity of the log."""
        current = []
        expected: dict[int, int] = {}
        for record in records:
            partition = self._follower.reading.get(record.partition)
            if partition is None or self._partitions.get(record.partition) is not partition:
                continue
            if partition.awaits is not None:
                if partition.id in self._holds or record.offset != partition.awaits:
                    continue
                partition.awaits = None
            if record.offset >= expected.get(record.partition, partition.next_offset):
                if partition.verify_offset is not None:
                    # It would have come before this one.
                    self._take_again(record.partition, _OTHER_RECORD)
                    continue
                expected[record.partition] = record.offset + 1
                current.append(record)
            elif record.offset == partition.verify_offset:
                partition.verify_offset = None
                if fingerprint(record) != partition.fingerprint:
                    self._take_again(record.partition, _OTHER_RECORD)
        return [r for r in current if r.partition in self._partitions]

    async def _prepare(self, reads: list[batch.Read]) -> Loads | StatementError:
        """Load missing entities; return what is left to load later, or why a smaller batch may help."""
        await self._holds.check(reads)
        left = Loads({})
        while keys := self._folder.missing(reads):
            before = dict(self._partitions)
            loaded = await retry_transient(partial(self._load, keys), "load entities")
            # The rows may have been read before a partition went to another owner and came back.
            if taken := [p.id for p in self._partitions.values() if before.get(p.id) is not p]:
                self._cache.forget_partitions(taken)
            if isinstance(loaded, StatementError):
                return loaded
            lacking, left = loaded
            self._metrics.cache_loads.inc(sum(map(len, keys.values())) - len(left))
            if not lacking or not await self._holds.check_runs(reads, lacking):
                break
        return left

    async def _load(self, keys: Keys) -> tuple[dict[str, str], Loads] | StatementError:
        """Load entities, or return the reason for a refused query, without blame on any record."""
        owned = dict(self._partitions)
        try:
            return await self._folder.load(keys, self._cache.bytes_max // LOAD_SHARE)
        except TransientError as error:
            await self._isolation.absolve()
            if isinstance(error, ReplacedError):
                self._fenced([p for p in error.partitions if self._partitions.get(p) is owned.get(p, error)])
            if not isinstance(error, StatementError):
                raise
            _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="load entities")
            return StatementError(str(error), is_data=False)

    def _fenced(self, partitions: list[int]) -> None:
        """Drop partitions owned by others or set back; take over again if the group still assigns them."""
        self._metrics.fenced.inc(len(partitions))
        _log.warning(PARTITION_FENCED, partition=partitions)
        for partition in partitions:
            self._log.stop_fetching(partition)
        self._let_go(partitions)
        self._takeovers.fenced(partitions)
