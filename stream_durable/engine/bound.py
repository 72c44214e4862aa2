"""Bound topics of others: a reader for each binding, apart from all others.

Bindings come and go with the declarations of apps. After a failure, such as a missing topic, a binding is
tried again and again, and stops nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from stream_durable.admission import learn
from stream_durable.core.bindings import Bad, Binding, Skip, origin_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.orders import Order
from stream_durable.engine.intake import Intake
from stream_durable.metrics import Metrics
from stream_durable.ports import BoundLog, Catalogue, LogBounds, Publisher, Record, Registry
from stream_durable.retrying import retry_transient
from stream_durable.telemetry import BINDING_FAILED, logger
from stream_durable.wire.bindings import read_bound
from stream_durable.wire.events import FromOutside
from stream_durable.wire.foreign import Values
from stream_durable.wire.topics import FOREIGN

_log = logger(__name__)

#: A reader that has failed is made again after this long.
_AGAIN_SECONDS = 5.0


class BoundFeed:
    """The topic of a binding."""

    def __init__(
        self,
        binding: Binding,
        skips: Mapping[int, Skip],
        log: BoundLog,
        ttl_ms: int,
        registry: Registry | None,
    ) -> None:
        """Read nothing yet; `skips` are the records to go past, by partition."""
        self.topic = FOREIGN + binding.topic
        self.origin = origin_of(binding.name)
        self.bad: Bad = binding.bad
        self.binding = binding
        self.skips = skips
        self._log = log
        self._ttl_ms = ttl_ms
        self._registry = registry
        self._values = Values(binding, has_registry=registry is not None)

    async def first(self, partition: int, bounds: LogBounds) -> int:
        """Return the offset for the beginning of the binding."""
        return await self._log.offset_at(partition, self.binding.begins)

    async def prepare(self, records: Sequence[Record]) -> None:
        """Look up the schemas of values, for as long as it takes."""
        if self._values.asks:
            given = [record.value for record in records]
            doing = f"read schemas for binding {self.binding.name!r}"
            await retry_transient(lambda: learn(self._values, given, self._registry), doing)

    async def settled(self) -> None:
        """Wait until earlier orders to the log are carried out."""
        await self._log.settled()

    def skip_of(self, record: Record, topic_id: str) -> Order | None:
        """Return the order to go past this record, if any; a topic created again has other records."""
        skip = self.skips.get(record.partition)
        is_meant = skip is not None and (skip.topic, skip.offset) == (topic_id, record.offset)
        return skip.order if skip is not None and is_meant else None

    def read(self, record: Record, own_id: str) -> FromOutside | None:
        """Return the message for a record, if any."""
        return read_bound(self.binding, self._values, record, own_id, self._ttl_ms)


class Reader:
    """The reader of one binding."""

    def __init__(self, binding: Binding) -> None:
        self.binding = binding
        self.is_off = False
        self.skips: Mapping[int, Skip] = {}
        self.task: asyncio.Task[None] | None = None
        #: None: the topic is not open.
        self.log: BoundLog | None = None
        self.feed: BoundFeed | None = None
        self.intake: Intake | None = None


class BoundTopics:
    """Serves all bindings."""

    def __init__(
        self,
        open_log: Callable[[Binding], BoundLog],
        publisher: Publisher,
        catalogue: Catalogue,
        metrics: Metrics,
        *,
        ttl_ms: int,
        bytes_max: int = 16_000_000,
        registry: Registry | None = None,
    ) -> None:
        """Read nothing yet; `open_log` makes the log of a binding's topic and group, to be opened."""
        self._open_log = open_log
        self._publisher = publisher
        self._catalogue = catalogue
        self._metrics = metrics
        self._ttl_ms = ttl_ms
        self._bytes_max = bytes_max
        self._registry = registry
        #: By key of the binding.
        self.readers: dict[str, Reader] = {}

    async def run(self) -> None:
        """Serve the declared bindings, until cancelled."""
        try:
            while True:
                await retry_transient(self._catalogue.more, "follow the declarations")
                await self._follow()
        finally:
            await self._end(list(self.readers.values()))

    async def _follow(self) -> None:
        declared = self._catalogue.declared
        wanted = declared.bindings()
        gone = [
            key
            for key, reader in self.readers.items()
            if key not in wanted or wanted[key].topic != reader.binding.topic
        ]
        await self._end([self.readers.pop(key) for key in gone])
        for key, binding in wanted.items():
            reader = self.readers.get(key) or Reader(binding)
            reader.binding, reader.is_off = binding, key in declared.off
            reader.skips = declared.skips.get(key, {})
            if reader.task is None:
                self.readers[key] = reader
                reader.task = asyncio.create_task(self._serve(reader))
            else:
                await self._set(reader)

    async def _end(self, readers: list[Reader]) -> None:
        tasks = [reader.task for reader in readers if reader.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _set(self, reader: Reader) -> None:
        """Let the reader go by the binding as it is declared now."""
        if reader.intake is None or reader.log is None or reader.feed is None:
            return
        if reader.is_off:
            reader.intake.pause()
            return
        try:
            if (reader.feed.binding, reader.feed.skips) != (reader.binding, reader.skips):
                reader.feed = self._feed(reader, reader.log)
            await reader.intake.go_on(reader.feed)
        except RejectedError as error:
            self._note(reader, error)

    def _feed(self, reader: Reader, log: BoundLog) -> BoundFeed:
        return BoundFeed(reader.binding, reader.skips, log, self._ttl_ms, self._registry)

    def _note(self, reader: Reader, error: Exception) -> None:
        name, topic = reader.binding.name, reader.binding.topic
        _log.error(BINDING_FAILED, binding=name, topic=topic, reason=str(error))

    async def _serve(self, reader: Reader) -> None:
        name = reader.binding.name
        while True:
            log = self._open_log(reader.binding)
            try:
                await retry_transient(log.check, f"read the topic of binding {name!r}")
                reader.log, reader.feed = log, self._feed(reader, log)
                reader.intake = Intake(
                    log, reader.feed, self._publisher, self._catalogue, self._metrics,
                    bytes_max=self._bytes_max,
                )  # fmt: skip
                if reader.is_off:
                    reader.intake.pause()
                log.open()
                await reader.intake.run()
            except Exception as error:
                self._note(reader, error)
            finally:
                reader.log = reader.feed = reader.intake = None
            await asyncio.sleep(_AGAIN_SECONDS)
