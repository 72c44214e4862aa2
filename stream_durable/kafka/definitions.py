"""The definitions topic: every graph ever started, compacted and complete for replays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from stream_durable.core.definition.about import HEADER, NOTHING, About, read_about
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import Definition
from stream_durable.core.definition.reading import Known, admitted, definition_key, read_definition
from stream_durable.core.definition.stranding import queues_of
from stream_durable.core.errors import RejectedError
from stream_durable.kafka.config import CALL_SECONDS, away, reading, transient
from stream_durable.kafka.mock import is_mock
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.kafka.threads import outcome
from stream_durable.metrics import Metrics
from stream_durable.ports import Outgoing
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import DEFINITION_REJECTED, logger
from stream_durable.wire.topics import COMMANDS, DEFINITIONS, full_name

_log = logger(__name__)


class KafkaDefinitions:
    """Graphs by fingerprint, read from the topic on demand."""

    def __init__(
        self,
        settings: KafkaSettings,
        prefix: str,
        publisher: KafkaPublisher | None,
        *,
        client: str,
        metrics: Metrics | None = None,
    ) -> None:
        """Read nothing yet. Without a publisher nothing can be registered, only read."""
        self._publisher = publisher
        self._metrics = metrics
        self._prefix = prefix
        self._part = TopicPartition(full_name(prefix, DEFINITIONS), 0, OFFSET_BEGINNING)
        self._known = Known()
        self._position = 0
        #: Queues that are known to have a topic.
        self._queues: set[str] = set()
        self._consumer: Consumer | None = None
        self._settings = settings
        self._config = reading(settings, prefix, client, auto_offset_reset="earliest", fetch_wait_max_ms=10)
        #: One thread owns the consumer.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="definitions")
        self._reading: Future[None] | None = None

    def graph(self, fingerprint: str) -> Graph | None:
        """Return an already known graph."""
        return self._known.graphs.get(fingerprint)

    def is_newer(self, fingerprint: str) -> bool:
        """Whether a definition exists in a newer format than this release."""
        return fingerprint in self._known.newer

    def lacking(self, fingerprint: str) -> str:
        """Return why a graph is missing for this fingerprint, with the remedy."""
        return self._known.lacking(fingerprint)

    def known(self) -> list[Graph]:
        """Return all graphs read."""
        return list(self._known.graphs.values())

    def current(self, workflow: str) -> str | None:
        """Return the fingerprint registered last under this name."""
        return self._known.current.get(workflow)

    def about(self, fingerprint: str) -> About:
        """Return the latest descriptions and schemas of a definition."""
        return self._known.about(fingerprint)

    def workflows(self) -> list[str]:
        """Return the names of all workflows."""
        return sorted(self._known.current)

    async def catch_up(self) -> None:
        """Read the topic to the end; concurrent callers share a reading not yet begun."""
        reading = self._reading
        if reading is None or reading.done() or reading.running():
            reading = self._reading = self._thread.submit(self._read_to_end)
        await outcome(reading)

    async def register(self, definition: Definition, about: About = NOTHING) -> str:
        """Publish a definition with descriptions, unless already known.

        Refuses an invalid definition, and a definition naming a queue without a topic: commands could never
        be published.
        """
        fingerprint = definition.fingerprint()
        if self._known.lacks(fingerprint, about):
            data = admitted(definition)
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._check_queues, definition)
            await self.restore(definition.name, fingerprint, data, about.encoded())
        return fingerprint

    async def restore(self, name: str, fingerprint: str, data: bytes, about: bytes | None) -> None:
        """Publish an earlier definition again in the original form."""
        key = definition_key(name, fingerprint)
        await self._publish(Outgoing(DEFINITIONS, 0, key, data), about, name)
        self._known.keep(read_definition(key, data), read_about(about))

    async def _publish(self, message: Outgoing, about: bytes | None, name: str) -> None:
        assert self._publisher is not None, "these definitions were opened for reading"
        try:
            await self._publisher.place(message, None if about is None else [(HEADER, about)])
        except RejectedError as error:
            size = len(message.value or b"")
            text = f"workflow {name!r} has {size} bytes as data, which topic {self._part.topic} does not take"
            remedy = (
                "raise the topic's max.message.bytes, or let steps be made at run time by `each` or `Expand`"
            )
            raise RejectedError("definition_too_large", f"{text}: {remedy}") from error

    async def close(self) -> None:
        """Let go of the consumer."""
        if self._consumer is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._consumer.close)
        self._thread.shutdown(wait=False)

    def _read_to_end(self) -> None:
        try:
            if self._consumer is None:
                self._consumer = Consumer(self._config)
            bounds = self._consumer.get_watermark_offsets(self._part, timeout=CALL_SECONDS)
            if bounds is None:
                raise away(self._settings)
            if self._position < bounds[1]:
                self._read(self._consumer, bounds[1])
        except KafkaException as error:
            raise transient(error, self._settings) from error

    def _read(self, consumer: Consumer, end: int) -> None:
        """Read from where we stand; fetch only while reading, for a question waits behind a fetch."""
        topic, partition = self._part.topic, self._part.partition
        consumer.assign([TopicPartition(topic, partition, self._position or OFFSET_BEGINNING)])
        try:
            while self._position < end:
                message = consumer.poll(CALL_SECONDS)
                if message is None:
                    raise away(self._settings)
                if message.error() is not None:
                    raise transient(message.error(), self._settings)
                self._position = (message.offset() or 0) + 1
                self._learn(message)
        finally:
            consumer.unassign()

    async def has_queue(self, queue: str) -> bool:
        """Say whether there is a topic for a queue's commands; asked again only while there is none."""
        if queue not in self._queues:
            loop = asyncio.get_running_loop()
            if await loop.run_in_executor(self._thread, self._without_topic, [queue]):
                return False
            self._queues.add(queue)
        return True

    def _without_topic(self, queues: Iterable[str]) -> list[str]:
        """Return the queues without a topic for commands; none with a broker in memory."""
        try:
            if self._consumer is None:
                self._consumer = Consumer(self._config)
            there = self._consumer.list_topics(timeout=CALL_SECONDS)
        except KafkaException as error:
            raise transient(error, self._settings) from error
        if is_mock(there.cluster_id):
            return []
        return sorted(q for q in queues if full_name(self._prefix, COMMANDS + q) not in there.topics)

    def _check_queues(self, definition: Definition) -> None:
        if missing := self._without_topic(queues_of(definition)):
            raise RejectedError(
                "unknown_queue",
                f"workflow {definition.name!r} uses queue {missing[0]!r}, which has no topic; make it with "
                f"`stream-durable topics apply --queue {missing[0]}`",
            )

    def _learn(self, message: Message) -> None:
        value = message.value()
        if value is None:
            return
        try:
            found = read_definition(message.key(), value)
            self._known.keep(found, _about(message))
        except RejectedError as error:
            _log.warning(DEFINITION_REJECTED, offset=message.offset(), reason=str(error))
            if self._metrics is not None:
                self._metrics.definitions_rejected.inc()


def _about(message: Message) -> About:
    """Return the descriptions and schemas in a record's header."""
    value = dict(message.headers() or ()).get(HEADER)
    return read_about(value.encode() if isinstance(value, str) else value)
