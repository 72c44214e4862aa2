"""Clients without any broker left, and their replacement.

A starting cluster may answer with an empty list of brokers. librdkafka then forgets all brokers, the
configured addresses too, and may never connect again, without an error. The remedy is another client.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException

from stream_durable.kafka.leaders import WITHOUT_LEADER

_Client = TypeVar("_Client")

#: How often a polled client reports the known brokers.
STATISTICS_MS: Final = 5_000
#: So many reports in a row without a broker: one may come while the client begins again by itself.
_LOST_AFTER: Final = 2
_KNOWN: Final = ('"source":"learned"', '"source":"configured"')
#: Errors of a client that finds no broker or no leader, now or for good.
_NOBODY: Final = WITHOUT_LEADER | {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
}


class Life:
    """Whether a polled client has lost every broker for good."""

    __slots__ = ("_count", "is_over")

    def __init__(self) -> None:
        """Begin with a new client."""
        self.is_over = False
        self._count = 0

    @property
    def properties(self) -> dict[str, Any]:
        """The properties to report the known brokers to this object."""
        return {"statistics.interval.ms": STATISTICS_MS, "stats_cb": self._note}

    def _note(self, statistics: str) -> None:
        self._count = 0 if any(known in statistics for known in _KNOWN) else self._count + 1
        self.is_over = self._count >= _LOST_AFTER


class LastingConsumer:
    """A polled consumer of chosen partitions, replaced at its positions after the loss of every broker."""

    def __init__(self, properties: dict[str, Any]) -> None:
        """Make a consumer with these properties."""
        self._properties = properties
        self._life = Life()
        self.consumer = Consumer({**properties, **self._life.properties})

    def renew(self) -> None:
        """Replace a useless consumer by another at the same positions."""
        if not self._life.is_over:
            return
        old, self._life = self.consumer, Life()
        self.consumer = Consumer({**self._properties, **self._life.properties})
        begun = old.assignment()
        for part, read in zip(begun, old.position(begun), strict=True):
            if read.offset >= 0:
                part.offset = read.offset
        if begun:
            self.consumer.incremental_assign(begun)
        old.close()


class Kept(Generic[_Client]):
    """A client for occasional calls, created when needed, and again after a call without an answer."""

    def __init__(self, make: Callable[[], _Client]) -> None:
        """Make nothing yet."""
        self._make = make
        self._lock = threading.Lock()
        self._client: _Client | None = None

    def __call__(self) -> _Client:
        """Return the client."""
        with self._lock:
            if self._client is None:
                self._client = self._make()
            return self._client

    @property
    def made(self) -> _Client | None:
        """The client, if there is one."""
        return self._client

    def blame(self, error: KafkaException | KafkaError | None) -> None:
        """Let go of the client after an error for lack of brokers or leaders; None: no answer came."""
        cause = error.args[0] if isinstance(error, KafkaException) else error
        if isinstance(cause, KafkaError) and cause.code() not in _NOBODY:
            return
        self.let_go()

    def let_go(self) -> None:
        """Let go of the client, without waiting for its end."""
        with self._lock:
            left, self._client = [self._client], None
        # The end of the object is the end of the client.
        threading.Thread(target=left.clear, name="kafka-left", daemon=True).start()
