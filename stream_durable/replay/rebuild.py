"""Rebuilds the state from the inbox in an empty schema.

The fold is shared with the reconciler (`engine.folding`); input and output differ. Records come from a plain
reader, each partition up to a target offset. Nothing is published: no outbox row is written and no timer
fires, because their results are on the log already. Verdicts are read first (`verdicts.py`).

A few partitions are folded at a time, each by a lane with its own connection and cache, so that folding
continues while another lane commits. A lane folds its partition from start to end in large batches: a run
beginning and ending within one batch is written once, and the cache holds the open runs of one partition
only.

Every batch is one statement comparing and setting token and offset, as in the reconciler. So a killed rebuild
can be resumed (`resume`), and a second rebuild into the same schema stops the first at its next commit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import uuid4

from stream_durable.core.errors import (
    BrokenError,
    NewerFormatError,
    RejectedError,
    StatementError,
    TransientError,
)
from stream_durable.core.format import FORMAT
from stream_durable.core.messages import StartRun
from stream_durable.engine import batch
from stream_durable.engine.cache import Cache
from stream_durable.engine.folding import Folder, standing
from stream_durable.engine.isolation import Refusals
from stream_durable.engine.loading import LOAD_SHARE, Loads
from stream_durable.engine.partition import Partition, fingerprint
from stream_durable.ports import (
    Definitions,
    Keys,
    LogBounds,
    LogReader,
    PartitionState,
    Record,
    Share,
    Span,
    State,
    Store,
)
from stream_durable.replay.spans import OWNER, check_free, span_of
from stream_durable.replay.verdicts import read_verdicts
from stream_durable.retrying import retry_transient
from stream_durable.settings import EngineSettings
from stream_durable.telemetry import DEPENDENCY_FAILED, logger
from stream_durable.wire.verdicts import Verdicts

_log = logger(__name__)

#: Records per commit. More records mean fewer rewrites of the same rows, and more memory.
BATCH_RECORDS_MAX = 12_000
#: Partitions folded at the same time: while one waits for its commit, the other folds. Each takes memory
#: for a batch and a cache of its own.
LANES = 2
_DOUBT_SECONDS = 0.2


class Reached(NamedTuple):
    """How far a partition is."""

    done: int
    target: int


class Progress(NamedTuple):
    """How far a rebuild is; `done` and `target` are offsets."""

    partitions: Mapping[int, Reached]
    #: Folded since the start, or since it was resumed.
    records: int
    seconds: float

    @property
    def records_per_s(self) -> float:
        """The rate so far."""
        return self.records / self.seconds if self.seconds else 0.0

    @property
    def left(self) -> int:
        """How many records are still to be folded, if the log has no gaps."""
        return sum(reached.target - reached.done for reached in self.partitions.values())


class Rebuilt(NamedTuple):
    """The result of a rebuild."""

    #: The next offset of each partition.
    offsets: Mapping[int, int]
    records: int
    #: Of these, how many were refused, repeated or late.
    exceptions: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The source and the target of a rebuild."""

    inbox: LogReader
    verdicts: LogReader
    definitions: Definitions
    #: Opens a look at the schema that is rebuilt.
    look: Callable[[], AbstractAsyncContextManager[State]]
    #: Creates a store of the rebuilt schema: one for each lane.
    store: Callable[[], Store]
    settings: EngineSettings
    partition_count: int
    lanes: int = LANES


@dataclass(slots=True)
class _Tally:
    """The progress of all lanes."""

    reached: dict[int, Reached]
    tell: Callable[[Progress], None] | None
    started: float = field(default_factory=time.perf_counter)
    records: int = 0
    exceptions: int = 0

    def add(self, share: Share, records: int) -> None:
        """Count a saved share, and report the progress."""
        self.records += records
        self.exceptions += share.exceptions
        self.reach(share.partition, share.to_offset)
        self.report()

    def reach(self, partition: int, offset: int) -> None:
        """Note where a partition stands."""
        self.reached[partition] = Reached(offset, self.reached[partition].target)

    def report(self) -> None:
        """Report the progress."""
        if self.tell is not None:
            self.tell(Progress(dict(self.reached), self.records, time.perf_counter() - self.started))


