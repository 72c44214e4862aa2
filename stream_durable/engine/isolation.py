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
from stream_durable.telemetry import RECORD_ISOLATED, RECORD_POISONED, WORLD_REFUSED, logger
from stream_durable.wire.verdicts import CRASHES, UNFOLDABLE, UNSTORABLE, Verdict, Verdicts

_log = logger(__name__)


class Isolation:
    """Watches over the records of partitions that do not move on."""

    def __init__(self, store: Store, takeovers_max: int) -> None:
        """Set a record aside when it was folded alone more than `takeovers_max` times."""
        self._store = store
        self._takeovers_max = takeovers_max
        self._suspected: Partition | None = None

    async def judge(self, partition: Partition, record: Record) -> str | None:
        """Note that a record is about to be folded alone; return why it is set aside instead, if it is."""
        times = await retry_transient(
            lambda: self._store.suspect(partition.id, partition.token, record.offset), "note a suspect"
        )
        self._suspected = partition
        if times <= self._takeovers_max:
            return None
        _log.error(RECORD_ISOLATED, partition=partition.id, offset=record.offset, takeovers=times - 1)
        return f"the process died {times - 1} times while it folded this record"

    async def absolve(self) -> None:
        """Suspect the record folded alone no longer: the database was in its way, which it has survived.

        Otherwise whoever restarts processes while the database is out of order would blame the record.
        """
        suspected = self._suspected
        if suspected is None:
            return
        try:
            await self._store.absolve(suspected.id, suspected.token)
        except TransientError as error:
            _log.warning(WORLD_REFUSED, reason=str(error), doing="suspect a record no longer")
        else:
            self._suspected = None


class Refusals:
    """Records refused whatever their content, by earlier or new verdicts."""

    def __init__(self, verdicts: Verdicts | None = None) -> None:
        """Begin with what was decided before."""
        self._verdicts: dict[tuple[int, int], Verdict] = dict(verdicts or {})
        self.known: batch.Refused = {}

    def learn(self, partition: int, verdicts: Iterable[Verdict]) -> None:
        """Take note of what was decided before; the first verdict about a record counts."""
        for verdict in verdicts:
            self._verdicts.setdefault((partition, verdict.offset), verdict)

    def forget(self, partitions: Iterable[int]) -> None:
        """Let go of what concerns these partitions."""
        gone = set(partitions)
        self._verdicts = {place: v for place, v in self._verdicts.items() if place[0] not in gone}
        self.known = {place: error for place, error in self.known.items() if place[0] not in gone}

    def read(self, record: Record) -> batch.Read:
        """Read a record, of which a verdict may be known."""
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
        """Refuse from now on a record on which the fold raised."""
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
        """Refuse from now on a record of a format that no release will ever have; False: it may be one."""
        if not is_made_up(found):
            return False
        text = f"it takes format {found}, and this release knows {FORMAT}: no release is so far ahead"
        self.known[record.partition, record.offset] = RejectedError("unreadable", text)
        return True

    def refuse_unstorable(self, record: Record, reason: str) -> bool:
        """Refuse from now on a record that cannot be stored; False: not even its refusal can be."""
        place = (record.partition, record.offset)
        if place in self.known:
            return False
        self.known[place] = RejectedError(UNSTORABLE, reason)
        _log.error(RECORD_POISONED, partition=record.partition, offset=record.offset, error=reason)
        return True
