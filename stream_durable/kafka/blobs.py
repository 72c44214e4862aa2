"""Large values on a separate topic: written by the given publisher, read one by one.

Reading uses a consumer without a group, and a thread making every call. Both are created for the first read,
since most processes never read.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_durable.core.errors import RejectedError
from stream_durable.kafka.config import BLOB_MESSAGE_BYTES_MAX, CALL_SECONDS, away, reading, transient
from stream_durable.kafka.lives import Kept
from stream_durable.ports import Outgoing, PlacingPublisher
from stream_durable.settings import KafkaSettings
from stream_durable.wire.topics import BLOBS, full_name

_POLL_SECONDS = 0.1
#: A new leader may learn a little later of earlier acknowledged records.
_END_SECONDS = 3.0


class KafkaBlobs:
    """Stores large values of one instance."""

    def __init__(
        self, settings: KafkaSettings, prefix: str, publisher: PlacingPublisher, *, client: str
    ) -> None:
        """Connect to nothing yet."""
        self._settings = settings
        self._topic = full_name(prefix, BLOBS)
        self._publisher = publisher
        self._client = client
        self._consumer = Kept(self._made)
        self._thread: ThreadPoolExecutor | None = None
        #: Set by anybody, so that a broker that is away holds up no end.
        self._is_closed = False

    async def put(self, key: str, data: bytes) -> tuple[int, int]:
        """Store a value; return partition and offset after the acknowledgement."""
        try:
            return await self._publisher.place(Outgoing(BLOBS, None, key.encode(), data))
        except RejectedError as error:
            raise RejectedError(
                "payload_refused",
                f"topic {self._topic} takes no value of {len(data)} bytes ({error}): "
                f"set its max.message.bytes to {BLOB_MESSAGE_BYTES_MAX}",
            ) from error

    async def get(self, partition: int, offset: int) -> bytes | None:
        """Return the value at a place; None: it is not there, or not any more."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="blobs")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, partition, offset)

    async def close(self) -> None:
        """Let go of the consumer."""
        self._is_closed = True
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
            self._thread.shutdown(wait=False)

    def _read(self, partition: int, offset: int) -> bytes | None:
        consumer = self._consumer()
        try:
            consumer.assign([TopicPartition(self._topic, partition, offset)])
            return self._found(consumer, offset)
        except KafkaException as error:
            self._consumer.blame(error)
            raise transient(error, self._settings) from error
        finally:
            consumer.unassign()

    def _found(self, consumer: Consumer, offset: int) -> bytes | None:
        give_up = time.monotonic() + CALL_SECONDS
        until = give_up
        while (now := time.monotonic()) < until and not self._is_closed:
            message = consumer.poll(_POLL_SECONDS)
            if message is None:
                continue
            error = message.error()
            if error is None:
                return message.value() if message.offset() == offset else None
            if error.code() == KafkaError._AUTO_OFFSET_RESET:
                return None
            if error.code() == KafkaError._PARTITION_EOF:
                until = min(until, now + _END_SECONDS)
            elif error.fatal() or error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise transient(error, self._settings)
        if until < give_up:
            return None
        self._consumer.blame(None)
        raise away(self._settings, f"no answer for {self._topic}")

    def _made(self) -> Consumer:
        return Consumer(
            reading(
                self._settings,
                self._topic,
                self._client,
                auto_offset_reset="error",
                enable_partition_eof=True,
                # Only one value is needed; later records are not.
                queued_min_messages=1,
                queued_max_messages_kbytes=1,
            )
        )

    def _end(self) -> None:
        if (consumer := self._consumer.made) is not None:
            consumer.close()
