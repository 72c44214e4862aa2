"""Topics read: by a member of a group, or from offsets to offsets."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

Headers = list[tuple[str, bytes]]


class Record(NamedTuple):
    """A record of a topic."""

    partition: int
    offset: int
    #: Milliseconds; log time where the topic stamps it.
    time: int
    key: bytes | None
    value: bytes | None
    leader_epoch: int = -1
    headers: Headers | None = None


class Assigned(NamedTuple):
    """Partitions assigned by the group; not fetched until `fetch`."""

    partitions: tuple[int, ...]


class Revoked(NamedTuple):
    """Partitions revoked by the group; fetched records no longer count."""

    partitions: tuple[int, ...]


class LogLost(NamedTuple):
    """Our offset is not in the log: the record expired, or the log was cut or replaced."""

    partition: int


LogEvent = list[Record] | Assigned | Revoked | LogLost


def without(events: Iterable[LogEvent], gone: set[int]) -> deque[LogEvent]:
    """Return events outside these partitions."""
    left: deque[LogEvent] = deque()
    for event in events:
        if isinstance(event, list):
            if records := [record for record in event if record.partition not in gone]:
                left.append(records)
        elif not isinstance(event, LogLost) or event.partition not in gone:
            left.append(event)
    return left


class LogBounds(NamedTuple):
    """Identity of a log, with the first and the next offset."""

    topic_id: str
    low: int
    high: int


class Log(Protocol):
    """A topic read as a member of a group, from offsets chosen by the reader."""

    async def next(self) -> LogEvent:
        """Wait for the next events. Assignments and revocations overtake records."""

    def on_arrival(self, call: Callable[[], None] | None) -> None:
        """Call this on the loop whenever something has arrived; with None no more."""

    def take_records(self) -> list[Record] | None:
        """Return arrived records if next in order; other events are left to `next`."""

    def fetch(self, partition: int, offset: int, leader_epoch: int) -> None:
        """Begin to fetch an assigned partition at an offset."""

    def stop_fetching(self, partition: int) -> None:
        """Stop fetching from an assigned partition, and drop records already fetched."""

    def adopt(self, partition: int) -> None:
        """Fetch a partition not yet assigned by the group, until the assignment or `disown`."""

    def disown(self, partition: int) -> None:
        """Stop fetching an adopted partition."""

    async def bounds(self, partition: int) -> LogBounds:
        """Return identity, beginning and end of a partition's log."""

    def note_progress(self, offsets: dict[int, int]) -> None:
        """Report the position to lag tools. Nothing depends on this."""

    async def close(self) -> None:
        """Leave the group."""


class CommandLog(Log, Protocol):
    """A command topic; offsets are kept in Kafka, with the set of finished offsets beyond the lowest."""

    async def moved(self) -> Assigned | Revoked:
        """Wait until partitions are given or taken away, and leave records where they are."""

    async def committed(self, partition: int) -> tuple[int | None, str | None]:
        """Return the committed offset and metadata of a partition."""

    def commit(self, marks: list[tuple[int, int, str]], done: Callable[[bool], None]) -> None:
        """Commit (partition, offset, metadata); `done` is called with whether all were stored."""


class BoundLog(CommandLog, Protocol):
    """A topic of others, with offsets kept in Kafka."""

    async def check(self) -> None:
        """Raise `TransientError` if there is no such topic."""

    def open(self) -> None:
        """Join the group."""

    async def settled(self) -> None:
        """Wait until earlier orders are carried out."""

    async def offset_at(self, partition: int, time: int) -> int:
        """Return the offset of the first record at or after a time; else the next offset."""


class Span(NamedTuple):
    """A stretch of a partition: from `start` up to, and without, `end`."""

    partition: int
    start: int
    end: int


class LogReader(Protocol):
    """A topic read as nobody's member: from offsets to offsets, as often as one likes."""

    async def bounds(self) -> Mapping[int, LogBounds]:
        """Return identity, beginning and end of each partition's log."""

    def read(self, spans: Sequence[Span]) -> AsyncGenerator[list[Record], None]:
        """Read these stretches in bounded batches, each partition in order; to be closed when left early.

        Waits as long as the world lets it wait; raises `BrokenError` when a stretch is not in the log.
        """
