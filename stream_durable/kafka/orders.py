"""Calls for the thread owning a client, carried out in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from confluent_kafka import KafkaException

from stream_durable.kafka.config import transient
from stream_durable.kafka.threads import answer, fail
from stream_durable.settings import KafkaSettings


class Orders:
    """Calls waiting for the owner of a client."""

    def __init__(self, settings: KafkaSettings, call: Callable[..., None]) -> None:
        """Do nothing yet; `call` calls a function on the loop."""
        self._settings = settings
        self._call = call
        self._waiting: deque[Callable[[], object]] = deque()

    def add(self, order: Callable[[], object]) -> None:
        """Add a call, from any thread."""
        self._waiting.append(order)

    def follow(self) -> None:
        """Make the waiting calls, as the owner."""
        while self._waiting:
            self._waiting.popleft()()

    async def outcome(self, call: Callable[[], Any]) -> Any:
        """Return the result of a call by the owner; raise its error as ours."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.add(partial(self._carry_out, call, future))
        try:
            return await future
        finally:
            # An error leads to this frame: in a ring with it the client of the call would live on.
            del future, call

    def _carry_out(self, call: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        try:
            found = call()
        except KafkaException as error:
            self._call(fail, future, transient(error, self._settings))
        else:
            self._call(answer, future, found)
