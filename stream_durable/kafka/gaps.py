"""Notices records missing between two others of a whole topic.

A topic is whole if all its producers are ours, without transactions, and without compaction. Each offset
between two of its records has a record: a missing one was lost on the way here, or is gone from the log.
Fetching again tells which.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from stream_durable.metrics import Metrics
from stream_durable.ports import Assigned, LogLost, Record, Revoked
from stream_durable.positions import Positions
from stream_durable.telemetry import GAP_CONFIRMED, GAP_FOUND, logger

_log = logger(__name__)

#: Fetches from the same offset, after which a gap is taken as it is, however it changes.
_FETCHES_MAX: Final = 3


class _Suspicion(NamedTuple):
    """A gap of a partition, fetched again."""

    expected: int
    found: int
    fetches: int


class Gaps:
    """The progress of a reader in each partition."""

    def __init__(
        self, topic: str, whole: Metrics | None, fetch_again: Callable[[int, int, int], None]
    ) -> None:
        """Look at nothing without `whole`, where gaps are counted.

        `fetch_again` is called with partition, offset and leader epoch, and drops the records read.
        """
        self._topic = topic
        self._metrics = whole
        self._fetch_again = fetch_again
        self._positions = Positions()
        #: Where each fetch began, and in which leader's epoch.
        self._begun: dict[int, tuple[int, int]] = {}
        #: The reader has ordered to fetch no more: nothing of these is due.
        self._stopped: set[int] = set()
        self._suspected: dict[int, _Suspicion] = {}

    def begin(self, partition: int, offset: int, leader_epoch: int) -> None:
        """Expect a partition from an offset on."""
        if self._metrics is not None:
            self._positions.begin(partition, offset)
            self._begun[partition] = (offset, leader_epoch)
            self._stopped.discard(partition)

    def stop(self, partition: int) -> None:
        """Fetch nothing again of a partition, until `begin`."""
        self._stopped.add(partition)

    def hear(self, event: Assigned | Revoked | LogLost) -> None:
        """Expect nothing more of partitions taken away, or with another log."""
        if isinstance(event, Assigned):
            # What was adopted goes on as it is.
            return
        partitions = event.partitions if isinstance(event, Revoked) else (event.partition,)
        self._positions.forget(partitions)
        for partition in partitions:
            self._begun.pop(partition, None)
            self._suspected.pop(partition, None)
            self._stopped.discard(partition)

    def without(self, records: list[Record]) -> list[Record]:
        """Return the records to hand over: records from a gap on are fetched again first."""
        at = self._positions.leap(records)
        return records if at is None else self._judged(records, at)

    def _judged(self, records: list[Record], at: int | None) -> list[Record]:
        while at is not None:
            record = records[at]
            expected = self._positions.due(record.partition)
            if self._is_real(record, expected):
                self._positions.pass_over(record)
                at = self._positions.leap(records, at + 1)
                continue
            before = records[:at]
            records = before + [r for r in records[at:] if r.partition != record.partition]
            if record.partition not in self._stopped:
                epoch = self._epoch_at(record.partition, expected, before)
                self._fetch_again(record.partition, expected, epoch)
            at = self._positions.leap(records, at)
        return records

    def _is_real(self, record: Record, expected: int) -> bool:
        """Whether the log has no records before this one, as far as fetching again can tell."""
        assert self._metrics is not None
        partition, found = record.partition, record.offset
        seen = self._suspected.get(partition)
        fetches = seen.fetches if seen is not None and seen.expected == expected else 0
        if seen is not None and fetches and (found == seen.found or fetches >= _FETCHES_MAX):
            self._metrics.count_gap("confirmed")
            _log.error(GAP_CONFIRMED, topic=self._topic, partition=partition, expected=expected, found=found)
            return True
        if partition not in self._stopped:
            self._suspected[partition] = _Suspicion(expected, found, fetches + 1)
        self._metrics.count_gap("fetched_again")
        _log.warning(GAP_FOUND, topic=self._topic, partition=partition, expected=expected, found=found)
        return False

    def _epoch_at(self, partition: int, offset: int, before: Sequence[Record]) -> int:
        """Return the epoch of the record before an offset; -1 if unknown: a wrong one loses the log."""
        for record in reversed(before):
            if record.partition == partition and record.offset < offset:
                return record.leader_epoch
        begun, epoch = self._begun[partition]
        return epoch if begun == offset else -1
