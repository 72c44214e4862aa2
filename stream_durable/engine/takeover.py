"""Takes over a partition from its previous owner.

1. One statement stamps the row with a fresh random token; from here on the last owner writes nothing.
2. The log is checked: same topic, stored offset within its range. Otherwise the log was lost (`lost_log`).
3. The outbox rows of the last owner are published, before anything new.
4. Verdicts about records to be folded again, and timers due soon, are loaded.
5. Fetching begins at the stored offset less one, under the stored leader epoch: the record before the stored
   offset must be the last one folded, otherwise the log is another one at the same offsets.

Partitions are taken over independently; a waiting takeover delays no other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from functools import partial
from uuid import UUID, uuid4

from stream_durable.core.errors import NewerFormatError
from stream_durable.engine import outbox
from stream_durable.engine.partition import Partition
from stream_durable.engine.publishing import Publishing
from stream_durable.engine.redrive import Redrive
from stream_durable.engine.timers import Timers
from stream_durable.metrics import Metrics
from stream_durable.ports import Claim, Definitions, Log, LogBounds, Store, VerdictLog
from stream_durable.retrying import retry_transient
from stream_durable.settings import EngineSettings
from stream_durable.telemetry import (
    LOG_LOST,
    PARTITION_ADOPTED,
    PARTITION_HALTED,
    PARTITION_REFUSED,
    PARTITION_TAKEN,
    logger,
)
from stream_durable.wire.verdicts import Verdict

_log = logger(__name__)

#: A partition that is for newer releases is asked for again after this long.
_STAND_BY_SECONDS = 5.0
#: Before a partition of which the group says it is ours, and the store that it is not, is claimed again.
FENCED_SECONDS = 5.0


class Takeovers:
    """Takeovers under way."""

    group: asyncio.TaskGroup

    def __init__(
        self,
        log: Log,
        store: Store,
        definitions: Definitions,
        verdicts: VerdictLog,
        publishing: Publishing,
        timers: Timers,
        own: Callable[[Partition, list[Verdict]], None],
        redrive: Redrive,
        settings: EngineSettings,
        metrics: Metrics,
        *,
        owner: str,
        partition_count: int,
        knows: int,
    ) -> None:
        """Take over for `owner`, with known formats up to this one; pass ready partitions to `own`."""
        self._partition_count = partition_count
        self._knows = knows
        self._log = log
        self._store = store
        self._definitions = definitions
        self._verdicts = verdicts
        self._publishing = publishing
        self._timers = timers
        self._own = own
        self._redrive = redrive
        self._settings = settings
        self._metrics = metrics
        self._owner = owner
        self._tasks: dict[int, asyncio.Task[None]] = {}
        #: Set once others can see that this process lives; a partition claimed before would not be adopted.
        self.present = asyncio.Event()
        #: Partitions that were taken over from dead owners and that the group has not given to us.
        self._adopted: set[int] = set()
        #: Partitions that stand still because their log was lost, with the reason.
        self.halted: dict[int, str] = {}
        #: Partitions that are for newer releases, or should not be there, with the reason.
        self.refused: dict[int, str] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a takeover is under way."""
        return bool(self._tasks)

    def has(self, partition: int) -> bool:
        """Whether a takeover of the partition is under way, or the partition stands still here."""
        return partition in self._tasks or partition in self.halted or partition in self.refused

    def begin(self, partitions: Iterable[int], *, lost: str | None = None, delay: float = 0.0) -> None:
        """Take these partitions over; `lost` has reasons for logs known to be replaced."""
        for partition in partitions:
            self.cancel([partition])
            if partition >= self._partition_count:
                self._refuse(partition, _added(self._partition_count))
                continue
            task = self.group.create_task(self._take_over(partition, lost, delay))
            self._tasks[partition] = task

    def adopt(self, partition: int, epoch: int) -> None:
        """Take over a partition from an owner that has died, unless somebody else does first."""
        self._adopted.add(partition)
        self._log.adopt(partition)
        self._tasks[partition] = self.group.create_task(self._take_over(partition, None, 0.0, epoch))

    def given(self, partitions: Iterable[int]) -> None:
        """Receive the group's assignment of these partitions."""
        self._adopted.difference_update(partitions)

    def fenced(self, partitions: Iterable[int]) -> None:
        """Claim partitions again after another's claim: the group may still assign them to us."""
        for partition in partitions:
            if partition in self._adopted:
                self._disown(partition)
            else:
                self.begin([partition], delay=FENCED_SECONDS)

    def _disown(self, partition: int) -> None:
        self._adopted.discard(partition)
        self._log.disown(partition)

    def cancel(self, partitions: Iterable[int]) -> None:
        """Cancel takeovers of partitions assigned elsewhere."""
        for partition in partitions:
            self.halted.pop(partition, None)
            self.refused.pop(partition, None)
            if task := self._tasks.pop(partition, None):
                task.cancel()

    async def _take_over(
        self, partition: int, lost: str | None, delay: float, epoch: int | None = None
    ) -> None:
        if delay:
            await asyncio.sleep(delay)
        await self.present.wait()
        token, begun = uuid4(), time.monotonic()
        claim = await (
            self._claim(partition, token) if epoch is None else self._adopt(partition, epoch, token)
        )
        if claim is None:
            del self._tasks[partition]
            self._disown(partition)
            return
        if epoch is not None:
            _log.warning(PARTITION_ADOPTED, partition=partition, owner_number=epoch)
        bounds = await retry_transient(lambda: self._log.bounds(partition), "read the log's bounds")
        # Whatever was read before is of the log as it was then, and comes again if it is the same one.
        self._log.stop_fetching(partition)
        reason = lost or lost_log(claim, bounds)
        known = await self._known_log(claim, token, bounds, reason)
        if known is None:
            self._stand_off(partition)
            return
        claim, owned = known, Partition(known, token)
        await self._beware(owned, claim, bounds)
        self._publishing.publish_left(owned, claim.outbox)
        if claim.must_redrive:
            await self._publish_held(owned)
        if any(offset >= claim.next_offset for offset, _ in (*claim.outbox, *claim.held)):
            await self._clear_outbox(owned)
        verdicts, _ = await asyncio.gather(
            retry_transient(
                lambda: self._verdicts.about(partition, claim.next_offset, claim.clock), "read the verdicts"
            ),
            # What was declared while others owned the partition.
            retry_transient(self._definitions.catch_up, "read the definitions"),
        )
        await retry_transient(lambda: self._timers.load(partition), "load timers")
        start = claim.next_offset
        if claim.fingerprint and reason is None and start > bounds.low:
            owned.verify_offset = start = claim.next_offset - 1
        if claim.must_redrive:
            await self._redrive.partition(partition, token)
        del self._tasks[partition]
        self._own(owned, verdicts)
        self._fetch(owned, start, claim.leader_epoch if reason is None else -1)
        self._metrics.takeovers.inc()
        took_ms = round(1_000 * (time.monotonic() - begun))
        _log.info(
            PARTITION_TAKEN, partition=partition, offset=start, owner_number=claim.epoch, took_ms=took_ms
        )

    def _stand_off(self, partition: int) -> None:
        """Leave alone a partition halted, or claimed meanwhile by others."""
        del self._tasks[partition]
        if partition not in self.halted:
            self.fenced([partition])

    async def _known_log(
        self, claim: Claim, token: UUID, bounds: LogBounds, reason: str | None
    ) -> Claim | None:
        """Return where to continue in a different log, given the reason; None for nowhere."""
        if reason is not None:
            return await self._new_log(claim, token, bounds, reason)
        if claim.topic_id is None:
            await retry_transient(
                lambda: self._store.identify(claim.partition, token, bounds.topic_id), "record the log"
            )
            return claim._replace(topic_id=bounds.topic_id)
        return claim

    async def _beware(self, owned: Partition, claim: Claim, bounds: LogBounds) -> None:
        """Fold records one by one after takeovers without progress."""
        if claim.next_offset < bounds.high:
            if claim.stalls > self._settings.stall_takeovers_max:
                owned.cautious = self._settings.batch_records_max
        elif claim.stalls > 1:
            # Nothing is there to fold: earlier takeovers say nothing about the records to come.
            await retry_transient(lambda: self._store.commit([owned.share()]), "forget earlier takeovers")

    async def _publish_held(self, owned: Partition) -> None:
        """Publish what is held back, since everything outstanding is about to be requested again."""
        for row in owned.held:
            read = partial(self._store.backlog_row, owned.id, row.from_offset)
            body = await retry_transient(read, "read held commands")
            await self._publishing.publish_now([] if body is None else outbox.unpack(body))
            owned.begun.append(row.from_offset)
        owned.held.clear()

    async def _clear_outbox(self, owned: Partition) -> None:
        """Publish and remove messages saved under a lost log, before the same offsets come again.

        A row of the new log would have the same key; and the order between the two would be unknown.
        """
        await self._publishing.settled([owned])
        share = owned.share()
        await retry_transient(
            lambda: self._store.commit([share]), "remove unpublished messages of the lost log"
        )

    async def _claim(self, partition: int, token: UUID) -> Claim:
        """Become the owner, or stand by while only newer releases can continue from the state."""
        while True:
            try:
                claim = await retry_transient(
                    lambda: self._store.claim(partition, self._owner, token, self._knows), "claim"
                )
            except NewerFormatError as error:
                self._refuse(partition, str(error))
                await asyncio.sleep(_STAND_BY_SECONDS)
            else:
                self.refused.pop(partition, None)
                return claim

    async def _adopt(self, partition: int, epoch: int, token: UUID) -> Claim | None:
        """Become the owner in place of the owner of this epoch; None if another has, or should."""
        try:
            return await retry_transient(
                lambda: self._store.adopt(partition, epoch, self._owner, token, self._knows), "adopt"
            )
        except NewerFormatError:
            return None

    def _refuse(self, partition: int, reason: str) -> None:
        if partition not in self.refused:
            _log.error(PARTITION_REFUSED, partition=partition, reason=reason)
        self.refused[partition] = reason

    def _fetch(self, owned: Partition, offset: int, leader_epoch: int) -> None:
        # A full one is fetched as soon as enough is published of what its last owner left.
        if not owned.is_full:
            self._log.fetch(owned.id, offset, leader_epoch)

    async def _new_log(self, claim: Claim, token: UUID, bounds: LogBounds, reason: str) -> Claim | None:
        """Record the loss of the log, and continue with the new log if the settings allow."""
        policy = self._settings.on_lost_log
        self._metrics.lost_log.inc()
        _log.error(
            LOG_LOST, partition=claim.partition, offset=claim.next_offset, reason=reason, continued_at=policy
        )
        if policy == "halt":
            await retry_transient(lambda: self._store.lose(claim.partition, token, reason), "record the loss")
            self.halted[claim.partition] = reason
            _log.error(PARTITION_HALTED, partition=claim.partition, offset=claim.next_offset, reason=reason)
            return None
        offset = bounds.low if policy == "continue_earliest" else bounds.high
        generation = await retry_transient(
            lambda: self._store.new_generation(claim.partition, token, bounds.topic_id, offset, reason),
            "begin a new generation",
        )
        if generation is None:
            return None
        return claim._replace(
            next_offset=offset,
            generation=generation,
            fingerprint=0,
            topic_id=bounds.topic_id,
            must_redrive=True,
        )


def _added(count: int) -> str:
    return (
        f"somebody added partitions to the inbox, which has to have {count}: keys have moved, and nobody "
        "folds what is put here; stop all processes, and go on with new topics (setting prefix) and schema"
    )


def lost_log(claim: Claim, bounds: LogBounds) -> str | None:
    """Return the reason for a log other than the one folded so far, if any."""
    if claim.topic_id is not None and claim.topic_id != bounds.topic_id:
        return f"the topic was recreated: it was {claim.topic_id} and is {bounds.topic_id}"
    if claim.next_offset < bounds.low:
        return f"offset {claim.next_offset} has expired: the log begins at {bounds.low}"
    if claim.next_offset > bounds.high:
        return f"offset {claim.next_offset} is beyond the end of the log at {bounds.high}: it was cut"
    return None
