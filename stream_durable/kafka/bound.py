"""Topics of others, read as a member of the group of a binding."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaException, TopicPartition

from stream_durable.core.bindings import Binding, missing_remedy
from stream_durable.core.errors import TransientError
from stream_durable.kafka.config import CALL_SECONDS, Admin, transient
from stream_durable.kafka.leaders import ask_leaders
from stream_durable.kafka.lives import Kept
from stream_durable.kafka.log import GroupLog
from stream_durable.kafka.threads import in_thread
from stream_durable.settings import KafkaSettings, Settings
from stream_durable.wire.topics import BINDING, full_name


def bound_logs(settings: Settings, client: str) -> Callable[[Binding], BoundGroupLog]:
    """Return a maker of logs, each with the group of a binding."""

    def make(binding: Binding) -> BoundGroupLog:
        group = full_name(settings.prefix, BINDING + binding.name)
        bytes_max = settings.engine.batch_bytes_max
        return BoundGroupLog(settings.kafka, binding.topic, group, client=client, bytes_max=bytes_max)

    return make


class BoundGroupLog(GroupLog):
    """A topic of others."""

    def __init__(
        self, settings: KafkaSettings, topic: str, group: str, *, client: str, bytes_max: int
    ) -> None:
        """Join nothing yet."""
        super().__init__(settings, topic, group, client=client, bytes_max=bytes_max)
        self._looker = Kept(lambda: Admin(settings, client))

    async def check(self) -> None:
        """Raise `TransientError` if there is no such topic."""
        await in_thread(self._check)

    async def settled(self) -> None:
        """Wait until earlier orders are carried out."""
        await self._orders.outcome(lambda: None)

    async def offset_at(self, partition: int, time: int) -> int:
        """Return the offset of the first record at or after a time; else the next offset."""
        # In this order: a record that comes in between is younger than the end.
        end = (await self.bounds(partition)).high
        part = TopicPartition(self._topic, partition, time)
        [found] = await self._orders.outcome(
            lambda: ask_leaders(
                self._consumer,
                [self._topic],
                lambda: self._consumer.offsets_for_times([part], timeout=CALL_SECONDS),
            )
        )
        if found.error is not None:
            raise transient(found.error, self._settings)
        return int(found.offset) if found.offset >= 0 else end

    def _check(self) -> None:
        # Without a name, no broker makes a topic that is missing.
        try:
            there = self._looker().list_topics(timeout=CALL_SECONDS).topics
        except KafkaException as error:
            self._looker.blame(error)
            raise transient(error, self._settings) from error
        if self._topic not in there:
            text = f"there is no topic {self._topic!r} at {self._settings.bootstrap}"
            raise TransientError(f"{text}: {missing_remedy(self._topic)}")
