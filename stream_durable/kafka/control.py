"""The control topic: paused queues and present workers."""

from __future__ import annotations

from confluent_kafka import Message

from stream_durable.core.errors import RejectedError
from stream_durable.kafka.compacted import CompactedTopic
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import RECORD_REJECTED, logger
from stream_durable.wire.control import ControlState
from stream_durable.wire.topics import CONTROL

_log = logger(__name__)


class KafkaControl:
    """The state on the control topic, as far as read."""

    def __init__(
        self, settings: KafkaSettings, prefix: str, *, client: str, is_followed: bool = False
    ) -> None:
        """Read nothing yet; a worker follows the topic for good."""
        self.state = ControlState()
        self._topic = CompactedTopic(
            settings, prefix, CONTROL, self._learn, client=client, is_followed=is_followed
        )

    @property
    def position(self) -> int:
        """The offset behind the last record read."""
        return self._topic.position

    async def catch_up(self) -> None:
        """Read the topic to the end."""
        await self._topic.catch_up()

    async def more(self) -> None:
        """Wait until more has been read."""
        await self._topic.more()

    async def close(self) -> None:
        """Let go of the consumer."""
        await self._topic.close()

    def _learn(self, message: Message) -> None:
        offset = message.offset() or 0
        try:
            self.state.learn(message.key(), message.value(), offset=offset, time=message.timestamp()[1])
        except RejectedError as error:
            _log.warning(RECORD_REJECTED, topic=CONTROL, partition=0, offset=offset, reason=str(error)[:300])
