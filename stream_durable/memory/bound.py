"""Topics of others in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from stream_durable.memory.broker import Broker
from stream_durable.memory.process import Process, immediately
from stream_durable.memory.remote import KAFKA
from stream_durable.memory.remote_log import RemoteLog
from stream_durable.ports import LogBounds, Record, Span, TopicPlace
from stream_durable.wire.topics import BINDING, FOREIGN


class RemoteBoundLog(RemoteLog):
    """A topic of others at the other end of a connection."""

    def __init__(self, process: Process, broker: Broker, topic: str, binding: str) -> None:
        """Serve a process."""
        super().__init__(process, broker, FOREIGN + topic, BINDING + binding, records_max=500)
        self._broker = broker

    async def check(self) -> None:
        """Return at once: topics of this broker are created on the first request."""

    async def settled(self) -> None:
        """Wait until earlier orders are carried out."""
        await asyncio.sleep(max(0.0, self._ordered_until - self._process.weather.loop.time()))

    async def offset_at(self, partition: int, time: int) -> int:
        """Return the offset of the first record at or after a time; else the next offset."""

        async def look() -> int:
            log = self._broker.topic(self.log.name).partitions[partition]
            return next((record.offset for record in log.records if record.time >= time), log.high)

        return await self._process.call("log.offset_at", KAFKA, lambda: immediately(look()))


class MemoryTopicViews:
    """Looks at topics."""

    def __init__(self, broker: Broker) -> None:
        """Look at this broker."""
        self._broker = broker

    async def partitions(self, topic: str, group: str) -> list[TopicPlace]:
        """Return how far a group has read each partition."""
        found = []
        marks = self._broker.group(group, topic).offsets
        for partition, log in enumerate(self._broker.topic(topic).partitions):
            offset, metadata = marks.get(partition, (None, None))
            found.append(TopicPlace(partition, log.low, log.high, offset, metadata))
        return found

    async def offsets_at(self, topic: str, time: int) -> Mapping[int, int]:
        """Return the offset of the first record at or after a time, by partition; else the next offset."""
        return {
            partition: next((record.offset for record in log.records if record.time >= time), log.high)
            for partition, log in enumerate(self._broker.topic(topic).partitions)
        }

    def reader(self, topic: str) -> MemoryReader:
        """Return a reader of a topic."""
        return MemoryReader(self._broker, topic)


class MemoryReader:
    """Reads stretches of one topic."""

    def __init__(self, broker: Broker, topic: str) -> None:
        """Read nothing yet."""
        self._broker = broker
        self._topic = topic

    async def bounds(self) -> Mapping[int, LogBounds]:
        """Return identity and bounds of each partition's log."""
        topic = self._broker.topic(self._topic)
        return {p: LogBounds(topic.id, log.low, log.high) for p, log in enumerate(topic.partitions)}

    async def read(self, spans: Sequence[Span]) -> AsyncGenerator[list[Record], None]:
        """Read these stretches."""
        for span in spans:
            log = self._broker.topic(self._topic).partitions[span.partition]
            if records := [record for record in log.records if span.start <= record.offset < span.end]:
                yield records
