"""Large values by reference."""

from __future__ import annotations

from typing import Protocol


class Blobs(Protocol):
    """Values too large to travel in messages, each a record of a topic of its own."""

    async def put(self, key: str, data: bytes) -> tuple[int, int]:
        """Store a value; return partition and offset after the acknowledgement.

        Raises `TransientError` for errors worth a retry, `RejectedError` for a value over the limit.
        """

    async def get(self, partition: int, offset: int) -> bytes | None:
        """Return the value at a place; None: it is not there, or not any more."""

    async def close(self) -> None:
        """Let go of the connections."""
