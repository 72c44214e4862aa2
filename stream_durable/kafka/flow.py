"""Reads the events of all runs and steps from the end of the log, for live changes."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_durable.core.errors import RejectedError, StreamDurableError
from stream_durable.kafka.config import CALL_SECONDS, transient
from stream_durable.kafka.feed import LATEST, POLL_SECONDS, RECORDS_MAX, Feed, closed, judge, offsets_at
from stream_durable.kafka.partitions import check_partitions
from stream_durable.kafka.threads import outcome
from stream_durable.ports import LoggedEvent
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import RECORD_REJECTED, logger
from stream_durable.wire.lifecycle import head

_log = logger(__name__)


class Flow:
    """One consumer of all partitions of both topics; of each event the head alone is read."""

    def __init__(
        self, settings: KafkaSettings, properties: dict[str, Any], parts: list[TopicPartition]
    ) -> None:
        """Read nothing yet."""
        self.feed: Feed[list[LoggedEvent]] = Feed()
        self._settings = settings
        self._properties = properties
        self._parts = parts
        self._places = {(part.topic, part.partition): place for place, part in enumerate(parts)}
        self._ready: Future[tuple[int, ...]] = Future()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._serve, name="tail-flow", daemon=True)

    async def start(self) -> tuple[int, ...]:
        """Begin to read; return the offsets where the flow begins."""
        self._thread.start()
        return await outcome(self._ready)

    def stop(self) -> None:
        """Stop the thread, which takes a moment."""
        self._is_stopping = True

    def join(self) -> None:
        """Wait for the thread."""
        self._thread.join(CALL_SECONDS)

    def _serve(self) -> None:
        consumer = Consumer(self._properties)
        try:
            check_partitions(consumer, {part.topic for part in self._parts}, self._settings)
            starts = offsets_at(consumer, self._parts, LATEST, self._settings)
            consumer.incremental_assign(starts)
            self._ready.set_result(tuple(part.offset for part in starts))
            while not self._is_stopping:
                if events := self._read(consumer):
                    self.feed.put([events])
            self._end(closed())
        except StreamDurableError as error:
            self._end(error)
        except KafkaException as error:
            self._end(transient(error, self._settings))
        finally:
            consumer.close()

    def _end(self, error: StreamDurableError) -> None:
        if self._ready.done():
            self.feed.fail(error)
        else:
            self._ready.set_exception(error)

    def _read(self, consumer: Consumer) -> list[LoggedEvent]:
        first = consumer.poll(POLL_SECONDS)
        if first is None:
            return []
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
        return events
