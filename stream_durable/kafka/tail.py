"""Follows public events of runs on the log, without a group and without commits.

Three modes. `live` yields one run's events from now on; all followers share one consumer of the whole topic,
dropping unwanted keys. `past` yields earlier events too, with a separate consumer on the run's partition.
`flow` yields the heads of the events of all runs and steps from now on, with a separate consumer.

Each consumer has a thread making every call. The start offset is looked up and assigned explicitly: an
assignment "at the end" would be resolved later, losing the events in between.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from stream_durable.core.errors import RejectedError, StreamDurableError
from stream_durable.core.ids import partition_of
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.kafka.config import CALL_SECONDS, reading, transient
from stream_durable.kafka.feed import (
    LATEST,
    POLL_SECONDS,
    RECORDS_MAX,
    Feed,
    FeedReader,
    closed,
    judge,
    offsets_at,
)
from stream_durable.kafka.flow import Flow
from stream_durable.kafka.lives import LastingConsumer
from stream_durable.kafka.partitions import check_partitions
from stream_durable.kafka.threads import outcome
from stream_durable.ports import EventFlow
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import RECORD_REJECTED, logger
from stream_durable.wire.lifecycle import decode
from stream_durable.wire.topics import RUNS, STEPS, full_name

_log = logger(__name__)

#: How long the shared consumer goes on when nobody follows any more. To begin again costs the next follower
#: some 20 ms, since it has to be asked where the log ends.
_LINGER_SECONDS = 300.0
#: How often the client is listened to while nobody follows a run.
_LOOK_SECONDS = 2.0
#: Events of the past that wait for their reader before the thread stops reading.
_HELD_MAX = 1_000


class KafkaRunEvents:
    """Follows runs on the public topics of one instance."""

    def __init__(self, settings: KafkaSettings, prefix: str, *, client: str) -> None:
        """Connect when first needed."""
        self._partitions = settings.partitions
        self._topics = (full_name(prefix, STEPS), full_name(prefix, RUNS))
        self._config = reading(
            settings,
            prefix,
            client,
            # A position that is no longer in the log is an error, never a jump.
            auto_offset_reset="error",
            # A question about offsets waits behind a fetch that waits for records.
            fetch_wait_max_ms=100,
            fetch_queue_backoff_ms=5,
        )
        self._settings = settings
        self._live = _Live(settings, self._config, self._topics[1])
        self._own: set[_Past | Flow] = set()

    @asynccontextmanager
    async def live(self, run: str) -> AsyncIterator[AsyncIterator[RunEvent]]:
        """Yield the events of a run as a whole, from the call on."""
        key = run.encode()
        feed: Feed[RunEvent] = Feed()
        try:
            await self._live.follow(key, feed)
            yield feed
        finally:
            self._live.unfollow(key, feed)

    @asynccontextmanager
    async def past(self, run: str, since: int) -> AsyncIterator[AsyncIterator[RunEvent | StepEvent | None]]:
        """Yield the events of a run and of all steps since a time, then new events."""
        partition = partition_of(run, self._partitions)
        parts = [TopicPartition(topic, partition) for topic in self._topics]
        past = _Past(self._settings, self._config, parts, run.encode(), since)
        self._own.add(past)
        try:
            await past.start()
            yield past.feed
        finally:
            past.stop()
            self._own.discard(past)

    @asynccontextmanager
    async def flow(self) -> AsyncIterator[EventFlow]:
        """Yield the heads of the events of all runs and steps, from the call on."""
        # Runs before steps, as positions are ordered.
        parts = [
            TopicPartition(topic, partition)
            for topic in reversed(self._topics)
            for partition in range(self._partitions)
        ]
        flow = Flow(self._settings, self._config, parts)
        self._own.add(flow)
        try:
            yield EventFlow(await flow.start(), flow.feed)
        finally:
            flow.stop()
            self._own.discard(flow)

    async def close(self) -> None:
        """Let go of the consumers."""
        readers: list[_Live | _Past | Flow] = [self._live, *self._own]
        for reader in readers:
            reader.stop()
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, reader.join) for reader in readers))


class _Live:
    """A shared consumer of one topic for all followers, by key."""

    def __init__(self, settings: KafkaSettings, properties: dict[str, Any], topic: str) -> None:
        self._settings = settings
        self._properties = properties
        self._parts = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
        self._lock = threading.Lock()
        self._feeds: dict[bytes, list[Feed[RunEvent]]] = {}
        #: Resolved once the position is known; None while nothing is read.
        self._ready: Future[None] | None = None
        self._wanted = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    async def follow(self, key: bytes, feed: Feed[RunEvent]) -> None:
        """Pass new events of a key to this feed; return when in effect."""
        if self._is_stopping:
            raise closed()
        with self._lock:
            self._feeds.setdefault(key, []).append(feed)
            if self._ready is None:
                self._ready = Future()
                self._wanted.set()
            ready = self._ready
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="tail-live", daemon=True)
                self._thread.start()
        await outcome(ready)

    def unfollow(self, key: bytes, feed: Feed[RunEvent]) -> None:
        """Stop passing events to this feed."""
        with self._lock:
            left = [other for other in self._feeds.pop(key, ()) if other is not feed]
            if left:
                self._feeds[key] = left

    def stop(self) -> None:
        """End the thread, and all feeds."""
        self._is_stopping = True
        self._wanted.set()

    def join(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join(CALL_SECONDS)

    def _serve(self) -> None:
        lasting = LastingConsumer(self._properties)
        try:
            while not self._is_stopping:
                if self._wanted.wait(_LOOK_SECONDS) and not self._is_stopping:
                    self._read_while_wanted(lasting)
                # What the client says of itself is heard, so that it does not pile up.
                lasting.consumer.poll(0)
                lasting.renew()
        finally:
            self._end(closed())
            lasting.consumer.close()

    def _read_while_wanted(self, lasting: LastingConsumer) -> None:
        ready, consumer = self._ready, lasting.consumer
        assert ready is not None
        try:
            check_partitions(consumer, {part.topic for part in self._parts}, self._settings)
            consumer.incremental_assign(offsets_at(consumer, self._parts, LATEST, self._settings))
            ready.set_result(None)
            self._read(lasting)
        except StreamDurableError as error:
            self._end(error)
        except KafkaException as error:
            self._end(transient(error, self._settings))
        finally:
            lasting.consumer.unassign()

    def _read(self, lasting: LastingConsumer) -> None:
        left_at = time.monotonic()
        while not self._is_stopping:
            events = _events(lasting.consumer, self._feeds.__contains__, self._settings)
            lasting.renew()
            for event in events:
                assert isinstance(event, RunEvent)
                with self._lock:
                    feeds = tuple(self._feeds.get(event.run.encode(), ()))
                for feed in feeds:
                    feed.put([event])
            if self._feeds:
                left_at = time.monotonic()
            elif time.monotonic() - left_at > _LINGER_SECONDS and self._is_left():
                return

    def _is_left(self) -> bool:
        """Stop unless somebody has come at the last moment."""
        with self._lock:
            if self._feeds:
                return False
            self._ready = None
            self._wanted.clear()
            return True

    def _end(self, error: StreamDurableError) -> None:
        """End all current and pending feeds."""
        with self._lock:
            ready, self._ready = self._ready, None
            self._wanted.clear()
            feeds = [feed for feeds in self._feeds.values() for feed in feeds]
        if ready is not None and not ready.done():
            ready.set_exception(error)
        for feed in feeds:
            feed.fail(error)


class _Past(FeedReader[None, RunEvent | StepEvent | None]):
    """One consumer of a run's partition on both topics, from a time on."""

    def __init__(
        self,
        settings: KafkaSettings,
        properties: dict[str, Any],
        parts: list[TopicPartition],
        key: bytes,
        since: int,
    ) -> None:
        super().__init__(settings, {**properties, "enable.partition.eof": True}, parts, "tail-past")
        self.feed.taken = self._make_room
        self._key = key
        self._since = since
        #: The topics that were not read to their end yet; None: said.
        self._unread: set[str] | None = {part.topic for part in parts}
        self._room = threading.Semaphore(_HELD_MAX)

    def stop(self) -> None:
        """Stop the thread, which takes a moment."""
        super().stop()
        self._room.release()

    def _make_room(self) -> None:
        self._room.release()

    def _begin(self, consumer: Consumer) -> None:
        consumer.incremental_assign(self._starts(consumer))

    def _read(self, consumer: Consumer) -> None:
        for event in _events(consumer, self._key.__eq__, self._settings, self._unread):
            self._hand_over(event)
        if self._unread is not None and not self._unread:
            self._unread = None
            self._hand_over(None)

    def _hand_over(self, event: RunEvent | StepEvent | None) -> None:
        self._room.acquire()
        self.feed.put([event])

    def _starts(self, consumer: Consumer) -> list[TopicPartition]:
        if self._since <= 0:
            return [TopicPartition(p.topic, p.partition, OFFSET_BEGINNING) for p in self._parts]
        # The ends are asked for first: what comes between the questions is read rather than missed.
        ends = offsets_at(consumer, self._parts, LATEST, self._settings)
        starts = offsets_at(consumer, self._parts, self._since, self._settings)
        return [end if start.offset < 0 else start for start, end in zip(starts, ends, strict=True)]


def _events(
    consumer: Consumer,
    is_wanted: Callable[[bytes], bool],
    settings: KafkaSettings,
    unread: set[str] | None = None,
) -> list[RunEvent | StepEvent]:
    """Return new events under wanted keys; remove a topic once read to its end."""
    first = consumer.poll(POLL_SECONDS)
    if first is None:
        return []
    events: list[RunEvent | StepEvent] = []
    for message in [first, *consumer.consume(RECORDS_MAX - 1, 0)]:
        error = message.error()
        if error is not None:
            judge(error, settings)
            if unread is not None and error.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.topic() or "")
            continue
        key, value = message.key(), message.value()
        if isinstance(key, bytes) and value is not None and is_wanted(key):
            try:
                events.append(decode(value))
            except RejectedError as error:
                _log.warning(
                    RECORD_REJECTED, topic=message.topic(), partition=message.partition(),
                    offset=message.offset(), reason=str(error),
                )  # fmt: skip
    return events
