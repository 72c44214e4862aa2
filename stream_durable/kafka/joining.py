"""Membership of a group with one client after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer

from stream_durable.kafka.lives import Life
from stream_durable.telemetry import KAFKA_REPORTED, logger

#: Longer than a group waits for its slowest member, which is `max.poll.interval.ms`.
JOIN_SECONDS: Final = 90.0


_log = logger(__name__)


class Joining:
    """Joins a group, and again with another client once the current one is useless.

    After the end of a broker a client may wait for ever without an error, for a share of the group or for any
    broker.
    """

    def __init__(self, topic: str, subscribed: Callable[[Life], Consumer]) -> None:
        """Join nothing yet."""
        self._topic = topic
        self._subscribed = subscribed
        self._life = Life()
        #: When the wait for a share began; None: there is one.
        self._since: float | None = None

    def join(self) -> Consumer:
        """Return a joining client."""
        self.begin()
        self._life = Life()
        return self._subscribed(self._life)

    def leave(self, old: Consumer, reason: str) -> None:
        """Close a replaced client, without waiting for its end."""
        _log.warning(KAFKA_REPORTED, topic=self._topic, error=f"{reason}: the group is joined again")
        threading.Thread(target=old.close, name="log-left", daemon=True).start()

    def begin(self) -> None:
        """Wait for a share from now on."""
        self._since = time.monotonic()

    def end(self) -> None:
        """Record that the group has given a share."""
        self._since = None

    def is_current(self, life: Life) -> bool:
        """Whether this is the life of the current client."""
        return life is self._life

    @property
    def is_lost(self) -> bool:
        """Whether the client has lost every broker for good."""
        return self._life.is_over

    @property
    def is_overdue(self) -> bool:
        """Whether the wait takes longer than any group needs."""
        return self._since is not None and time.monotonic() - self._since > JOIN_SECONDS
