"""The verdicts topic, read per partition at a takeover. The topic holds few records."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import OFFSET_END, Consumer, KafkaException, TopicPartition

from stream_durable.core.errors import RejectedError, TransientError
from stream_durable.kafka.config import CALL_SECONDS, away, reading, transient
from stream_durable.kafka.leaders import ask_leaders
from stream_durable.kafka.lives import Kept
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import RECORD_REJECTED, logger
from stream_durable.wire.topics import VERDICTS, full_name
from stream_durable.wire.verdicts import Verdict, decode_verdict

_log = logger(__name__)

#: A verdict is later than the record it is about, as far as the clocks of brokers agree.
_SKEW_MS = 600_000


class KafkaVerdicts:
    """Reads verdicts about records still to be folded."""

    def __init__(self, settings: KafkaSettings, prefix: str, *, client: str) -> None:
        """Connect when first asked."""
        self._topic = full_name(prefix, VERDICTS)
        self._settings = settings
        self._config = reading(settings, prefix, client, auto_offset_reset="earliest", fetch_wait_max_ms=10)
        self._consumer = Kept(lambda: Consumer(self._config))
        #: One thread owns the consumer.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="verdicts")

    async def about(self, partition: int, offset: int, since: int) -> list[Verdict]:
        """Return the verdicts about records from this offset on, not older than `since`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._about, partition, offset, since)

    async def close(self) -> None:
        """Let go of the consumer."""
        if (consumer := self._consumer.made) is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, consumer.close)
        self._thread.shutdown(wait=False)

    def _about(self, partition: int, offset: int, since: int) -> list[Verdict]:
        try:
            consumer = self._consumer()
            part = TopicPartition(self._topic, partition)
            bounds = ask_leaders(
                consumer,
                [self._topic],
                lambda: consumer.get_watermark_offsets(part, timeout=CALL_SECONDS),
            )
            if bounds is None:
                raise self._no_answer()
            low, high = bounds
            start = low if low == high else self._first(consumer, partition, max(0, since - _SKEW_MS), high)
            return self._read(consumer, partition, start, high, offset) if start < high else []
        except KafkaException as error:
            self._consumer.blame(error)
            raise transient(error, self._settings) from error

    def _first(self, consumer: Consumer, partition: int, since: int, high: int) -> int:
        asked = [TopicPartition(self._topic, partition, since)]
        (found,) = consumer.offsets_for_times(asked, timeout=CALL_SECONDS)
        if found.error is not None:
            raise transient(found.error, self._settings)
        return high if found.offset == OFFSET_END else found.offset

    def _read(self, consumer: Consumer, partition: int, start: int, end: int, offset: int) -> list[Verdict]:
        verdicts: list[Verdict] = []
        consumer.assign([TopicPartition(self._topic, partition, start)])
        try:
            position = start
            while position < end:
                message = consumer.poll(CALL_SECONDS)
                if message is None:
                    raise self._no_answer()
                if message.error() is not None:
                    raise transient(message.error(), self._settings)
                at = message.offset() or 0
                position = at + 1
                verdict = self._verdict(partition, at, message.value())
                if verdict is not None and verdict.offset >= offset:
                    verdicts.append(verdict)
        finally:
            consumer.unassign()
        return verdicts

    def _no_answer(self) -> TransientError:
        self._consumer.blame(None)
        return away(self._settings)

    def _verdict(self, partition: int, offset: int, value: bytes | None) -> Verdict | None:
        try:
            return decode_verdict(value)
        except RejectedError as error:
            _log.warning(
                RECORD_REJECTED, topic=VERDICTS, partition=partition, offset=offset, reason=str(error)[:300]
            )
            return None
