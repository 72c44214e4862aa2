"""Public events from the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from stream_durable.core.lifecycle import EventHead, RunEvent, StepEvent


class LoggedEvent(NamedTuple):
    """The head of a public event, with the place on the log."""

    #: The index of the partition in `EventFlow.positions`.
    place: int
    offset: int
    head: EventHead


class EventFlow(NamedTuple):
    """The events of all runs and steps from some positions on."""

    #: Where the flow begins: an offset for each partition about runs, then for each about steps.
    positions: tuple[int, ...]
    #: In order by partition.
    batches: AsyncIterator[list[LoggedEvent]]


class RunEvents(Protocol):
    """Public events of a run from the log: at least once, in order by topic."""

    def live(self, run: str) -> AbstractAsyncContextManager[AsyncIterator[RunEvent]]:
        """Yield the events of a run as a whole, from the call on."""

    def past(
        self, run: str, since: int
    ) -> AbstractAsyncContextManager[AsyncIterator[RunEvent | StepEvent | None]]:
        """Yield the events of a run and of all steps since a time, then new events.

        None comes once, after all events published before the call.
        """

    def flow(self) -> AbstractAsyncContextManager[EventFlow]:
        """Yield the heads of the events of all runs and steps, from the call on."""

    async def close(self) -> None:
        """Close the connections, and end all streams."""
