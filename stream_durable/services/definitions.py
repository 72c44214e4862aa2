"""Keeps the definitions lost by a mock broker: without them no run could go on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from stream_durable.core.definition.about import About
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import decode_definition, encode_definition, fingerprint_of
from stream_durable.core.errors import TransientError
from stream_durable.kafka.definitions import KafkaDefinitions
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.settings import Settings

_PERIOD_SECONDS: Final = 1.0
#: Suffix of files with descriptions of a definition.
_ABOUT: Final = ".about"
_CLIENT: Final = "stream-durable-keeper"


class DefinitionKeeper:
    """Publishes the definitions in a directory, and stores published ones there."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._publisher = KafkaPublisher(settings.kafka, settings.prefix, client=_CLIENT)
        self._definitions = KafkaDefinitions(settings.kafka, settings.prefix, self._publisher, client=_CLIENT)
        self._directory = directory

    async def restore(self) -> None:
        """Publish the stored definitions."""
        for file in sorted(self._directory.glob("*.json")):
            data = file.read_bytes()
            # Not validated again: it was once, and runs of it go on.
            about = file.with_suffix(_ABOUT)
            await self._definitions.restore(
                decode_definition(data).name,
                fingerprint_of(data),
                data,
                about.read_bytes() if about.exists() else None,
            )

    async def run(self) -> None:
        """Store published definitions, until cancelled."""
        try:
            while True:
                await self._keep()
                await asyncio.sleep(_PERIOD_SECONDS)
        finally:
            await self._publisher.close()
            await self._definitions.close()

    async def _keep(self) -> None:
        try:
            await self._definitions.catch_up()
        except TransientError:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        for graph in self._definitions.known():
            file = self._directory / f"{graph.fingerprint}.json"
            _write(file.with_suffix(_ABOUT), self._definitions.about(graph.fingerprint).encoded())
            _write(file, encode_definition(graph.definition))


def _write(file: Path, data: bytes) -> None:
    """Write a file atomically, unless unchanged."""
    if not file.exists() or file.read_bytes() != data:
        partial = file.with_suffix(".partial")
        partial.write_bytes(data)
        partial.rename(file)


async def published(settings: Settings) -> list[Graph]:
    """Return all definitions that were published, the latest of each workflow last."""
    return [graph for graph, _ in await described(settings)]


async def described(settings: Settings) -> list[tuple[Graph, About]]:
    """Return the definitions, each with descriptions and schemas."""
    definitions = KafkaDefinitions(settings.kafka, settings.prefix, None, client=_CLIENT)
    try:
        await definitions.catch_up()
        return [(graph, definitions.about(graph.fingerprint)) for graph in definitions.known()]
    finally:
        await definitions.close()
