"""Existence and size limits of topics, as reported by the brokers."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from stream_durable.kafka.answers import answer_of
from stream_durable.kafka.config import config, transient
from stream_durable.kafka.lives import Kept
from stream_durable.settings import KafkaSettings
from stream_durable.wire.inbox import VALUE_BYTES_MAX
from stream_durable.wire.topics import INBOX, full_name

#: A larger value on the inbox would be taken by the broker and then refused unread.
_ENVELOPE_BYTES = 100
_CALL_SECONDS = 15.0
#: An administrator may change a topic while we run.
_REFRESH_SECONDS = 60.0


class Limits:
    """The largest message for each topic, by the topic's name without the instance's prefix."""

    def __init__(self, settings: KafkaSettings, prefix: str, *, client: str) -> None:
        """Ask nothing yet."""
        self._settings = settings
        self._prefix = prefix
        self._admin = Kept(lambda: AdminClient(config(settings, client)))
        #: Bytes; a topic that is missing here has not been asked for, or may not be asked.
        self.bytes: dict[str, int] = {INBOX: VALUE_BYTES_MAX + _ENVELOPE_BYTES}
        self._ours = dict(self.bytes)
        self._wake = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def watch(self, topics: dict[str, str]) -> None:
        """Learn the limits of these topics now, for added topics, and now and then."""
        self._thread = threading.Thread(
            target=self._keep_watching, args=(topics,), name="limits", daemon=True
        )
        self._thread.start()

    def look_soon(self) -> None:
        """Learn the limits of new topics soon."""
        self._wake.set()

    def close(self) -> None:
        """Ask nothing more."""
        self._is_closed = True
        self._wake.set()

    def look(self, topic: str, partition: int) -> bool:
        """Say whether a partition of a topic is there, and learn the topic's limit; blocks."""
        name = full_name(self._prefix, topic)
        try:
            found = self._admin().list_topics(name, _CALL_SECONDS).topics.get(name)
        except KafkaException as error:
            self._admin.blame(error)
            raise transient(error, self._settings) from error
        if found is None or found.error is not None or not found.partitions:
            return False
        self._learn([topic])
        return partition < len(found.partitions)

    def _keep_watching(self, topics: dict[str, str]) -> None:
        while not self._is_closed:
            self._wake.clear()
            if known := list(topics):
                self._learn(known)
            self._wake.wait(_REFRESH_SECONDS)

    def _learn(self, topics: Iterable[str]) -> None:
        """Read how large a message may be; where we may not ask, the broker tells by refusing."""
        if any(name.startswith("compression") for name in self._settings.properties):
            # The size after compression counts, which is unknown before.
            return
        topic_of = {full_name(self._prefix, topic): topic for topic in topics}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in topic_of]
        try:
            answers = self._admin().describe_configs(resources, request_timeout=_CALL_SECONDS)
        except KafkaException:
            return
        for resource, answer in answers.items():
            try:
                found = int(answer_of(answer, _CALL_SECONDS)["max.message.bytes"].value)
            except KafkaException as error:
                self._admin.blame(error)
                if error.args[0].code() == KafkaError._TIMED_OUT:
                    return
                continue
            except (KeyError, TypeError, ValueError):
                continue
            topic = topic_of[resource.name]
            self.bytes[topic] = min(found, self._ours.get(topic, found))
