"""A record that kills the process which folds it, set aside so that its partition can go on.

Such a record leaves no exception behind, only takeovers without progress. After a few of them the
partition's records are folded one by one, and before each one its offset is noted in the partition's
row. When the same offset has been noted too often, the record goes to the dead letter topic first,
as a fact on a log, and is then folded as a dead letter: a rebuild reads that topic beforehand and
comes out the same.
"""

from __future__ import annotations

from stream_durable.engine import outbox
from stream_durable.engine.partition import Partition
from stream_durable.persistence import persist
from stream_durable.ports import Publisher, Record, Store
from stream_durable.telemetry import RECORD_ISOLATED, logger

_log = logger(__name__)

#: The code under which a rebuild finds these records on the dead letter topic.
CRASHES = "crashes"


class Isolation:
    """Watches over the records of partitions that do not move on."""

    def __init__(self, store: Store, publisher: Publisher, takeovers_max: int) -> None:
        """Set a record aside when it was folded alone more than `takeovers_max` times."""
        self._store = store
        self._publisher = publisher
        self._takeovers_max = takeovers_max

    async def judge(self, partition: Partition, record: Record) -> str | None:
        """Note that a record is about to be folded alone; return why it is set aside instead, if it is."""
        times = await persist(
            lambda: self._store.suspect(partition.id, partition.token, record.offset), "note a suspect"
        )
        if times <= self._takeovers_max:
            return None
        reason = f"the process died {times - 1} times while it folded this record"
        letter = outbox.dead_letter(outbox.INBOX, record, CRASHES, reason)
        await persist(
            lambda: self._publisher.publish([outbox.with_headers(letter, "")]), "set a record aside"
        )
        _log.error(RECORD_ISOLATED, partition=partition.id, offset=record.offset, takeovers=times - 1)
        return reason
