"""One idempotent producer, made at start-up and kept: a new one's first delivery takes half a second."""

from __future__ import annotations

import asyncio
import atexit
import threading
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from stream_durable.core.errors import MissingTopicError, RejectedError, TransientError
from stream_durable.kafka.config import MESSAGE_BYTES_MAX, PARTITIONER, config, transient
from stream_durable.ports import Headers, Outgoing
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import PRODUCER_REPLACED, logger

_log = logger(__name__)


#: What the broker, or our own client on its behalf, says of a topic that is not there.
_NO_TOPIC = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART})
#: How long the brokers may take to make a new topic known, before one is held to be missing.
_KNOWN_MS = 5_000
_CALL_SECONDS = 15.0


class _Burst:
    """The acknowledgements of the messages that were published together: one wake-up for all."""

    __slots__ = ("error", "future", "left", "loop", "missing", "refused")

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self.loop = loop
        self.future: asyncio.Future[None] = loop.create_future()
        #: Not acknowledged; the producer's thread counts these, ours those that were not even taken.
        self.left = count
        self.refused = 0
        self.error: KafkaError | None = None
        #: Topics, with the instance's prefix, that there are none of.
        self.missing: set[str] = set()

    def __call__(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._note(error, message.topic())
        self.left -= 1
        if self.left == self.refused:
            self.loop.call_soon_threadsafe(self._resolve)

    def refuse(self, error: KafkaError, topic: str) -> None:
        """Do without the acknowledgement of a message that the client does not take."""
        self._note(error, topic)
        self.refused += 1
        if self.left == self.refused:
            self._resolve()

    def _note(self, error: KafkaError, topic: str) -> None:
        self.error = error
        if error.code() in _NO_TOPIC:
            self.missing.add(topic)

    def _resolve(self) -> None:
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(transient(self.error))


class _Placed(_Burst):
    """The acknowledgement of one message, which says where it is."""

    __slots__ = ("place",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, 1)
        self.place = (-1, -1)

    def __call__(self, error: KafkaError | None, message: Any) -> None:
        if error is None:
            self.place = (message.partition(), message.offset())
        super().__call__(error, message)

    def _resolve(self) -> None:
        if self.error is not None and self.error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            if not self.future.done():
                self.future.set_exception(RejectedError("refused_by_topic", self.error.str()))
        else:
            super()._resolve()


class _Fate:
    """Whether a producer has died; apart from the publisher, lest the two hold each other."""

    is_broken = False

    def note(self, error: KafkaError) -> None:
        if error.fatal():
            _log.warning(PRODUCER_REPLACED, reason=error.str())
            self.is_broken = True


class KafkaPublisher:
    """Publishes in order; a call returns when the brokers have acknowledged all of it."""

    def __init__(self, settings: KafkaSettings, prefix: str, *, client: str) -> None:
        """Connect at once, so that the first message need not wait for it."""
        self._settings = settings
        self._client = client
        self._prefix = prefix
        self._topics: dict[str, str] = {}
        self._is_closed = False
        self._fate = _Fate()
        self._producer = self._make()
        self._thread = threading.Thread(target=self._serve, name="publisher", daemon=True)
        self._thread.start()
        # A thread that is inside the client when the interpreter ends can take the process down.
        atexit.register(self._end)

    async def publish(self, messages: Sequence[tuple[Outgoing, Headers | None]]) -> None:
        """Publish in order and wait for every acknowledgement."""
        if not messages:
            return
        burst = _Burst(asyncio.get_running_loop(), len(messages))
        try:
            await self._hand_over(messages, burst)
        except TransientError as error:
            loop = asyncio.get_running_loop()
            if missing := await loop.run_in_executor(None, self._missing, burst.missing):
                raise MissingTopicError(missing) from error
            raise

    async def place(self, message: Outgoing) -> tuple[int, int]:
        """Publish one message; return its partition and offset.

        Raises `RejectedError` if the topic takes none so large.
        """
        placed = _Placed(asyncio.get_running_loop())
        await self._hand_over([(message, None)], placed)
        return placed.place

    async def _hand_over(self, messages: Sequence[tuple[Outgoing, Headers | None]], burst: _Burst) -> None:
        if self._fate.is_broken:
            self._rebuild()
        produce: Any = self._producer.produce
        topics, prefix = self._topics, self._prefix
        for message, headers in messages:
            name = message.topic
            topic = topics.get(name) or topics.setdefault(name, f"{prefix}.{name}")
            partition = -1 if message.partition is None else message.partition
            while True:
                try:
                    if headers is None:
                        produce(topic, message.value, message.key, partition, burst)
                    else:
                        produce(topic, message.value, message.key, partition, burst, headers=headers)
                    break
                except BufferError:
                    # The local queue is full: the broker has to catch up before we go on.
                    await asyncio.sleep(0.005)
                except KafkaException as error:
                    burst.refuse(error.args[0], topic)
                    break
        await burst.future

    def _missing(self, topics: set[str]) -> frozenset[str]:
        """Ask the brokers which topics there are none of; then the client sees those made since, too."""
        try:
            there = (self._producer.list_topics(topic, _CALL_SECONDS).topics for topic in topics)
            missing = [name for found in there for name, topic in found.items() if topic.error is not None]
        except KafkaException as error:
            raise transient(error) from error
        return frozenset(name.removeprefix(f"{self._prefix}.") for name in missing)

    async def close(self) -> None:
        """Wait for what is under way, within reason, and stop."""
        if self._is_closed:
            return
        self._is_closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._producer.flush, 10.0)
        await loop.run_in_executor(None, self._thread.join, 2.0)
        # What nobody acknowledges is given up, for closing waits for it.
        self._producer.purge()
        await loop.run_in_executor(None, self._producer.close)
        atexit.unregister(self._end)

    def _end(self) -> None:
        self._is_closed = True
        self._thread.join(1.0)

    def _make(self) -> Producer:
        made = config(
            self._settings,
            self._client,
            enable_idempotence=True,
            acks="all",
            # Bursts batch by themselves; any other value costs its time at every hop.
            linger_ms=0,
            partitioner=PARTITIONER,
            message_max_bytes=MESSAGE_BYTES_MAX,
            # Never: a message that timed out and is published again would come after its successors.
            message_timeout_ms=0,
            topic_metadata_propagation_max_ms=_KNOWN_MS,
            queue_buffering_max_messages=500_000,
            socket_nagle_disable=True,
        )
        return Producer({**made, "error_cb": self._fate.note})

    def _rebuild(self) -> None:
        """Replace a producer that died; what it still held fails and is published again by its caller."""
        self._producer.purge()
        self._producer.poll(0)
        self._fate = _Fate()
        self._producer = self._make()

    def _serve(self) -> None:
        while not self._is_closed:
            self._producer.poll(0.1)
