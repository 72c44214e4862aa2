"""Readers of topics and their progress."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class GroupMember(NamedTuple):
    """A process in a consumer group."""

    name: str
    host: str
    #: How many partitions it has.
    partitions: int


class InboxReading(NamedTuple):
    """How far a partition of the inbox is read, by Kafka and by a position of ours."""

    #: As the cluster calls it.
    topic: str
    partition: int
    #: The next offset to be written.
    high: int
    #: When the record at the position was written, in milliseconds; None: there is none.
    oldest: int | None
    #: The reconciler with the partition; empty: none.
    reader: str


class CommandPlace(NamedTuple):
    """Where the command of an attempt is, and who reads there."""

    #: As the cluster calls it.
    topic: str
    partition: int
    #: None: no unfinished command of the attempt was found among the first ones.
    offset: int | None
    #: Unfinished commands before it, or, without it, all that were found.
    before: int
    #: The worker with the partition, and all workers of the queue.
    reader: str
    readers: tuple[str, ...]


class Traffic(Protocol):
    """What is on the topics and who reads them, looked up when asked: a few requests to the brokers each."""

    async def inbox(self, partition: int, position: int) -> InboxReading | None:
        """Return how a partition of the inbox is read; `position` is the next offset to be folded.

        None: the broker shows no groups.
        """

    async def command(self, lane: str, run: str, step: str, attempt: int) -> CommandPlace | None:
        """Return the place of an attempt's command; None: no such topic, or the broker shows no groups.

        Looks through a bounded number of unfinished commands.
        """
