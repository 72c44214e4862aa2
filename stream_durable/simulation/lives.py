"""The logs a partition of the inbox has had, with records lost before their fold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from stream_durable.memory.broker import Broker, LogPartition
from stream_durable.ports import Record
from stream_durable.wire.topics import INBOX


class Life(NamedTuple):
    """The records folded by a partition under one generation: a log, between two offsets."""

    log: LogPartition
    start: int
    #: None: it is the present one.
    end: int | None

    def records(self) -> list[Record]:
        """Return the records for folding."""
        return self.log.lived(self.start, self.end)


class Lives:
    """The lives of all partitions, as known to the store."""

    def __init__(self, broker: Broker) -> None:
        """Begin with the present logs."""
        self._broker = broker
        self._lives = {p: [Life(log, 0, None)] for p, log in enumerate(broker.topic(INBOX).partitions)}
        #: What was lost before it was folded, by identity.
        self._lost: dict[int, Record] = {}

    @property
    def lost(self) -> list[Record]:
        """Records lost before their fold."""
        return list(self._lost.values())

    @property
    def has_losses(self) -> bool:
        """Whether a partition has ever gone on with another log."""
        return any(len(lives) > 1 for lives in self._lives.values())

    def of(self, partition: int) -> list[Life]:
        """Return the lives of a partition, in order."""
        return self._lives[partition]

    def lived(self) -> Iterator[tuple[tuple[int, int, int], Record]]:
        """Return all that was there to fold, in order, with partition, generation and offset."""
        for partition, lives in self._lives.items():
            for generation, life in enumerate(lives):
                for record in life.records():
                    yield (partition, generation, record.offset), record

    def begin(self, partition: int, ended: int, began: int) -> list[Record]:
        """Record that a partition continues with the log as of now; return the lost records."""
        lives = self._lives[partition]
        lives[-1] = lives[-1]._replace(end=max(ended, lives[-1].start))
        log = self._broker.topic(INBOX).partitions[partition]
        known = {id(record) for life in lives for record in life.records()}
        known |= {id(record) for record in log.lived(began, None)}
        there = (*lives[-1].log.lived(0, None), *log.lived(0, began))
        lost = {id(record): record for record in there if id(record) not in known}
        lost = {each: record for each, record in lost.items() if each not in self._lost}
        self._lost |= lost
        lives.append(Life(log, began, None))
        return list(lost.values())
