"""A compacted topic of one partition, read as a table: from its beginning to its end, and onward."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from stream_durable.core.errors import TransientError
from stream_durable.kafka.config import CALL_SECONDS, away, reading, transient
from stream_durable.kafka.leaders import WITHOUT_LEADER, ask_leaders
from stream_durable.kafka.lives import Kept
from stream_durable.kafka.threads import outcome
from stream_durable.settings import KafkaSettings
from stream_durable.wire.topics import full_name

_Answer = TypeVar("_Answer")

#: How long the wait for more holds its thread; so long a close may take.
_WAIT_SECONDS: Final = 0.5
#: How long the broker holds a fetch without records.
_WAIT_MS: Final = 10
_FOLLOWED_WAIT_MS: Final = 500
#: After so long without a record the brokers are asked whether they are still there.
_QUIET_SECONDS: Final = 15.0
#: How long a partition may be without a leader, as while its broker registers again; the pause between looks.
_LEADER_SECONDS: Final = 5.0
_LEADER_PAUSE_SECONDS: Final = 0.1


class CompactedTopic:
    """A topic with a consumer of its own, on one thread. Each record is passed to `learn`, in order."""

    def __init__(
        self,
        settings: KafkaSettings,
        prefix: str,
        topic: str,
        learn: Callable[[Message], None],
        *,
        client: str,
        is_followed: bool = False,
    ) -> None:
        """Connect when first read; if `more` follows it for good, other calls may take half a second."""
        self.name = full_name(prefix, topic)
        self._settings = settings
        self._learn = learn
        # Questions wait behind a fetch, so it is short; followed for good, it would be a hundred a second.
        wait_ms = _FOLLOWED_WAIT_MS if is_followed else _WAIT_MS
        self._config = reading(
            settings, prefix, client, auto_offset_reset="earliest", fetch_wait_max_ms=wait_ms
        )
        self._consumer = Kept(lambda: Consumer(self._config))
        #: The consumer that the partition is assigned to.
        self._assigned: Consumer | None = None
        #: When the brokers have answered last, be it a question.
        self._heard = time.monotonic()
        #: One thread owns the consumer.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=topic)
        self._reading: Future[None] | None = None
        #: The offset behind the last record read.
        self.position = 0

    async def catch_up(self) -> None:
        """Read the topic to the end; concurrent callers share a reading not yet begun."""
        reading = self._reading
        if reading is None or reading.done() or reading.running():
            reading = self._reading = self._thread.submit(self._read_to_end)
        try:
            await outcome(reading)
        finally:
            # A failure kept would keep the client that it has met.
            if self._reading is reading and reading.done():
                self._reading = None
            del reading

    async def more(self) -> None:
        """Wait until records have been read beyond those known."""
        while not await outcome(self._thread.submit(self._wait)):
            pass

    async def ask(self, question: Callable[[Consumer], _Answer]) -> _Answer:
        """Return what a function on the consumer's thread makes of the consumer."""
        return await outcome(self._thread.submit(self._ask, question))

    async def close(self) -> None:
        """Let go of the consumer."""
        if (consumer := self._consumer.made) is not None:
            await outcome(self._thread.submit(consumer.close))
        self._thread.shutdown(wait=False)

    def _ask(self, question: Callable[[Consumer], _Answer]) -> _Answer:
        try:
            return question(self._consumer())
        except KafkaException as error:
            self._consumer.blame(error)
            raise transient(error, self._settings) from error

    def _read_to_end(self) -> None:
        try:
            consumer = self._consumer()
            end = self._end(consumer)
            if self.position < end:
                self._read(consumer, end)
        except KafkaException as error:
            self._consumer.blame(error)
            raise transient(error, self._settings) from error

    def _end(self, consumer: Consumer) -> int:
        """Return the offset behind the last record; brokers without a leader are asked again for seconds."""
        deadline = time.monotonic() + _LEADER_SECONDS
        while True:
            try:
                bounds = ask_leaders(consumer, [self.name], lambda: self._bounds(consumer))
            except KafkaException as error:
                if error.args[0].code() not in WITHOUT_LEADER or time.monotonic() > deadline:
                    raise
                time.sleep(_LEADER_PAUSE_SECONDS)
                continue
            if bounds is None:
                raise self._no_answer()
            return bounds[1]

    def _bounds(self, consumer: Consumer) -> tuple[int, int] | None:
        return consumer.get_watermark_offsets(TopicPartition(self.name, 0), timeout=CALL_SECONDS)

    def _read(self, consumer: Consumer, end: int) -> None:
        """Read from where we stand; fetch only while reading, for a question waits behind a fetch."""
        self._assign(consumer)
        try:
            while self.position < end:
                message = consumer.poll(CALL_SECONDS)
                if message is None:
                    raise self._no_answer()
                self._take(message)
        finally:
            consumer.unassign()
            self._assigned = None

    def _no_answer(self) -> TransientError:
        self._consumer.blame(None)
        return away(self._settings)

    def _wait(self) -> bool:
        try:
            consumer = self._consumer()
            if self._assigned is not consumer:
                self._assign(consumer)
            message = consumer.poll(_WAIT_SECONDS)
            if message is None:
                self._ask_if_quiet(consumer)
                return False
            self._take(message)
        except KafkaException as error:
            self._consumer.blame(error)
            raise transient(error, self._settings) from error
        return True

    def _ask_if_quiet(self, consumer: Consumer) -> None:
        """Ask the brokers after a long silence: they may be lost to this client."""
        if time.monotonic() - self._heard > _QUIET_SECONDS:
            self._end(consumer)
            self._heard = time.monotonic()

    def _assign(self, consumer: Consumer) -> None:
        consumer.assign([TopicPartition(self.name, 0, self.position or OFFSET_BEGINNING)])
        self._assigned = consumer

    def _take(self, message: Message) -> None:
        if message.error() is not None:
            raise transient(message.error(), self._settings)
        self._heard = time.monotonic()
        self.position = (message.offset() or 0) + 1
        self._learn(message)
