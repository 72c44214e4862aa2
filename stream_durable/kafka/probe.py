"""Asks whether the brokers answer."""

from __future__ import annotations

from confluent_kafka import KafkaException

from stream_durable.kafka.config import Admin, transient
from stream_durable.kafka.lives import Kept
from stream_durable.kafka.threads import in_thread
from stream_durable.settings import KafkaSettings

_CALL_SECONDS = 3.0


class KafkaProbe:
    """A separate client, so that checks disturb no work."""

    def __init__(self, settings: KafkaSettings, topic: str, *, client: str) -> None:
        """Prepare checks of `topic`."""
        self._settings = settings
        self._topic = topic
        self._admin = Kept(lambda: Admin(settings, client))

    async def ask(self) -> None:
        """Raise TransientError if no broker answers."""
        await in_thread(self._ask)

    def _ask(self) -> None:
        try:
            self._admin().list_topics(self._topic, timeout=_CALL_SECONDS)
        except KafkaException as error:
            self._admin.blame(error)
            raise transient(error, self._settings) from error
