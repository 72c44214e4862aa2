"""The definitions topic: every graph ever started, compacted and complete for replays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from confluent_kafka import Consumer, Message

from stream_durable.core.declared import Declaration, Declared, is_declaration
from stream_durable.core.definition.about import HEADER, NOTHING, About, read_about
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import Definition
from stream_durable.core.definition.reading import Known, admitted, definition_key, read_definition
from stream_durable.core.definition.stranding import queues_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import TRIGGERS
from stream_durable.core.lanes import lanes_of, parts_of, queue_of
from stream_durable.core.messages import RulesDeclared
from stream_durable.kafka.compacted import CompactedTopic
from stream_durable.kafka.config import CALL_SECONDS
from stream_durable.kafka.mock import is_mock
from stream_durable.metrics import Metrics
from stream_durable.ports import Outgoing, PlacingPublisher
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import DEFINITION_REJECTED, logger
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import COMMANDS, DEFINITIONS, INBOX, full_name

_log = logger(__name__)

#: Declarations are few and far between: their readers have no need of a fetch that is always under way.
_LOOK_SECONDS: Final = 1.0


class KafkaDefinitions:
    """Graphs by fingerprint, read from the topic on demand."""

    def __init__(
        self,
        settings: KafkaSettings,
        prefix: str,
        publisher: PlacingPublisher | None,
        *,
        client: str,
        metrics: Metrics | None = None,
    ) -> None:
        """Read nothing yet. Without a publisher nothing can be registered, only read."""
        self._publisher = publisher
        self._metrics = metrics
        self._prefix = prefix
        self._partitions = settings.partitions
        self._known = Known()
        self.declared = Declared()
        #: The position that `more` returned at; below all of them at first.
        self._seen = -1
        #: Queues that are known to have a topic.
        self._queues: set[str] = set()
        self._topic = CompactedTopic(settings, prefix, DEFINITIONS, self._learn, client=client)

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

    def registered(self, fingerprint: str) -> int | None:
        """Return when a definition was registered last, in milliseconds, as far as read."""
        return self._known.registered.get(fingerprint)

    def about(self, fingerprint: str) -> About:
        """Return the latest descriptions and schemas of a definition."""
        return self._known.about(fingerprint)

    def workflows(self) -> list[str]:
        """Return the names of all workflows."""
        return sorted(self._known.current)

    async def catch_up(self) -> None:
        """Read the topic to the end; concurrent callers share a reading not yet begun."""
        await self._topic.catch_up()

    async def register(self, definition: Definition, about: About = NOTHING) -> str:
        """Publish a definition with descriptions, unless already known.

        Refuses an invalid definition, and a definition naming a queue without a topic: commands could never
        be published.
        """
        fingerprint = definition.fingerprint()
        if self._known.lacks(fingerprint, about):
            data = admitted(definition)
            await self._topic.ask(lambda consumer: self._check_queues(consumer, definition))
            await self.restore(definition.name, fingerprint, data, about.encoded())
        return fingerprint

    async def restore(self, name: str, fingerprint: str, data: bytes, about: bytes | None) -> None:
        """Publish an earlier definition again in the original form."""
        key = definition_key(name, fingerprint)
        await self._publish(Outgoing(DEFINITIONS, 0, key, data), about, name)
        self._known.keep(read_definition(key, data), read_about(about))

    async def declare(self, declarations: Sequence[Declaration], *, tells: bool = True) -> None:
        """Publish declarations, and tell every partition of the inbox that there are some."""
        assert self._publisher is not None, "these definitions were opened for reading"
        for key, value in declarations:
            await self._publisher.place(Outgoing(DEFINITIONS, 0, key, value), None)
        await self.catch_up()
        if not tells:
            return
        told = [RulesDeclared(key=str(p), format=TRIGGERS) for p in range(self._partitions)]
        refusals = await self._publisher.publish(
            [(Outgoing(INBOX, int(one.key), one.key.encode(), encode(one)), None) for one in told]
        )
        if refusals:
            raise RejectedError(refusals[0].code, f"the inbox does not take it: {refusals[0].reason}")

    async def _publish(self, message: Outgoing, about: bytes | None, name: str) -> None:
        assert self._publisher is not None, "these definitions were opened for reading"
        try:
            await self._publisher.place(message, None if about is None else [(HEADER, about)])
        except RejectedError as error:
            size = len(message.value or b"")
            text = f"workflow {name!r} has {size} bytes as data, which topic {self._topic.name} does not take"
            remedy = (
                "raise the topic's max.message.bytes, or let steps be made at run time by `each` or `Expand`"
            )
            raise RejectedError("definition_too_large", f"{text}: {remedy}") from error

    async def more(self) -> None:
        """Wait for records beyond those of the last call; looks once a second."""
        while True:
            await self.catch_up()
            if self._topic.position != self._seen:
                self._seen = self._topic.position
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def close(self) -> None:
        """Let go of the consumer."""
        await self._topic.close()

    async def has_queue(self, queue: str) -> bool:
        """Say whether there is a topic for a queue's commands; asked again only while there is none."""
        if queue not in self._queues:
            if await self._topic.ask(lambda consumer: self._without_topic(consumer, [queue])):
                return False
            self._queues.add(queue)
        return True

    def _without_topic(self, consumer: Consumer, queues: Iterable[str]) -> list[str]:
        """Return the queues without a topic for commands; none with a broker in memory."""
        there = consumer.list_topics(timeout=CALL_SECONDS)
        if is_mock(there.cluster_id):
            return []
        return sorted(
            queue
            for queue in queues
            if any(full_name(self._prefix, COMMANDS + lane) not in there.topics for lane in lanes_of(queue))
        )

    def _check_queues(self, consumer: Consumer, definition: Definition) -> None:
        laned = {rule.name for rule in definition.queues if rule.has_lanes}
        parts = [
            part for queue in queues_of(definition) for part in parts_of(queue, by_priority=queue in laned)
        ]
        if missing := self._without_topic(consumer, parts):
            option = "--app APP" if queue_of(missing[0]) in laned else f"--queue {missing[0]}"
            raise RejectedError(
                "unknown_queue",
                f"workflow {definition.name!r} uses queue {missing[0]!r}, which has no topic; make it with "
                f"`stream-durable topics apply {option}`",
            )

    def _learn(self, message: Message) -> None:
        key, value = message.key(), message.value()
        try:
            if key is not None and is_declaration(key):
                self.declared.keep(key, value)
            elif value is not None:
                self._known.keep(read_definition(key, value), _about(message), message.timestamp()[1])
        except RejectedError as error:
            _log.warning(DEFINITION_REJECTED, offset=message.offset(), reason=str(error))
            if self._metrics is not None:
                self._metrics.definitions_rejected.inc()


def _about(message: Message) -> About:
    """Return the descriptions and schemas in a record's header."""
    value = dict(message.headers() or ()).get(HEADER)
    return read_about(value.encode() if isinstance(value, str) else value)
