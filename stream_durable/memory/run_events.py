"""Public events in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.memory.broker import Broker
from stream_durable.ports import EventFlow, LoggedEvent, Record
from stream_durable.wire import lifecycle
from stream_durable.wire.topics import RUNS, STEPS

_TOPICS: Final = (RUNS, STEPS)


class MemoryRunEvents:
    """Public events, from the broker."""

    def __init__(self, broker: Broker) -> None:
        """Read this broker."""
        self._broker = broker

    @asynccontextmanager
    async def live(self, run: str) -> AsyncIterator[AsyncIterator[RunEvent]]:
        """Yield the events of a run as a whole, from the call on."""

        async def events() -> AsyncIterator[RunEvent]:
            while True:
                event = lifecycle.decode((await said.get())[1].value or b"")
                if isinstance(event, RunEvent):
                    yield event

        with self._heard(run, (RUNS,)) as said:
            yield events()

    @asynccontextmanager
    async def past(self, run: str, since: int) -> AsyncIterator[AsyncIterator[RunEvent | StepEvent | None]]:
        """Yield the events of a run and of all steps since a time, then None, then new events."""
        told = [
            record
            for topic in _TOPICS
            for record in self._broker.topic(topic).records()
            if record.key == run.encode() and record.time >= since
        ]

        async def events() -> AsyncIterator[RunEvent | StepEvent | None]:
            for record in told:
                yield lifecycle.decode(record.value or b"")
            yield None
            while True:
                yield lifecycle.decode((await said.get())[1].value or b"")

        with self._heard(run, _TOPICS) as said:
            yield events()

    @asynccontextmanager
    async def flow(self) -> AsyncIterator[EventFlow]:
        """Yield the heads of the events of all runs and steps, from the call on."""
        ends = [part.high for topic in _TOPICS for part in self._broker.topic(topic).partitions]
        with _Heard(self._broker, None, _TOPICS) as said:
            yield EventFlow(tuple(ends), self._heads(said))

    async def _heads(self, said: asyncio.Queue[tuple[str, Record]]) -> AsyncIterator[list[LoggedEvent]]:
        while True:
            topic, record = await said.get()
            place = _TOPICS.index(topic) * self._broker.partition_count + record.partition
            yield [LoggedEvent(place, record.offset, lifecycle.head(record.value or b""))]

    async def close(self) -> None:
        """Nothing is held."""

    def _heard(self, run: str, topics: Sequence[str]) -> _Heard:
        return _Heard(self._broker, run.encode(), topics)


class _Heard:
    """The records of some topics with a key, or with any, from the entering on."""

    def __init__(self, broker: Broker, key: bytes | None, topics: Sequence[str]) -> None:
        self._broker = broker
        self._key = key
        self._topics = topics
        self._said: asyncio.Queue[tuple[str, Record]] = asyncio.Queue()

    def __enter__(self) -> asyncio.Queue[tuple[str, Record]]:
        self._broker.watchers.append(self._watch)
        return self._said

    def __exit__(self, *_: object) -> None:
        self._broker.watchers.remove(self._watch)

    def _watch(self, topic: str, record: Record) -> None:
        if topic in self._topics and self._key in (None, record.key):
            self._said.put_nowait((topic, record))
