"""The load: starts runs, signals them and sees them end, as cheaply as a client can.

An external client like any other, outside the engine, using the plain Kafka client, and recognising events by
the first bytes of their values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from stream_durable.bench.app import EVENT, SIGNAL
from stream_durable.bench.errors import BenchError
from stream_durable.core.lifecycle import RUN_CANCELLED, RUN_FAILED, RunEvent, StepEvent
from stream_durable.core.messages import Message, SignalRun, StartRun
from stream_durable.kafka.config import PARTITIONER, config, reading
from stream_durable.kafka.topic_rules import wanted
from stream_durable.settings import KafkaSettings, Settings
from stream_durable.wire import inbox, lifecycle
from stream_durable.wire.topics import EVENTS, INBOX, full_name

#: A run that has not ended by then never will, or the machine is of no use for measuring.
PATIENCE_SECONDS: Final = 120.0
_CALL_SECONDS: Final = 10.0
#: As in the prototype's load: what is complete is seen this much late at most.
_POLL_SECONDS: Final = 0.2
PAYLOAD: Final = msgspec.Raw(b'{"in":"' + b"b" * 80 + b'"}')


def prefixes_of(kind: type[RunEvent | StepEvent], *types: str) -> tuple[bytes, ...]:
    """Return the first bytes of events of these types, for each schema and type.

    In Avro a text is encoded as length, zigzag, and bytes; `type` is the first field.
    """
    return tuple(
        frame + bytes([len(type_) << 1]) + type_.encode()
        for frame in lifecycle.frames(kind)
        for type_ in types
    )


class Watcher:
    """Collects the runs with an event, from the creation of the watcher."""

    def __init__(self, settings: Settings, topic: str, event: tuple[bytes, ...]) -> None:
        """Begin at the end of the topic, recognising the event by these prefixes."""
        self._event = event
        self._ends_badly = prefixes_of(RunEvent, RUN_FAILED, RUN_CANCELLED)
        self._consumer = Consumer(
            config(
                settings.kafka,
                "bench",
                group_id=full_name(settings.prefix, "bench"),
                enable_auto_commit=False,
                auto_offset_reset="error",
                fetch_queue_backoff_ms=5,
            )
        )
        name = full_name(settings.prefix, topic)
        parts = [TopicPartition(name, partition) for partition in range(settings.kafka.partitions)]
        for part in parts:
            part.offset = _end_of(self._consumer, part)
        self._consumer.assign(parts)

    def wait(self, runs: Iterable[str], check: Callable[[], None]) -> dict[str, int]:
        """Wait for the event of each of these runs; `check` raises when waiting is hopeless.

        Return the milliseconds since the epoch at which each was published, in order of arrival.
        """
        moments: dict[str, int] = {}
        pending = {run.encode() for run in runs}
        count = len(pending)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while pending:
            messages = self._consumer.consume(1_000, _POLL_SECONDS)
            for message in messages:
                before = len(pending)
                self._see(message, pending)
                if len(pending) < before:
                    deadline = time.monotonic() + PATIENCE_SECONDS
                    moments[_key_of(message).decode()] = message.timestamp()[1]
            if not messages:
                check()
            if pending and time.monotonic() > deadline:
                raise BenchError(
                    f"{len(pending)} of {count} runs are missing and none has come for "
                    f"{PATIENCE_SECONDS:.0f} s, among them {min(pending).decode()}"
                )
        return moments

    def wait_one(self, run: str, check: Callable[[], None]) -> bytes:
        """Wait for a single run, with the least delay; return the event."""
        key = {run.encode()}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            message = self._consumer.poll(_POLL_SECONDS)
            if message is not None:
                self._see(message, key)
                value = message.value()
                if not key and value is not None:
                    return value
                continue
            check()
            if time.monotonic() > deadline:
                raise BenchError(f"1 of 1 run is missing after {PATIENCE_SECONDS:.0f} s: {run}")

    def count(self, run: str, number: int, check: Callable[[], None]) -> int:
        """Wait for some events of a run, at most this many; return how many came."""
        key = run.encode()
        messages = self._consumer.consume(number, _POLL_SECONDS)
        if not messages:
            check()
        came = 0
        for message in messages:
            pending = {key}
            self._see(message, pending)
            came += not pending
        return came

    def during(self, seconds: float, check: Callable[[], None]) -> int:
        """Return how many events come within a time."""
        came, deadline = 0, time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for message in self._consumer.consume(1_000, left):
                pending = {_key_of(message)}
                self._see(message, pending)
                came += not pending
        check()
        return came

    def close(self) -> None:
        """Let go of the consumer."""
        self._consumer.close()

    def _see(self, message: Any, pending: set[bytes]) -> None:
        if (error := message.error()) is not None:
            raise BenchError(f"Kafka: {error.str()}")
        value = message.value()
        if value.startswith(self._event):
            pending.discard(message.key())
        elif value.startswith(self._ends_badly):
            raise BenchError(f"a run ended badly: {lifecycle.decode(value)}")


def _key_of(message: KafkaMessage) -> bytes:
    """Return the key, which every public event has."""
    key = message.key()
    return b"" if key is None else key


class Load:
    """Writes to the inbox, and events as anybody would."""

    def __init__(self, settings: Settings) -> None:
        """Connect."""
        self._inbox = full_name(settings.prefix, INBOX)
        self._events = full_name(settings.prefix, EVENTS)
        self._producer = Producer(
            config(
                settings.kafka,
                "bench",
                enable_idempotence=True,
                linger_ms=0,
                partitioner=PARTITIONER,
                queue_buffering_max_messages=1_000_000,
                socket_nagle_disable=True,
            )
        )

    def start(self, workflow: str, fingerprint: str, run: str, given: msgspec.Raw = PAYLOAD) -> None:
        """Ask for a run."""
        self.send(StartRun(key=run, id=run, workflow=workflow, fingerprint=fingerprint, input=given))

    def signal(self, run: str) -> None:
        """Send a run the signal for its wait."""
        self.send(SignalRun(key=run, id=f"{run}/go", signal=SIGNAL, data=PAYLOAD))

    def hit(self, run: str, signal: str, number: int) -> None:
        """Send a run a signal for a reaction."""
        self.send(SignalRun(key=run, id=f"{run}/{signal}/{number}", signal=signal, data=PAYLOAD))

    def event(self, key: str) -> None:
        """Publish the event for the waits with this key."""
        event = {"type": EVENT, "key": key, "data": PAYLOAD}
        self._produce(self._events, msgspec.json.encode(event), key)

    def record(self, topic: str, key: str) -> None:
        """Put a record on a topic of others."""
        self._produce(topic, msgspec.json.encode({"id": key, "data": PAYLOAD}), key)

    def flush(self) -> None:
        """Wait until Kafka has everything."""
        if left := self._producer.flush(PATIENCE_SECONDS):
            raise BenchError(f"Kafka did not take {left} records within {PATIENCE_SECONDS:.0f} s")

    def send(self, message: Message) -> None:
        """Put a message on the inbox."""
        self._produce(self._inbox, inbox.encode(message), message.key)

    def _produce(self, topic: str, value: bytes, key: str) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key)
            except BufferError:
                self._producer.poll(_POLL_SECONDS)
            else:
                return


def records_in(settings: KafkaSettings, topic: str, partitions: int) -> int:
    """Return how many records a topic has had."""
    consumer = Consumer(reading(settings, topic, "bench"))
    try:
        return sum(_end_of(consumer, TopicPartition(topic, partition)) for partition in range(partitions))
    finally:
        consumer.close()


def remove_topics(settings: Settings) -> None:
    """Give back the disk."""
    admin = AdminClient(config(settings.kafka, "bench"))
    names = [topic.name for topic in wanted(settings, settings.worker.queues)]
    for future in admin.delete_topics(names).values():
        # A broker that is gone has no disk to give back.
        with suppress(KafkaException):
            future.result(_CALL_SECONDS)


def _end_of(consumer: Consumer, part: TopicPartition) -> int:
    """Return the end of a partition; a new partition has no leader for a moment."""
    deadline = time.monotonic() + _CALL_SECONDS
    while True:
        try:
            bounds = consumer.get_watermark_offsets(part, timeout=_CALL_SECONDS)
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise BenchError(f"Kafka: {error}") from error
            # The fetched metadata is out of date; this fetches again.
            consumer.list_topics(part.topic, timeout=_CALL_SECONDS)
            continue
        if bounds is None:
            raise BenchError("Kafka does not answer")
        return bounds[1]
