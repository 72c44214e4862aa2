"""One idempotent producer, created at start-up and kept: a new one first connects twice and asks for an id.

librdkafka's errors and the consequences:

- Transient errors are retried by librdkafka in order, as long as `message.timeout.ms` is 0. A partition
  without a leader keeps its messages in the queue and delays no other partition.
- A batch refused for good fails whole; then librdkafka waits for all requests under way and gets a new epoch,
  0.1 s on a quiet machine with nothing sent meanwhile. Messages queued behind the batch would be sent before
  its retries, so queued messages are purged as soon as a refusal is reported. A process held up for longer
  than that, in the first burst to a topic with an unknown limit below a batch's size, can lose the order.
- A deleted topic fails after `topic.metadata.propagation.max.ms`; later messages for it fail at once.
- A fatal error ends the producer, and so does the loss of every broker (`lives.py`); a new one is created,
  and unacknowledged messages are sent again in order.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import partition_of
from stream_durable.kafka.config import MESSAGE_BYTES_MAX, PARTITIONER, away, config, heard
from stream_durable.kafka.limits import Limits
from stream_durable.kafka.lives import Life
from stream_durable.kafka.threads import in_thread
from stream_durable.lanes import BATCH_BYTES, Concerns, LaneKey, Trouble
from stream_durable.ports import Headers, Outgoing, Refusal
from stream_durable.sending import Delivery, Sender
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import PRODUCER_REPLACED, logger
from stream_durable.wire.topics import COMMANDS, CONTROL, FOREIGN, full_name

_log = logger(__name__)

#: Errors of a missing topic or partition, from the broker or from the client; the client also uses them for
#: an unreachable broker.
_MISSING = frozenset({
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.TOPIC_EXCEPTION,
})  # fmt: skip
_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_INVALID = frozenset({
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.POLICY_VIOLATION,
    KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    KafkaError._BAD_MSG,
    KafkaError._INVALID_ARG,
})  # fmt: skip
#: How long the brokers may take to make a new topic known, before one is held to be missing.
_KNOWN_MS = 5_000
#: How long the thread waits for acknowledgements, and without any under way for messages.
_POLL_SECONDS, _LOOK_SECONDS = 0.1, 1.0
#: How long the thread polls on after an acknowledgement, which costs less than to be woken for each message.
_BUSY_SECONDS = 0.2
_DRAIN_SECONDS = 10.0
#: A client awaits each message: messages left at the close were abandoned by their senders.
_ABANDONED_SECONDS = 1.0


class _Placed(Delivery):
    """A message, and the offset after acknowledgement."""

    __slots__ = ("place",)

    def settle(self, i: int, error: Any, placed: Any) -> None:
        if error is None:
            self.place: tuple[int, int] = (placed.partition(), placed.offset())
        super().settle(i, error, placed)


class _Fate:
    """Whether a producer has died; apart from the publisher, lest the two hold each other."""

    def __init__(self) -> None:
        self.life = Life()
        self._fatal: str | None = None

    def note(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error.str()

    @property
    def end(self) -> str | None:
        """Why the producer is of no more use; None: it is."""
        return "the client has lost every broker" if self.life.is_over else self._fatal


class _Wire:
    """The producer, and the thread receiving acknowledgements."""

    unplaced = KafkaError(KafkaError.DUPLICATE_SEQUENCE_NUMBER)

    def __init__(self, settings: KafkaSettings, prefix: str, client: str, limits: Limits) -> None:
        self.settings = settings
        self._client = client
        self._prefix = prefix
        self._limits = limits
        #: Topics by their names without the prefix.
        self.topics: dict[str, str] = {}
        self.is_closed = False
        #: Set by each message, and at the end.
        self._wake = threading.Event()
        self._fate = _Fate()
        self.producer = self._make()
        self.thread = threading.Thread(target=self._serve, name="publisher", daemon=True)
        self.thread.start()

    def produce(
        self, message: Outgoing, headers: Headers | None, settle: Callable[[Any, Any], None]
    ) -> KafkaError | None:
        """Pass a message to the producer; return the error of a refusal."""
        topic = self.topics.get(message.topic) or self._topic(message.topic)
        partition = -1 if message.partition is None else message.partition
        produce: Any = self.producer.produce
        try:
            if headers is None:
                produce(topic, message.value, message.key, partition, settle)
            else:
                produce(topic, message.value, message.key, partition, settle, headers=headers)
        except BufferError:
            return KafkaError(KafkaError._QUEUE_FULL)
        except KafkaException as error:
            found: KafkaError = error.args[0]
            return found
        if not self._wake.is_set():
            self._wake.set()
        return None

    def lane(self, message: Outgoing) -> LaneKey:
        """Return the lane of a message; without a key any partition will do."""
        if message.partition is not None:
            return message.topic, message.partition
        if message.key is None or message.topic.startswith(FOREIGN):
            # How many partitions a topic of others has is not known here: all of it is one lane.
            return message.topic, -1
        try:
            return message.topic, partition_of(message.key.decode(), self.settings.partitions)
        except UnicodeDecodeError:
            return message.topic, -1

    def trouble(self, error: KafkaError) -> Trouble:
        """Classify an error."""
        code = error.code()
        if code in _TOO_LARGE:
            return Trouble(Concerns.MESSAGE, "too_large", error.str())
        if code in _INVALID:
            return Trouble(Concerns.MESSAGE, "invalid", error.str())
        if code in _MISSING:
            return Trouble(Concerns.TOPIC, "no_topic", error.str())
        if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return Trouble(Concerns.TOPIC, "not_authorised", error.str())
        return Trouble(Concerns.MOMENT, "away", error.str())

    def take_back(self, error: KafkaError) -> None:
        """After a refusal, send queued messages of the same batch before anything else."""
        if error.code() in _TOO_LARGE or error.code() in _INVALID:
            self.producer.purge(in_queue=True, in_flight=False, blocking=False)

    async def look(self, lane: LaneKey) -> bool:
        """Ask the brokers about a topic."""
        return await in_thread(self._limits.look, *lane)

    def _topic(self, name: str) -> str:
        topic = self.topics[name] = full_name(self._prefix, name)
        self._limits.look_soon()
        return topic

    def _make(self) -> Producer:
        made = config(
            self.settings,
            self._client,
            enable_idempotence=True,
            acks="all",
            # Bursts batch by themselves; any other value costs its time at every hop.
            linger_ms=0,
            batch_size=BATCH_BYTES,
            partitioner=PARTITIONER,
            message_max_bytes=MESSAGE_BYTES_MAX,
            # Never: a message that timed out and is published again would come after its successors.
            message_timeout_ms=0,
            topic_metadata_propagation_max_ms=_KNOWN_MS,
            queue_buffering_max_messages=500_000,
        )
        made = heard(self.settings, made)
        hear, fate = made["error_cb"], self._fate

        def note(error: KafkaError) -> None:
            hear(error)
            fate.note(error)

        return Producer({**made, **fate.life.properties, "error_cb": note})

    def _serve(self) -> None:
        busy_until, pause = 0.0, _POLL_SECONDS
        while not self.is_closed:
            if self.producer.poll(pause) or len(self.producer):
                busy_until, pause = time.monotonic() + _BUSY_SECONDS, _POLL_SECONDS
            elif time.monotonic() > busy_until:
                # Without a message there is nothing to wait for, and reports of the client are there or not.
                pause = _POLL_SECONDS if self._is_woken() else 0.0
            if (reason := self._fate.end) is not None:
                self._replace(reason)

    def _is_woken(self) -> bool:
        """Wait for the next message, for a while; return whether there is one."""
        self._wake.clear()
        return len(self.producer) > 0 or self.is_closed or self._wake.wait(_LOOK_SECONDS)

    def end(self) -> None:
        """End the thread."""
        self.is_closed = True
        self._wake.set()

    def _replace(self, reason: str) -> None:
        """Replace a dead producer; unsent messages fail, and are sent again by the next."""
        _log.warning(PRODUCER_REPLACED, reason=reason)
        dead = self.producer
        self._fate = _Fate()
        self.producer = self._make()
        dead.purge()
        while len(dead) and not self.is_closed:
            dead.poll(0.1)


class KafkaPublisher(Sender):
    """Publishes in order per partition, each message until it is acknowledged or refused."""

    def __init__(self, settings: KafkaSettings, prefix: str, *, client: str, serves: bool = False) -> None:
        """Connect at once, so that the first message need not wait for the connection.

        With `serves`, topic limits are read before a refusal, and messages for missing topics of the instance
        are kept until the topics exist; missing topics of queues and of others refuse, and the control topic,
        whose records are repeated. Without it all missing topics refuse.
        """
        self._topic_limits = Limits(settings, prefix, client=client)
        self._kafka = _Wire(settings, prefix, client, self._topic_limits)
        super().__init__(
            self._kafka,
            self._topic_limits.bytes,
            refuses=(lambda topic: topic.startswith((COMMANDS, FOREIGN, CONTROL)))
            if serves
            else lambda topic: True,
        )
        if serves:
            self._topic_limits.watch(self._kafka.topics)
        self._drain_seconds = _DRAIN_SECONDS if serves else _ABANDONED_SECONDS
        self._is_closed = False
        # A thread that is inside the client when the interpreter ends can take the process down.
        atexit.register(self._leave)

    async def place(self, message: Outgoing, headers: Headers | None = None) -> tuple[int, int]:
        """Publish one message; return partition and offset.

        Raises `RejectedError` for a message over the topic's limit, `TransientError` for a missing topic.
        """
        settled: asyncio.Future[list[Refusal]] = asyncio.get_running_loop().create_future()
        placed = _Placed(
            self, [(message, headers)], lambda found: None if settled.done() else settled.set_result(found)
        )
        self._send(placed)
        for refusal in await settled:
            if refusal.code in ("no_topic", "not_authorised"):
                raise away(self._kafka.settings, f"{refusal.reason}: {message.topic}")
            raise RejectedError("refused_by_topic", refusal.reason)
        return placed.place

    def push(self, message: Outgoing, heard: Callable[[], None]) -> None:
        """Publish from any thread without waiting; `heard` is called, in our thread, on acknowledgement.

        For messages during a standstill of the loop, without handling of refusals.
        """
        self._kafka.produce(message, None, lambda error, _: None if error else heard())

    async def close(self) -> None:
        """Wait for messages under way, up to a limit, and stop."""
        if self._is_closed:
            return
        self._is_closed = True
        self.stop()
        self._topic_limits.close()
        kafka = self._kafka
        await in_thread(kafka.producer.flush, self._drain_seconds)
        kafka.end()
        await in_thread(kafka.thread.join, 2.0)
        # Unacknowledged messages are abandoned, since closing waits for them.
        kafka.producer.purge()
        await in_thread(kafka.producer.close)
        atexit.unregister(self._leave)

    def _leave(self) -> None:
        self._kafka.end()
        self._kafka.thread.join(1.0)
