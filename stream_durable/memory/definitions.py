"""The definitions topic in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import cache

from stream_durable.core.declared import Declaration, Declared, is_declaration
from stream_durable.core.definition.about import HEADER, NOTHING, About, read_about
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import Definition, encode_definition, fingerprint_of
from stream_durable.core.definition.reading import Known, admitted, definition_key, read_definition
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import FORMAT, TRIGGERS
from stream_durable.core.messages import RulesDeclared
from stream_durable.memory.broker import Broker
from stream_durable.wire.inbox import encode
from stream_durable.wire.topics import DEFINITIONS, INBOX


class MemoryDefinitions:
    """Graphs by fingerprint, as far as they have been read from the topic."""

    def __init__(self, broker: Broker, knows: int = FORMAT) -> None:
        """Read nothing yet; nothing of a format beyond `knows` is ever read."""
        self._broker = broker
        self._knows = knows
        self._known = Known()
        self.declared = Declared()
        self._position = 0

    def graph(self, fingerprint: str) -> Graph | None:
        """Return an already known graph."""
        return self._known.graphs.get(fingerprint)

    def is_newer(self, fingerprint: str) -> bool:
        """Whether a definition exists in a newer format than this release."""
        return fingerprint in self._known.newer

    def lacking(self, fingerprint: str) -> str:
        """Return why a graph is missing for this fingerprint, with the remedy."""
        return self._known.lacking(fingerprint)

    def current(self, workflow: str) -> str | None:
        """Return the fingerprint registered last under this name."""
        return self._known.current.get(workflow)

    async def catch_up(self) -> None:
        """Read the topic to the end."""
        for record in self._broker.topic(DEFINITIONS).partitions[0].read(self._position, 1 << 30):
            self._position = record.offset + 1
            with suppress(RejectedError):
                if record.key is not None and is_declaration(record.key):
                    self.declared.keep(record.key, record.value, self._knows)
                elif record.value is not None:
                    found = _read(record.key, record.value, self._knows)
                    about = read_about(dict(record.headers or ()).get(HEADER))
                    self._known.keep(found, about, record.time)

    def registered(self, fingerprint: str) -> int | None:
        """Return when a definition was registered last, in milliseconds, as far as read."""
        return self._known.registered.get(fingerprint)

    def about(self, fingerprint: str) -> About:
        """Return the latest descriptions and schemas of a definition."""
        return self._known.about(fingerprint)

    async def declare(self, declarations: Sequence[Declaration], *, tells: bool = True) -> None:
        """Publish declarations, and tell every partition of the inbox that there are some."""
        for key, value in declarations:
            self._broker.append(DEFINITIONS, 0, key, value)
            self.declared.keep(key, value)
        for partition in range(len(self._broker.topic(INBOX).partitions)) if tells else ():
            told = RulesDeclared(key=str(partition), format=TRIGGERS)
            self._broker.append(INBOX, partition, told.key.encode(), encode(told))

    async def register(self, definition: Definition, about: About = NOTHING) -> str:
        """Publish a definition with descriptions, unless already known."""
        graph = prepared(definition)
        if self._known.lacks(graph.fingerprint, about):
            key = definition_key(graph.name, graph.fingerprint)
            self._broker.append(DEFINITIONS, 0, key, _published(definition), [(HEADER, about.encoded())])
            self._known.keep(graph, about)
        return graph.fingerprint


class MemoryCatalogue(MemoryDefinitions):
    """The definitions, for lists."""

    #: The position that `more` returned at; below all of them at first.
    _seen = -1

    async def has_queue(self, queue: str) -> bool:
        """Return True: topics of this broker are created on the first request."""
        return True

    async def more(self) -> None:
        """Wait for records beyond those of the last call."""
        while True:
            await self.catch_up()
            if self._position != self._seen:
                self._seen = self._position
                return
            arrived = asyncio.Event()
            self._broker.listen(DEFINITIONS, arrived.set)
            try:
                await arrived.wait()
            finally:
                self._broker.stop_listening(DEFINITIONS, arrived.set)

    @property
    def is_current(self) -> bool:
        """Whether `more` has returned everything published."""
        return self._seen == self._broker.topic(DEFINITIONS).partitions[0].high

    def known(self) -> list[Graph]:
        """Return all graphs read."""
        return list(self._known.graphs.values())

    def workflows(self) -> list[str]:
        """Return the names of all workflows, sorted."""
        return sorted(self._known.current)


#: Graphs never change, so those of many processes of one world are made once.
_read = cache(read_definition)
#: By identity of a definition: the definition, kept so that the identity stays unique, with the graph or the
#: published form. Definitions never change either.
_graphs: dict[int, tuple[Definition, Graph]] = {}
_forms: dict[int, tuple[Definition, bytes]] = {}


def prepared(definition: Definition) -> Graph:
    """Return the graph of a definition, made once."""
    known = _graphs.get(id(definition))
    if known is None:
        data = encode_definition(definition)
        graph = _read(definition_key(definition.name, fingerprint_of(data)), data, definition.format)
        assert isinstance(graph, Graph)
        known = _graphs[id(definition)] = (definition, graph)
    return known[1]


def _published(definition: Definition) -> bytes:
    """Return the published form of a definition, made once. Faulty definitions are refused each time."""
    known = _forms.get(id(definition))
    if known is None:
        known = _forms[id(definition)] = (definition, admitted(definition))
    return known[1]
