"""Partitions held at a record that cannot be folded by this process and must not become a dead letter.

A run with an unknown definition, or of a newer format, is no reason to lose its messages. The record stays on
the log, and so does everything behind it: folding later records of other runs would need separate storage, in
order, for the records passed over. So fetching of the partition stops, while all other partitions continue.
The missing definition or format is checked for from time to time; once available, folding resumes at the
record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from stream_durable.core.errors import NewerFormatError, TransientError
from stream_durable.core.messages import StartRun
from stream_durable.engine import batch
from stream_durable.engine.isolation import Refusals
from stream_durable.engine.partition import Partition
from stream_durable.ports import Definitions, Log, Record, VerdictLog
from stream_durable.telemetry import DEPENDENCY_FAILED, PARTITION_HELD, PARTITION_RELEASED, logger

_log = logger(__name__)

_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 5.0
#: A batch waits no longer than this for the definitions: other partitions wait with it.
_PATIENCE_SECONDS = 1.0


class Hold(NamedTuple):
    """The reason for holding a partition."""

    offset: int
    key: str
    fingerprint: str
    reason: str
    #: Whether it is enough that the definitions could be read; else this one has to be among them.
    was_unread: bool = False
    #: Not tried again before, by the loop's clock.
    until: float = 0.0


class Holds:
    """The held partitions of a reconciler, and the checks for their release."""

    def __init__(
        self,
        log: Log,
        definitions: Definitions,
        verdicts: VerdictLog,
        partitions: Mapping[int, Partition],
        refusals: Refusals,
        knows: int,
    ) -> None:
        """Hold nothing yet; records of formats above `knows` are left to newer releases."""
        self._knows = knows
        self._log = log
        self._definitions = definitions
        self._verdicts = verdicts
        self._partitions = partitions
        self._refusals = refusals
        self._held: dict[int, Hold] = {}
        #: Where the database refused a record that is not to blame, and how often in turn.
        self._refused: dict[int, tuple[int, int]] = {}
        self._any = asyncio.Event()

    def __contains__(self, partition: int) -> bool:
        """Whether a partition is held."""
        return partition in self._held

    def reasons(self) -> dict[int, str]:
        """Return the reason for each held partition."""
        return {partition: hold.reason for partition, hold in self._held.items()}

    async def check(self, reads: Sequence[batch.Read]) -> None:
        """Hold the partitions of records needing a newer release, or an unknown definition."""
        unclear = batch.unclear(reads, self._definitions.graph, self._refusals.known)
        starts = []
        for read in unclear:
            if isinstance(read.message, StartRun):
                starts.append((read.record, read.message))
            elif (found := batch.format_of(read)) > self._knows:
                self._hold_newer(read.record, found)
        if starts:
            await self._check_starts(starts)

    def _hold_newer(self, record: Record, found: int) -> None:
        if not self._refusals.refuse_made_up(record, found):
            reason = str(NewerFormatError(f"the record at offset {record.offset}", found, self._knows))
            self._begin(record.partition, Hold(record.offset, "", "", reason))

    async def _check_starts(self, starts: list[tuple[Record, StartRun]]) -> None:
        trouble = await self._read_definitions()
        for record, message in starts:
            fingerprint = message.fingerprint
            if trouble is not None:
                hold = Hold(record.offset, message.key, fingerprint, trouble, was_unread=True)
                self._begin(record.partition, hold)
            elif self._definitions.is_newer(fingerprint):
                reason = self._definitions.lacking(fingerprint)
                self._begin(record.partition, Hold(record.offset, message.key, fingerprint, reason))

    async def check_runs(self, reads: Iterable[batch.Read], lacking: dict[str, str]) -> bool:
        """Hold the partitions of these runs at their first record, unless the definitions have arrived by
        now.

        `lacking` maps each run to its missing definition. Returns whether loading is worth another try.
        """
        await self._read_definitions()
        still = {run: each for run, each in lacking.items() if self._definitions.graph(each) is None}
        for record, message in reads:
            if not isinstance(message, Exception) and message.kind == "run" and message.key in still:
                fingerprint = still[message.key]
                reason = self._definitions.lacking(fingerprint)
                self._begin(record.partition, Hold(record.offset, message.key, fingerprint, reason))
        return len(still) < len(lacking)

    def hold_refused(self, record: Record, reason: str) -> None:
        """Hold a partition at a record refused by the database without fault of the record."""
        offset, times = self._refused.get(record.partition, (-1, 0))
        times = times + 1 if offset == record.offset else 1
        self._refused[record.partition] = (record.offset, times)
        until = asyncio.get_running_loop().time() + min(_FIRST_SECONDS * 2**times, _LONGEST_SECONDS)
        key = (record.key or b"").decode(errors="replace")[:128]
        self._begin(record.partition, Hold(record.offset, key, "", reason, was_unread=True, until=until))

    def forget(self, partitions: Iterable[int]) -> None:
        """Forget partitions owned by others now."""
        for partition in partitions:
            self._held.pop(partition, None)
            self._refused.pop(partition, None)

    def leave(self, partitions: Iterable[int]) -> None:
        """Forget these partitions: this process no longer fetches from them."""
        self.forget(partitions)
        for number in partitions:
            if (partition := self._partitions.get(number)) is not None:
                partition.is_full = False

    def hold_back(self, partition: Partition, is_full: bool) -> None:  # noqa: FBT001
        """Stop fetching from a partition while the brokers refuse its messages, or go on."""
        if self._partitions.get(partition.id) is not partition:
            return
        if is_full:
            self._log.stop_fetching(partition.id)
        elif partition.id not in self._held:
            self._log.fetch(partition.id, partition.position, partition.leader_epoch)

    async def run(self) -> None:
        """Check holds for release until cancelled."""
        while True:
            await self._any.wait()
            delay = _FIRST_SECONDS
            while self._held:
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_SECONDS)
                try:
                    await self._look()
                except TransientError as error:
                    _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="look for missing definitions")
            self._any.clear()

    def _begin(self, number: int, hold: Hold) -> None:
        """Stop fetching from a partition; among several held records the first counts."""
        partition, held = self._partitions.get(number), self._held.get(number)
        if partition is None or (held is not None and held.offset <= hold.offset):
            return
        if held is None and partition.awaits is not None and partition.awaits < hold.offset:
            # Released, and the record that it was held at has not come yet: nothing behind that is due.
            return
        partition.awaits = hold.offset
        self._held[number] = hold
        self._log.stop_fetching(number)
        self._any.set()
        _log.error(
            PARTITION_HELD,
            partition=number,
            offset=hold.offset,
            run=hold.key,
            fingerprint=hold.fingerprint,
            reason=hold.reason,
        )

    async def _look(self) -> None:
        await self._definitions.catch_up()
        for number, hold in list(self._held.items()):
            partition = self._partitions.get(number)
            if partition is None or hold.until > asyncio.get_running_loop().time():
                continue
            verdicts = await self._verdicts.about(number, hold.offset, partition.clock)
            if self._held.get(number) is not hold:
                continue
            self._refusals.learn(number, verdicts)
            is_judged = any(verdict.offset == hold.offset for verdict in verdicts)
            if hold.was_unread or is_judged or self._definitions.graph(hold.fingerprint) is not None:
                del self._held[number]
                # A full one is fetched as soon as enough is published.
                if not partition.is_full:
                    self._log.fetch(number, hold.offset, partition.leader_epoch)
                _log.info(PARTITION_RELEASED, partition=number, offset=hold.offset)

    async def _read_definitions(self) -> str | None:
        """Read definitions; return the reason if reading takes too long for others."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._definitions.catch_up()
        except TransientError as error:
            return f"the definitions cannot be read: {error}"
        except TimeoutError:
            return "the definitions cannot be read: Kafka takes too long"
        return None
