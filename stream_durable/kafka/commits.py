"""Offsets of a group: commits, one under way at a time, and questions for them, all waiting ones at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_durable.kafka.config import CALL_SECONDS, transient
from stream_durable.kafka.orders import Orders
from stream_durable.kafka.threads import answer, fail
from stream_durable.settings import KafkaSettings
from stream_durable.telemetry import KAFKA_REPORTED, logger

_log = logger(__name__)

Done = Callable[[bool], None]
#: An offset, None if there is none, and the metadata.
Mark = tuple[int | None, str | None]


class Commit(Protocol):
    """Commits; returns whether stored, or None if reported later."""

    def __call__(self, marks: list[TopicPartition], *, waits: bool) -> bool | None: ...


class _Asked(NamedTuple):
    marks: list[TopicPartition]
    done: Done


class Commits:
    """Commits offsets, on the thread owning the consumer.

    The client's callback does not identify its commit, so one is under way at a time. The callback always
    comes: without a coordinator, after the session timeout.
    """

    def __init__(self, topic: str, commit: Commit, call: Callable[[Done, bool], None]) -> None:
        """Commit nothing yet; `call` passes an outcome to the waiting caller."""
        self._topic = topic
        self._commit = commit
        self._call = call
        self._waiting: deque[_Asked] = deque()
        self._under_way: Done | None = None

    def add(self, marks: list[TopicPartition], done: Done, *, waits: bool) -> None:
        """Commit these offsets after those requested earlier.

        With `waits`, offsets not yet under way are committed synchronously, still in order: the client sends
        requests to the coordinator one after another.
        """
        self._waiting.append(_Asked(marks, done))
        while self._waiting and (waits or self._under_way is None):
            self._begin(self._waiting.popleft(), waits=waits)

    def heard(self, error: KafkaError | None, parts: list[TopicPartition]) -> None:
        """Receive the outcome of an asynchronous commit."""
        done, self._under_way = self._under_way, None
        if done is None:
            # One for lag tools.
            return
        error = error or next((part.error for part in parts if part.error is not None), None)
        if error is not None:
            _log.warning(KAFKA_REPORTED, topic=self._topic, error=error.str())
        self._call(done, error is None)
        while self._waiting and self._under_way is None:
            self._begin(self._waiting.popleft(), waits=False)

    def abandon(self) -> None:
        """Report all commits as not stored, after the loss of the client."""
        over = [asked.done for asked in self._waiting]
        if self._under_way is not None:
            over.append(self._under_way)
        self._waiting.clear()
        self._under_way = None
        for done in over:
            self._call(done, False)  # noqa: FBT003

    def _begin(self, asked: _Asked, *, waits: bool) -> None:
        stored = self._commit(asked.marks, waits=waits)
        if stored is None:
            self._under_way = asked.done
        else:
            self._call(asked.done, stored)


class Committed:
    """Asks for committed offsets on the thread owning the consumer: once for all partitions that wait.

    Without a coordinator a question takes its whole time, in which the thread polls nothing.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        orders: Orders,
        consumer: Callable[[], Consumer],
        call: Callable[..., None],
    ) -> None:
        """Ask nothing yet; `call` calls a function on the loop."""
        self._settings = settings
        self._topic = topic
        self._orders = orders
        self._consumer = consumer
        self._call = call
        self._waiting: deque[tuple[int, asyncio.Future[Mark]]] = deque()

    async def of(self, partition: int) -> Mark:
        """Return the committed offset and metadata of a partition; raise `TransientError`."""
        waited: asyncio.Future[Mark] = asyncio.get_running_loop().create_future()
        self._waiting.append((partition, waited))
        self._orders.add(self._answer_all)
        return await waited

    def _answer_all(self) -> None:
        asked: list[tuple[int, asyncio.Future[Mark]]] = []
        while self._waiting:
            asked.append(self._waiting.popleft())
        if not asked:
            return
        try:
            parts = [TopicPartition(self._topic, partition) for partition, _ in asked]
            found = self._consumer().committed(parts, timeout=CALL_SECONDS)
        except KafkaException as error:
            for _, waited in asked:
                self._call(fail, waited, transient(error, self._settings))
            return
        marks = {part.partition: part for part in found}
        for partition, waited in asked:
            mark = marks[partition]
            if mark.error is not None:
                self._call(fail, waited, transient(mark.error, self._settings))
            else:
                self._call(answer, waited, (mark.offset if mark.offset >= 0 else None, mark.metadata))
