"""Records that arrive while the batch before them is being saved.

They are folded at once, so the database and this process work side by side, and saved together after that
commit. Few records have their commands published ahead, so a step does not wait for the commit of the step
before. Nothing is loaded meanwhile: records of entities not in memory wait.

If the batch before is refused, these foldings are forgotten, and their records folded again after it: the log
has the same records in the same order, with the same commands as a result. Nothing goes ahead of messages
left to be published after the commit before.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

from stream_durable.core.errors import StatementError
from stream_durable.engine import batch
from stream_durable.engine.folding import Folder
from stream_durable.engine.partition import Partition
from stream_durable.ports import Log, LogEvent, Record

#: Larger batches publish nothing ahead: two bursts are more requests, and there it is CPU that counts.
AHEAD_MAX: Final = 50

#: Records, with the partitions owned when they were taken.
_Taken = tuple[list[Record], dict[int, Partition]]


class Following:
    """Foldings on top of shares still being saved."""

    def __init__(self, before: Iterable[batch.Finished] = (), *, is_ahead: bool = False) -> None:
        """Begin where these shares end; `is_ahead` if their own messages were published ahead."""
        self._is_ahead = is_ahead
        self._before = {finished.share.partition: finished for finished in before}
        self._expected = {number: finished.share.to_offset for number, finished in self._before.items()}
        self._folded = 0
        self.foldings: dict[int, batch.Folding] = {}
        #: The folded records, then those still to be folded.
        self.reads: list[batch.Read] = []
        #: The size of their records.
        self.bytes = 0
        #: Whether a fold broke off half-way: nothing here counts, and nothing in memory of these partitions.
        self.is_broken = False

    @property
    def is_whole(self) -> bool:
        """Whether all of `reads` is folded: more may follow."""
        return self._folded == len(self.reads) and not self.is_broken

    def fold(self, records: list[Record], partitions: Mapping[int, Partition], folder: Folder) -> bool:
        """Fold records if nothing has to be waited for; return whether they were taken."""
        owners = [partitions.get(record.partition) for record in records]
        if any(p is None or p.verify_offset is not None or p.awaits is not None for p in owners):
            return False
        new = []
        expected = dict(self._expected)
        for record in records:
            if record.offset >= expected.get(record.partition, partitions[record.partition].next_offset):
                expected[record.partition] = record.offset + 1
                new.append(record)
        reads = folder.read(new)
        if not folder.is_ready_for(reads):
            return False
        self._expected = expected
        for record in new:
            if record.partition not in self.foldings:
                before = self._before.get(record.partition)
                self.foldings[record.partition] = batch.Folding(
                    partitions[record.partition], None if before is None else before.share
                )
        self.reads += reads
        foldings = folder.fold(reads, partitions, self.foldings)
        self.is_broken = foldings is None
        self._folded = sum(len(folding.evidence.offsets) for folding in foldings or ())
        return True

    def may_publish(self, folding: batch.Folding) -> bool:
        """Whether a folding may publish ahead although the batch before is not saved yet."""
        if not self._is_ahead or len(self.reads) > AHEAD_MAX:
            return False
        before = self._before.get(folding.partition.id)
        return (before is None or not before.has_more) and not folding.effects.lost_queues

    def owned(self, partitions: Mapping[int, Partition]) -> list[batch.Folding] | None:
        """Return the foldings of partitions still owned; None without any."""
        if self.is_broken:
            return None
        return [f for f in self.foldings.values() if partitions.get(f.partition.id) is f.partition] or None


class Follower:
    """Takes events from the log, between batches and during a save."""

    def __init__(
        self,
        log: Log,
        partitions: Mapping[int, Partition],
        folder: Folder,
        may_follow: Callable[[], bool],
        arrived: Callable[[list[Record], int], None],
        publish: Callable[[batch.Folding], None],
        records_max: int,
        bytes_max: int,
    ) -> None:
        """Fold nothing during a save unless `may_follow`, and no more than so many records and bytes.

        Calls `arrived` with records folded then and how many there are in all, and `publish` for each folding
        allowed to publish ahead.
        """
        self._records_max, self._bytes_max = records_max, bytes_max
        self._log = log
        self._partitions = partitions
        self._folder = folder
        self._may_follow = may_follow
        self._arrived = arrived
        self._publish = publish
        #: The partitions owned when the records folded now were taken: one taken over again is fetched again.
        self.reading: dict[int, Partition] = {}
        #: The foldings on top of the save under way.
        self._following: Following | None = None
        #: Records received during a save and not folded then.
        self._left: _Taken | None = None
        #: What went wrong in a fold during a save: a bug, raised after the save.
        self._failure: Exception | None = None

    async def next(self) -> LogEvent:
        """Wait for the next event."""
        if self._left is None:
            event = await self._log.next()
            self.reading = dict(self._partitions)
            return event
        (records, self.reading), self._left = self._left, None
        return records

    def owned(self, reads: list[batch.Read]) -> list[batch.Read]:
        """Return the records of partitions still owned, and not held before them."""
        owned = {p.id: p for p in self._partitions.values() if self.reading.get(p.id) is p}
        return [r for r in reads if (p := owned.get(r.record.partition)) and p.is_due(r.record)]

    async def save(
        self, saving: Coroutine[Any, Any, StatementError | None], following: Following
    ) -> StatementError | None:
        """Save, and fold what arrives meanwhile; return the result of the save."""
        self._following = following
        self._log.on_arrival(self._arrive)
        try:
            self._arrive()
            refused = await saving
        finally:
            self._following = None
            self._log.on_arrival(None)
        if self._failure is not None:
            raise self._failure
        return refused

    def _arrive(self) -> None:
        """Fold arrived records if possible without waiting; else keep the records, and later ones."""
        following = self._following
        if following is None or self._left is not None or not following.is_whole:
            return
        if (records := self._log.take_records()) is None:
            return
        owned = dict(self._partitions)
        try:
            if not self._fold(records, owned, following):
                self._left = records, owned
        except Exception as error:  # noqa: BLE001 - raised where somebody waits
            following.is_broken = True
            self._failure = error

    def _fold(self, records: list[Record], owned: dict[int, Partition], following: Following) -> bool:
        """Fold received records if allowed; return whether records were taken."""
        if owned != self.reading or not self._may_follow():
            return False
        size = following.bytes + sum(len(record.value or b"") for record in records)
        if len(following.reads) + len(records) > self._records_max or size > self._bytes_max:
            return False
        if not following.fold(records, self._partitions, self._folder):
            return False
        following.bytes = size
        self._arrived(records, len(following.reads))
        for folding in () if following.is_broken else following.foldings.values():
            if following.may_publish(folding):
                self._publish(folding)
        return True
