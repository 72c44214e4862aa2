"""Publishing with acknowledgements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from stream_durable.ports.log import Headers


class Outgoing(NamedTuple):
    """A record to publish. Stored in this form, so complete and small."""

    #: The topic without the instance's prefix: `inbox`, `steps`, `commands.default`.
    topic: str
    #: None: by the key, as Kafka's own partitioner does it.
    partition: int | None
    key: bytes | None
    value: bytes | None
    #: What the headers are made of; see the engine's outbox.
    meta: Any = None


class Refusal(NamedTuple):
    """A message never accepted in this form."""

    #: The position among the messages sent together.
    at: int
    #: `too_large`, `invalid`, `no_topic`, `not_authorised`
    code: str
    #: The broker's error, for people.
    reason: str


#: For a refused message: the replacement, if any.
Instead = Callable[[Refusal], tuple[Outgoing, Headers | None] | None]


class Publisher(Protocol):
    """An idempotent producer, created once and kept.

    Unacknowledged messages are retried until acknowledged, separately and in order within each partition. A
    stuck message delays only one partition.
    """

    def send(
        self,
        messages: Sequence[tuple[Outgoing, Headers | None]],
        done: Callable[[list[Refusal]], None],
        instead: Instead | None = None,
    ) -> None:
        """Publish in order; `done` is called on the loop for each acknowledged or refused message.

        `instead` may return a replacement for a refused message, on the same partition of the topic,
        published before later messages.
        """

    async def publish(self, messages: Sequence[tuple[Outgoing, Headers | None]]) -> list[Refusal]:
        """Send and wait for the outcome; return the refusals."""

    async def close(self) -> None:
        """Wait for messages under way, up to a limit, and stop."""


class PlacingPublisher(Publisher, Protocol):
    """A publisher that knows where a record is."""

    async def place(self, message: Outgoing, headers: Headers | None = None) -> tuple[int, int]:
        """Publish one message; return partition and offset.

        Raises `RejectedError` for a message over the topic's limit, `TransientError` for a missing topic.
        """
