"""Shared by readers of public events: a consumer with a thread, its way to the loop, offsets by time."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_durable.core.errors import RejectedError, StreamDurableError
from stream_durable.kafka.config import CALL_SECONDS, transient
from stream_durable.kafka.leaders import ask_leaders
from stream_durable.kafka.lives import LastingConsumer
from stream_durable.kafka.partitions import MISSING, check_partitions
from stream_durable.kafka.threads import outcome
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import DEPENDENCY_FAILED, logger

_log = logger(__name__)
_Said = TypeVar("_Said")
_Begun = TypeVar("_Begun")

POLL_SECONDS: Final = 0.1
RECORDS_MAX: Final = 1_000
#: Kafka's notation for the end of the log.
LATEST: Final = -1


class Feed(Generic[_Said]):
    """Passes items from a thread to the creating loop, in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: deque[_Said] = deque()
        self._failure: StreamDurableError | None = None
        self._arrived = asyncio.Event()
        self.taken: Callable[[], object] = _nothing

    def __aiter__(self) -> Feed[_Said]:
        return self

    async def __anext__(self) -> _Said:
        while not self._items:
            if self._failure is not None:
                raise self._failure
            self._arrived.clear()
            await self._arrived.wait()
        self.taken()
        return self._items.popleft()

    def put(self, items: Iterable[_Said]) -> None:
        """Hand over; called by the thread."""
        self._call(self._put, items)

    def fail(self, error: StreamDurableError) -> None:
        """End the feed with an error; called by the thread."""
        self._call(self._fail, error)

    def _put(self, items: Iterable[_Said]) -> None:
        self._items.extend(items)
        self._arrived.set()

    def _fail(self, error: StreamDurableError) -> None:
        self._failure = error
        self._arrived.set()

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        # On a loop that is closed nobody is left who would want to know.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)


class FeedReader(ABC, Generic[_Begun, _Said]):
    """A consumer of some partitions, with a thread of its own and a feed."""

    def __init__(
        self, settings: KafkaSettings, properties: dict[str, Any], parts: list[TopicPartition], thread: str
    ) -> None:
        """Read nothing yet."""
        self.feed: Feed[_Said] = Feed()
        self._settings = settings
        self._properties = properties
        self._parts = parts
        self._ready: Future[_Begun] = Future()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._serve, name=thread, daemon=True)

    @abstractmethod
    def _begin(self, consumer: Consumer) -> _Begun:
        """Assign the partitions."""

    @abstractmethod
    def _read(self, consumer: Consumer) -> None:
        """Read once, into the feed."""

    async def start(self) -> _Begun:
        """Begin to read; return when the offsets are known."""
        self._thread.start()
        return await outcome(self._ready)

    def stop(self) -> None:
        """Stop the thread, which takes a moment."""
        self._is_stopping = True

    def join(self) -> None:
        """Wait for the thread."""
        self._thread.join(CALL_SECONDS)

    def _serve(self) -> None:
        lasting = LastingConsumer(self._properties)
        try:
            check_partitions(lasting.consumer, {part.topic for part in self._parts}, self._settings)
            self._ready.set_result(self._begin(lasting.consumer))
            while not self._is_stopping:
                self._read(lasting.consumer)
                lasting.renew()
            self._end(closed())
        except StreamDurableError as error:
            self._end(error)
        except KafkaException as error:
            self._end(transient(error, self._settings))
        finally:
            lasting.consumer.close()

    def _end(self, error: StreamDurableError) -> None:
        if self._ready.done():
            self.feed.fail(error)
        else:
            self._ready.set_exception(error)


def offsets_at(
    consumer: Consumer, parts: list[TopicPartition], since: int, settings: KafkaSettings
) -> list[TopicPartition]:
    """Return the first offset at or after a time in each partition; negative: none."""
    asked = [TopicPartition(part.topic, part.partition, since) for part in parts]
    try:
        found = ask_leaders(
            consumer,
            {part.topic for part in parts},
            lambda: consumer.offsets_for_times(asked, timeout=CALL_SECONDS),
        )
    except KafkaException as error:
        raise transient(error, settings) from error
    for part in found:
        if part.error is not None:
            raise transient(part.error, settings)
    return [TopicPartition(part.topic, part.partition, part.offset) for part in found]


def judge(error: KafkaError, settings: KafkaSettings) -> None:
    """Raise for permanent errors."""
    code = error.code()
    if code == KafkaError._PARTITION_EOF:
        return
    if error.fatal() or code == KafkaError._AUTO_OFFSET_RESET or code in MISSING:
        raise transient(error, settings)
    _log.warning(DEPENDENCY_FAILED, reason=error.str(), doing="follow runs")


def closed() -> StreamDurableError:
    """Return the error of a stream under way when the client is closed."""
    return RejectedError("closed", "the client was closed while the run was followed")


def _nothing() -> None:
    """Nobody counts."""
