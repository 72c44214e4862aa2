"""A topic read between offsets, for tools: a rebuild, the dead letters, a look at the past.

No group, no commits, no effect on others. Each reading has a consumer and a thread making every call. Nothing
is read ahead in Python: the client's queue is full whenever the next batch is requested, and bounds the
memory.

An unreachable broker is awaited, unless the reader is a hasty one. A range missing from the log is an error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_durable.core.errors import BrokenError, RejectedError
from stream_durable.kafka.answers import answer_of
from stream_durable.kafka.arrivals import record_of
from stream_durable.kafka.bounds import ends_of
from stream_durable.kafka.config import CALL_SECONDS, away, config, reading, transient
from stream_durable.ports import LogBounds, Record, Span
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import DEPENDENCY_FAILED, logger

_log = logger(__name__)

_POLL_SECONDS = 0.1
#: A batch of large records ends early: this, and the client's queue, is what a reading holds.
_BATCH_BYTES_MAX = 8 * 1024 * 1024
_QUEUE_KIB_MAX = 8 * 1024
#: Taken from the client at once, between two looks at how many bytes there are.
_TAKE_MAX = 500


class KafkaReader:
    """Reads ranges of one topic."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        *,
        client: str,
        records_max: int,
        is_hasty: bool = False,
    ) -> None:
        """Hand over at most `records_max` records at once.

        With `is_hasty` a reading without any record for `CALL_SECONDS` raises `TransientError`.
        """
        self._settings = settings
        self._topic = topic
        self._client = client
        self._records_max = records_max
        self._patience_seconds = CALL_SECONDS if is_hasty else None

    async def bounds(self) -> Mapping[int, LogBounds]:
        """Return identity and bounds of each partition's log."""
        return await asyncio.to_thread(self._bounds)

    async def read(self, spans: Sequence[Span]) -> AsyncGenerator[list[Record], None]:
        """Read these ranges, in batches as large as allowed."""
        wanted = [span for span in spans if span.start < span.end]
        if not wanted:
            return
        loop = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"read-{self._topic}")
        reading = _Reading(self._settings, self._topic, wanted, self._records_max, self._patience_seconds)
        try:
            await loop.run_in_executor(thread, reading.open, self._client)
            while records := await loop.run_in_executor(thread, reading.take):
                yield records
        finally:
            reading.is_closed = True
            thread.submit(reading.close)
            thread.shutdown(wait=False)

    def _bounds(self) -> dict[int, LogBounds]:
        admin = AdminClient(config(self._settings, self._client))
        try:
            topics = admin.describe_topics(TopicCollection([self._topic]), request_timeout=CALL_SECONDS)
            topic = answer_of(topics[self._topic])
            parts = [TopicPartition(self._topic, p.id) for p in topic.partitions]
            return {
                part.partition: LogBounds(str(topic.topic_id), *ends)
                for part, ends in ends_of(admin, self._settings, parts).items()
            }
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise RejectedError("unknown_topic", f"there is no topic {self._topic!r}") from error
            raise transient(error, self._settings) from error


class _Reading:
    """A consumer reading ranges. All calls come from one thread."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        spans: Sequence[Span],
        records_max: int,
        patience_seconds: float | None,
    ) -> None:
        self._settings = settings
        self._patience_seconds = patience_seconds
        self._topic = topic
        #: Ranges not yet read to their end.
        self._left = {span.partition: span for span in spans}
        self._records_max = records_max
        self._consumer: Consumer | None = None
        #: Set by anybody, so that a broker that is away holds up no end.
        self.is_closed = False

    def open(self, client: str) -> None:
        """Begin to fetch."""
        consumer = Consumer(
            reading(
                self._settings,
                self._topic,
                client,
                auto_offset_reset="error",
                enable_partition_eof=True,
                fetch_queue_backoff_ms=5,
                queued_min_messages=100_000,
                queued_max_messages_kbytes=_QUEUE_KIB_MAX,
            )
        )
        self._consumer = consumer
        consumer.assign([TopicPartition(self._topic, s.partition, s.start) for s in self._left.values()])

    def take(self) -> list[Record]:
        """Return the next records, waiting for a full batch; nothing when all has been read."""
        consumer = self._consumer
        assert consumer is not None
        records: list[Record] = []
        room, size = self._records_max, 0
        heard = time.monotonic()
        try:
            while self._left and room > 0 and size < _BATCH_BYTES_MAX and not self.is_closed:
                first = consumer.poll(_POLL_SECONDS)
                if first is None:
                    self._check_patience(heard)
                    continue
                heard = time.monotonic()
                count = len(records)
                for message in [first, *consumer.consume(min(room, _TAKE_MAX) - 1, 0)]:
                    self._sort_in(message, records)
                room -= len(records) - count
                size += sum(len(r.value or b"") for r in records[count:])
        except KafkaException as error:
            raise transient(error, self._settings) from error
        return records

    def _check_patience(self, heard: float) -> None:
        if self._patience_seconds is not None and time.monotonic() - heard > self._patience_seconds:
            raise away(self._settings, f"no answer for {self._topic}")

    def close(self) -> None:
        """Let go of the consumer."""
        if self._consumer is not None:
            self._consumer.close()

    def _sort_in(self, message: Message, records: list[Record]) -> None:
        partition, offset = message.partition(), message.offset()
        span = self._left.get(-1 if partition is None else partition)
        if message.error() is not None:
            self._on_error(message, span)
        elif span is not None:
            assert offset is not None
            if offset < span.end:
                records.append(record_of(span.partition, message))
            if offset + 1 >= span.end:
                self._finish(span)

    def _on_error(self, message: Message, span: Span | None) -> None:
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._PARTITION_EOF:
            # Markers at the end of a log are no records: only this event shows the end. Before the end it
            # means nothing: a new leader may learn later of earlier records.
            if span is not None and (message.offset() or 0) >= span.end:
                self._finish(span)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET and span is not None:
            raise BrokenError(
                f"partition {span.partition} of {self._topic} no longer holds all records from offset "
                f"{span.start} to {span.end}: {error.str()}"
            )
        elif error.fatal():
            raise transient(error, self._settings)
        else:
            _log.warning(DEPENDENCY_FAILED, reason=error.str(), doing=f"read {self._topic}")

    def _finish(self, span: Span) -> None:
        assert self._consumer is not None
        del self._left[span.partition]
        self._consumer.pause([TopicPartition(self._topic, span.partition)])
