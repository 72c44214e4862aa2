"""Topics from outside of the groups, and what they should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol

from stream_durable.ports.log import LogReader


class TopicPlace(NamedTuple):
    """How far a group has read a partition."""

    partition: int
    low: int
    #: The next offset to be written.
    high: int
    #: The next offset to be read, with what was committed beside it; None: nothing was.
    offset: int | None
    metadata: str | None


class TopicViews(Protocol):
    """Topics, by their names in `Outgoing`, seen from outside of the groups.

    Raises `RejectedError` with code `unknown_topic` for a missing topic.
    """

    async def partitions(self, topic: str, group: str) -> list[TopicPlace]:
        """Return how far a group has read each partition; `group` without the instance's prefix."""

    async def offsets_at(self, topic: str, time: int) -> Mapping[int, int]:
        """Return the offset of the first record at or after a time, by partition; else the next offset."""

    def reader(self, topic: str) -> LogReader:
        """Return a reader of a topic."""


#: `create` and `change` are what `topics apply` does; a `warning` it cannot remedy, a `refuse` stops all.
TopicAction = Literal["ok", "create", "change", "warning", "refuse"]


class TopicStep(NamedTuple):
    """A difference between a topic and what it should be, with what is to be done."""

    topic: str
    action: TopicAction
    detail: str
