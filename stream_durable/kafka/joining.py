"""How long a member of a group may wait for its share."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer

from stream_durable.telemetry import KAFKA_REPORTED, logger

#: Longer than a group waits for its slowest member, which is `max.poll.interval.ms`.
JOIN_SECONDS: Final = 90.0


_log = logger(__name__)


class Joining:
    """Joins a group, and again with another client if the group gives no share, not even an empty one.

    After the end of a broker a joining client may wait for ever, without an error.
    """

    def __init__(self, topic: str, subscribed: Callable[[], Consumer]) -> None:
        """Join nothing yet."""
        self._topic = topic
        self._subscribed = subscribed
        #: When the wait for a share began; None: there is one.
        self._since: float | None = None

    def join(self) -> Consumer:
        """Return a joining client."""
        self.begin()
        return self._subscribed()

    def again(self, old: Consumer) -> Consumer:
        """Return another client, without waiting for the end of the old one."""
        _log.warning(KAFKA_REPORTED, topic=self._topic, error="the group gives no share: it is joined again")
        threading.Thread(target=old.close, name="log-left", daemon=True).start()
        return self.join()

    def begin(self) -> None:
        """Wait for a share from now on."""
        self._since = time.monotonic()

    def end(self) -> None:
        """Record that the group has given a share."""
        self._since = None

    @property
    def is_overdue(self) -> bool:
        """Whether the wait takes longer than any group needs."""
        return self._since is not None and time.monotonic() - self._since > JOIN_SECONDS
