"""Reads the events of all runs and steps from the end of the log, for live changes."""

from __future__ import annotations

from typing import Any

from confluent_kafka import Consumer, TopicPartition

from stream_durable.core.errors import RejectedError
from stream_durable.kafka.feed import LATEST, POLL_SECONDS, RECORDS_MAX, FeedReader, judge, offsets_at
from stream_durable.ports import LoggedEvent
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import RECORD_REJECTED, logger
from stream_durable.wire.lifecycle import head

_log = logger(__name__)


class Flow(FeedReader[tuple[int, ...], list[LoggedEvent]]):
    """One consumer of all partitions of both topics; of each event the head alone is read.

    Starting returns the offsets where the flow begins.
    """

    def __init__(
        self, settings: KafkaSettings, properties: dict[str, Any], parts: list[TopicPartition]
    ) -> None:
        """Read nothing yet."""
        super().__init__(settings, properties, parts, "tail-flow")
        self._places = {(part.topic, part.partition): place for place, part in enumerate(parts)}

    def _begin(self, consumer: Consumer) -> tuple[int, ...]:
        starts = offsets_at(consumer, self._parts, LATEST, self._settings)
        consumer.incremental_assign(starts)
        return tuple(part.offset for part in starts)

    def _read(self, consumer: Consumer) -> None:
        first = consumer.poll(POLL_SECONDS)
        if first is None:
            return
        events = []
        for message in [first, *consumer.consume(RECORDS_MAX - 1, 0)]:
            error, value = message.error(), message.value()
            if error is not None:
                judge(error, self._settings)
                continue
            place, offset = self._places[message.topic() or "", message.partition() or 0], message.offset()
            try:
                events.append(LoggedEvent(place, offset or 0, head(value or b"")))
            except RejectedError as fault:
                _log.warning(
                    RECORD_REJECTED, topic=message.topic(), partition=message.partition(), offset=offset,
                    reason=str(fault),
                )  # fmt: skip
        if events:
            self.feed.put([events])
