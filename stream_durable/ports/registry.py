"""The registry of schemas."""

from __future__ import annotations

from typing import Protocol

from stream_durable.wire.foreign import RegisteredSchema


class Registry(Protocol):
    """Schemas of topics of others. Raises `TransientError` if the registry is away."""

    async def schema(self, number: int) -> RegisteredSchema:
        """Return a schema by number; raise `RejectedError` if there is none."""

    async def register(self, topic: str, schema: str) -> int:
        """Return the number of the Avro schema of a topic's values; raise `RejectedError` for a refusal."""
