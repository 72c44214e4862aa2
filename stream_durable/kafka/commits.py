"""Commits of a group's offsets, one under way at a time, without blocking the reading thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from confluent_kafka import KafkaError, TopicPartition

from stream_durable.telemetry import KAFKA_REPORTED, logger

_log = logger(__name__)

Done = Callable[[bool], None]


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
