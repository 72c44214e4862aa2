"""A rehearsal: a call checks everything, and ends at the first record it would have published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from stream_durable.ports import Headers, Instead, Outgoing, Refusal


class Rehearsed(Exception):  # noqa: N818 - no error: the call would have gone on
    """A call would have published these records."""

    def __init__(self, records: Sequence[Outgoing]) -> None:
        super().__init__("nothing was published: this is a rehearsal")
        self.records = tuple(records)


class RehearsingPublisher:
    """A publisher that publishes nothing: raises `Rehearsed` with the records instead."""

    def send(
        self,
        messages: Sequence[tuple[Outgoing, Headers | None]],
        done: Callable[[list[Refusal]], None],
        instead: Instead | None = None,
    ) -> NoReturn:
        """Publish nothing."""
        raise Rehearsed([message for message, _ in messages])

    async def publish(self, messages: Sequence[tuple[Outgoing, Headers | None]]) -> list[Refusal]:
        """Publish nothing."""
        raise Rehearsed([message for message, _ in messages])

    async def place(self, message: Outgoing, headers: Headers | None = None) -> tuple[int, int]:
        """Publish nothing."""
        raise Rehearsed([message])

    async def close(self) -> None:
        """Let go of nothing."""
