"""The control topic, in memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from stream_durable.core.errors import RejectedError
from stream_durable.memory.broker import Broker
from stream_durable.wire.control import ControlState
from stream_durable.wire.topics import CONTROL


class MemoryControl:
    """The state on the control topic of the broker, as far as read."""

    def __init__(self, broker: Broker) -> None:
        """Read nothing yet."""
        self.state = ControlState()
        self.position = 0
        self._broker = broker

    async def catch_up(self) -> None:
        """Read the topic to the end."""
        for record in self._broker.topic(CONTROL).partitions[0].read(self.position, 1 << 30):
            self.position = record.offset + 1
            with suppress(RejectedError):
                self.state.learn(record.key, record.value, offset=record.offset, time=record.time)

    async def more(self) -> None:
        """Wait until more has been read."""
        arrived, before = asyncio.Event(), self.position
        self._broker.listen(CONTROL, arrived.set)
        try:
            await self.catch_up()
            while self.position == before:
                await arrived.wait()
                arrived.clear()
                await self.catch_up()
        finally:
            self._broker.stop_listening(CONTROL, arrived.set)

    async def close(self) -> None:
        """Nothing is held."""