async def rebuild(
    world: World,
    live: Sequence[PartitionState] | None = None,
    *,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Rebuilt:
    """Fold each partition up to where `live` stands, or up to what is now the end of the log."""
    bounds = await world.inbox.bounds()
    spans = await _spans(world, bounds, live, resume=resume)
    tally = _Tally({s.partition: Reached(s.start, s.end) for s in spans}, progress)
    tally.report()
    left = [span for span in spans if span.start < span.end]
    if left:
        verdicts = await read_verdicts(world.verdicts)
        await world.definitions.catch_up()
        await _run_lanes(world, left, bounds, verdicts, tally)
    offsets = {partition: reached.done for partition, reached in tally.reached.items()}
    return Rebuilt(offsets, tally.records, tally.exceptions, time.perf_counter() - tally.started)


async def reached(look: State) -> list[PartitionState] | None:
    """Return where a live schema stands; None where nothing was ever folded."""
    return None if await look.is_empty() else await look.partitions()


async def _spans(
    world: World,
    bounds: Mapping[int, LogBounds],
    live: Sequence[PartitionState] | None,
    *,
    resume: bool,
) -> list[Span]:
    """Return the range to fold of each partition; refuse ranges bound to come out different."""
    async with world.look() as look:
        standing = await look.partitions()
        check_free(standing, is_empty=await look.is_empty(), resume=resume)
    if len(bounds) != world.partition_count:
        raise RejectedError(
            "partition_count", f"the inbox has {len(bounds)} partitions, not {world.partition_count}"
        )
    targets = {state.partition: state for state in live or ()}
    return [span_of(state, bounds[state.partition], targets.get(state.partition)) for state in standing]


async def _run_lanes(
    world: World, spans: list[Span], bounds: Mapping[int, LogBounds], verdicts: Verdicts, tally: _Tally
) -> None:
    """Let the lanes take partitions, the longest first, until none is left or a lane fails."""
    spans = sorted(spans, key=lambda span: span.end - span.start)
    count = min(world.lanes, len(spans))
    lanes = [_Lane(world, verdicts, tally) for _ in range(count)]

    async def work(lane: _Lane) -> None:
        try:
            while spans:
                span = spans.pop()
                await lane.fold(span, bounds[span.partition].topic_id)
        finally:
            await lane.close()

    try:
        async with asyncio.TaskGroup() as group:
            for lane in lanes:
                group.create_task(work(lane))
    except BaseExceptionGroup as group_of_errors:
        ours, others = group_of_errors.split((RejectedError, BrokenError, TransientError))
        if ours is None or others is not None:
            raise
        # One is enough to know, and callers look for errors of ours and not for groups of them.
        raise ours.exceptions[0] from None


class _Lane:
    """Folds partition after partition, batch after batch."""

    def __init__(self, world: World, verdicts: Verdicts, tally: _Tally) -> None:
        self._world = world
        self._refusals = Refusals(verdicts)
        self._tally = tally
        self._store = world.store()
        self._cache = Cache(world.settings.cache_bytes_max)
        self._folder = Folder(
            self._store, world.definitions, self._cache, self._refusals, world.partition_count
        )

    async def close(self) -> None:
        await self._store.close()

    async def fold(self, span: Span, topic_id: str) -> None:
        """Fold a partition from the current position to the target."""
        partition = await self._claim(span.partition, topic_id)
        # Not from the position seen before: a commit of an earlier owner may still have come.
        self._tally.reach(partition.id, partition.next_offset)
        before = partition.verify_offset
        start = partition.next_offset if before is None else before
        async with aclosing(self._world.inbox.read([span._replace(start=start)])) as batches:
            async for records in batches:
                await self._apply(partition, self._new(partition, records))
        self._cache.forget_partitions([partition.id])

    async def _claim(self, number: int, topic_id: str) -> Partition:
        """Become the only rebuild writing this partition."""
        token = uuid4()
        claim = await retry_transient(lambda: self._store.claim(number, OWNER, token), "claim")
        if claim.topic_id is None:
            await retry_transient(lambda: self._store.identify(number, token, topic_id), "record the log")
        # Messages published from this state, or saved and never published, are not in the log.
        await retry_transient(
            lambda: self._store.must_redrive(number, token, is_due=True), "request a redrive"
        )
        partition = Partition(claim, token)
        if claim.fingerprint:
            partition.verify_offset = claim.next_offset - 1
        return partition

    def _new(self, partition: Partition, records: list[Record]) -> list[Record]:
        """Leave out the record before the current position, once verified as the last one folded."""
        if partition.verify_offset is None:
            return records
        first = records[0]
        if first.offset != partition.verify_offset or fingerprint(first) != partition.fingerprint:
            raise BrokenError(f"partition {partition.id} was begun with another log at the same offsets")
        partition.verify_offset = None
        return records[1:]

    async def _apply(self, partition: Partition, records: list[Record]) -> None:
        """Load, fold and save one batch, in portions if its entities are large."""
        while records:
            reads, foldings, count = self._folder.read(records), None, len(records)
            try:
                while not foldings:
                    left = await self._prepare(reads)
                    count = left.before(reads) if left else len(reads)
                    foldings = self._folder.fold(reads[:count], {partition.id: partition})
                [folding] = foldings
                share = batch.state_of(folding)
                await self._save(share)
            except StatementError as error:
                await self._apply_less(partition, records[:count], error)
            else:
                partition.moved(share)
                self._keep(folding)
                self._tally.add(share, count)
            records = records[count:]

    async def _apply_less(self, partition: Partition, records: list[Record], error: StatementError) -> None:
        """Apply half of a batch refused by the database, then the rest; stop at a single refused record."""
        self._cache.forget_partitions([partition.id])
        if len(records) == 1:
            place = f"partition {partition.id}, offset {records[0].offset}"
            raise RejectedError(
                "refused_by_store",
                f"{place}: the database refuses the rows of this record: {error}; repair it, then resume",
            )
        middle = len(records) // 2
        await self._apply(partition, records[:middle])
        await self._apply(partition, records[middle:])

    async def _prepare(self, reads: list[batch.Read]) -> Loads:
        """Load missing entities of the batch, within the bound of memory; return the rest."""
        definitions = self._world.definitions
        for read in batch.unclear(reads, definitions.graph, self._refusals.known):
            if isinstance(read.message, StartRun):
                self._check_format(read.message.key, read.message.fingerprint)
            elif (found := batch.format_of(read)) > FORMAT:
                self._check_record(read.record, found)
        if not (keys := self._folder.missing(reads)):
            return Loads({})
        loaded = await retry_transient(lambda: self._load(keys), "load entities")
        if isinstance(loaded, StatementError):
            raise loaded
        return loaded

    async def _load(self, keys: Keys) -> Loads | StatementError:
        """Load entities and return the rest, or the reason for a refused query."""
        definitions = self._world.definitions
        try:
            lacking, left = await self._folder.load(keys, self._cache.bytes_max // LOAD_SHARE)
        except StatementError as error:
            return error
        for run, lacked in lacking.items():
            self._check_format(run, lacked)
            raise TransientError(f"run {run!r}: {definitions.lacking(lacked)}")
        return left

    def _check_record(self, record: Record, found: int) -> None:
        if not self._refusals.refuse_made_up(record, found):
            place = f"partition {record.partition}, from offset {record.offset} on,"
            raise NewerFormatError(place, found, FORMAT)

    def _check_format(self, run: str, lacked: str) -> None:
        """Refuse to go on where only a newer release can."""
        definitions = self._world.definitions
        if definitions.is_newer(lacked):
            raise RejectedError("newer_format", f"run {run!r}: {definitions.lacking(lacked)}")

    async def _save(self, share: Share) -> None:
        """Save a share, retrying as needed; stop when another process writes into the schema.

        Raises `StatementError` for a share refused by the database, once certain that nothing was saved.
        """
        while True:
            refused = None
            try:
                if await self._store.commit([share]):
                    return
            except TransientError as error:
                refused = error if isinstance(error, StatementError) else None
                _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="commit")
                await asyncio.sleep(_DOUBT_SECONDS)
            cursors = await retry_transient(
                lambda: self._store.cursors([share.partition]), "read the positions of partitions"
            )
            stands = standing(share, cursors[share.partition])
            if stands == "saved":
                return
            if stands == "taken":
                raise _taken(share.partition)
            if refused is not None:
                raise refused

    def _keep(self, folding: batch.Folding) -> None:
        """Keep entities for later batches, within the bound."""
        self._cache.carry_over(folding.touched)
        self._cache.thin_out()


def _taken(partition: int) -> RejectedError:
    return RejectedError(
        "not_ours", f"another process writes into partition {partition} of the schema: one rebuild at a time"
    )
