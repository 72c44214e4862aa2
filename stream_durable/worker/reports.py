"""What the worker tells the inbox, and what is done once the inbox has it.

One call is under way at a time and takes all that has come meanwhile. A command counts as done only
when its result is acknowledged, so a worker that dies repeats an attempt rather than losing one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stream_durable.core.messages import AttemptMessage
from stream_durable.persistence import persist
from stream_durable.ports import Headers, Outgoing, Publisher
from stream_durable.wire.inbox import encode

#: More reports than this that wait for the broker hold up new attempts.
_WAITING_MAX = 10_000


class Reports:
    """Publishes what attempts have to say."""

    def __init__(self, publisher: Publisher) -> None:
        """Nothing to say yet."""
        self._publisher = publisher
        self._waiting: list[tuple[Outgoing, Headers | None]] = []
        self._after: list[Callable[[], None]] = []
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._heard = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, partition: int | None, message: AttemptMessage, then: Callable[[], None]) -> None:
        """Say this, and do `then` when it has been heard."""
        if not self._waiting:
            self._idle.clear()
            self._wake.set()
        self._waiting.append((Outgoing("inbox", partition, message.key.encode(), encode(message)), None))
        self._after.append(then)
        if len(self._waiting) >= _WAITING_MAX:
            self._room.clear()

    @property
    def has_room(self) -> bool:
        """Whether the broker keeps up with us."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait until the broker has caught up with us."""
        await self._room.wait()

    async def heard(self) -> None:
        """Wait until something more has been heard."""
        await self._heard.wait()

    async def flushed(self) -> None:
        """Wait until everything has been heard."""
        await self._idle.wait()

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                messages, self._waiting = self._waiting, []
                after, self._after = self._after, []
                self._room.set()
                await self._publish(messages)
                for then in after:
                    then()
                self._heard.set()
                self._heard.clear()
            self._idle.set()

    async def _publish(self, messages: list[tuple[Outgoing, Headers | None]]) -> None:
        await persist(lambda: self._publisher.publish(messages), "report to the inbox")
