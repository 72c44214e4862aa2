"""Sets aside records so that their partition can continue, and remembers the decision.

A record that kills the process leaves no exception behind, only takeovers without progress. After a few such
takeovers the partition's records are folded one by one, and the offset of each is noted in the partition's
row before folding. When the same offset has been noted too often, the record is folded as a dead letter. An
error reported by the database proves the process alive and removes the note.

The decision is a verdict (`wire.verdicts`), as is every refusal not explained by the inbox alone. A verdict
is saved in the outbox together with the state it caused, and published with the batch's other messages, so an
owner replaced meanwhile decides nothing. Every later fold of the same records reads the verdicts first.
"""

from __future__ import annotations

from collections.abc import Iterable

from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.core.format import FORMAT, is_made_up
from stream_durable.engine import batch
from stream_durable.engine.partition import Partition, fingerprint
from stream_durable.ports import Record, Store
from stream_durable.retrying import retry_transient
from stream_durable.telemetry import DEPENDENCY_FAILED, RECORD_ISOLATED, RECORD_POISONED, logger
from stream_durable.wire.verdicts import CRASHES, UNFOLDABLE, UNSTORABLE, Verdict, Verdicts

_log = logger(__name__)


class Isolation:
    """Watches the records of partitions without progress."""

    def __init__(self, store: Store, takeovers_max: int) -> None:
        """Set a record aside when it was folded alone more than `takeovers_max` times."""
        self._store = store
        self._takeovers_max = takeovers_max
        self._suspected: Partition | None = None

    async def judge(self, partition: Partition, record: Record) -> str | None:
        """Record the start of folding a record alone; return the reason for refusing the record, if any."""
        times = await retry_transient(
            lambda: self._store.suspect(partition.id, partition.token, record.offset), "record a suspect"
        )
        self._suspected = partition
        if times <= self._takeovers_max:
            return None
        _log.error(RECORD_ISOLATED, partition=partition.id, offset=record.offset, takeovers=times - 1)
        return f"the process died {times - 1} times while it folded this record"

    async def absolve(self) -> None:
        """Clear the suspicion of a record folded alone: only the database was the obstacle.

        Otherwise process restarts during a database outage would put the blame on the record.
        """
        suspected = self._suspected
        if suspected is None:
            return
        try:
            await self._store.absolve(suspected.id, suspected.token)
        except TransientError as error:
            _log.warning(DEPENDENCY_FAILED, reason=str(error), doing="clear the suspicion of a record")
        else:
            self._suspected = None


class Refusals:
    """Records refused whatever their content, by earlier or new verdicts."""

    def __init__(self, verdicts: Verdicts | None = None) -> None:
        """Begin with earlier verdicts."""
        self._verdicts: dict[tuple[int, int], Verdict] = dict(verdicts or {})
        self.known: batch.Refused = {}

    def learn(self, partition: int, verdicts: Iterable[Verdict]) -> None:
        """Take note of what was decided before; the first verdict about a record counts."""
        for verdict in verdicts:
            self._verdicts.setdefault((partition, verdict.offset), verdict)

    def forget(self, partitions: Iterable[int]) -> None:
        """Forget verdicts about these partitions."""
        gone = set(partitions)
        self._verdicts = {place: v for place, v in self._verdicts.items() if place[0] not in gone}
        self.known = {place: error for place, error in self.known.items() if place[0] not in gone}

    def read(self, record: Record) -> batch.Read:
        """Decode a record, unless a verdict refuses the record."""
        place = (record.partition, record.offset)
        verdict = self._verdicts.get(place) if self._verdicts else None
        if verdict is None or verdict.fingerprint != fingerprint(record):
            return batch.read(record)
        if verdict.code == CRASHES:
            # Not even decoded: nobody knows what it was that killed the process.
            return batch.Read(record, verdict.error())
        self.known[place] = verdict.error()
        return batch.read(record)

    def set_aside(self, error: batch.Unfoldable) -> None:
        """Refuse a record from now on, after an error of the fold."""
        record = error.record
        self.known[record.partition, record.offset] = RejectedError(UNFOLDABLE, str(error))
        _log.error(
            RECORD_POISONED,
            partition=record.partition,
            offset=record.offset,
            error=str(error),
            exc_info=error.__cause__,
        )

    def refuse_made_up(self, record: Record, found: int) -> bool:
        """Refuse a record of an impossible format from now on; False: the format may exist."""
        if not is_made_up(found):
            return False
        text = f"it takes format {found}, and this release knows {FORMAT}: no release is so far ahead"
        self.known[record.partition, record.offset] = RejectedError("unreadable", text)
        return True

    def refuse_unstorable(self, record: Record, reason: str) -> bool:
        """Refuse an unstorable record from now on; False: even the refusal is unstorable."""
        place = (record.partition, record.offset)
        if place in self.known:
            return False
        self.known[place] = RejectedError(UNSTORABLE, reason)
        _log.error(RECORD_POISONED, partition=record.partition, offset=record.offset, error=reason)
        return True
