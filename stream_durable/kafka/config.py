"""The librdkafka properties common to all clients, and the meaning of its errors."""

from __future__ import annotations

import re
import time
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from stream_durable.core.errors import TransientError
from stream_durable.settings import KafkaSettings
from stream_durable.wire.topics import NO_GROUP, full_name

#: Above the size of a dead letter: the bytes of a record itself as large as allowed.
MESSAGE_BYTES_MAX = 10_000_000

#: A large value, or a command with many values, and the envelope.
BLOB_MESSAGE_BYTES_MAX = 5_000_000

#: How long an answer of the brokers is awaited.
CALL_SECONDS: Final = 10.0

#: The partitioner of Kafka's own clients; `core.ids.partition_of` computes the same.
PARTITIONER = "murmur2_random"

#: Emergencies only: every connection that fails is a line on standard error otherwise, several a second.
_SILENT: Final = 0
#: What a call is told when no broker could be reached; why not is in what the client complained of.
_VAGUE: Final = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT})
#: A complaint that is older says nothing about a call that has failed now.
_COMPLAINT_SECONDS: Final = 30.0
#: The duration differs each time, but equal problems must have equal texts.
_DURATION: Final = re.compile(r" \((?:after \d+ms in state|\d+ identical error)(?:[^()]|\([^()]*\))*\)")


class _Complaints:
    """The last log lines of this process's clients per cluster, by bootstrap address."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float]] = {}

    def note(self, bootstrap: str, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self._last[bootstrap] = _DURATION.sub("", error.str()), time.monotonic()

    def forget(self, bootstrap: str) -> None:
        self._last.pop(bootstrap, None)

    def latest(self, bootstrap: str) -> str | None:
        text, at = self._last.get(bootstrap, ("", 0.0))
        return text if text and time.monotonic() - at < _COMPLAINT_SECONDS else None


_complaints: Final = _Complaints()


class Admin(AdminClient):
    """An admin client for repeated queries about topics, with the cause of failures."""

    def __init__(self, settings: KafkaSettings, client: str, **ours: Any) -> None:
        """Connect when first asked; `ours` as in `config`."""
        super().__init__(heard(settings, config(settings, client, **ours)))
        self._bootstrap = settings.bootstrap

    def list_topics(self, *arguments: Any, **options: Any) -> Any:
        """Return the cluster's metadata."""
        try:
            found = super().list_topics(*arguments, **options)
        finally:
            self.poll(0)
        # What was complained of before is over, or is complained of again within a second.
        _complaints.forget(self._bootstrap)
        return found


def config(settings: KafkaSettings, client: str, **ours: Any) -> dict[str, Any]:
    """Return a client's configuration; underscores stand for dots. The user's properties win.

    The client writes no logs, unless `debug` or `log_level` is among these properties.
    """
    return {
        "bootstrap.servers": settings.bootstrap,
        "client.id": client,
        "retry.backoff.ms": 50,
        # For half of this, no second connection is begun after the first: a new client waits for it, and its
        # first record or its group with it.
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 500,
        "socket.keepalive.enable": True,
        # A request behind another one would wait for the answer to that one's packet.
        "socket.nagle.disable": True,
        "log_level": _SILENT,
        "log.connection.close": False,
        **{name.replace("_", "."): value for name, value in ours.items()},
        **settings.properties,
    }


def reading(settings: KafkaSettings, name: str, client: str, **ours: Any) -> dict[str, Any]:
    """Return the configuration of a consumer that chooses its partitions itself and commits nothing.

    The client library requires a group although none is joined: one under `name`, a prefix or a topic.
    """
    return config(
        settings, client, group_id=full_name(name, NO_GROUP), enable_auto_commit=False,
        enable_auto_offset_store=False, **ours,
    )  # fmt: skip


def heard(settings: KafkaSettings, properties: dict[str, Any]) -> dict[str, Any]:
    """Return a polled client's configuration, with its log captured to explain failures.

    Without polling the captured lines would pile up: seven a second while no broker can be reached.
    """
    return {**properties, "error_cb": lambda error: _complaints.note(settings.bootstrap, error)}


def transient(error: KafkaError | KafkaException | None, settings: KafkaSettings) -> TransientError:
    """Return the driver's error as ours: the world is wrong at the moment."""
    cause = error.args[0] if isinstance(error, KafkaException) else error
    if not isinstance(cause, KafkaError):
        return away(settings, str(cause))
    if cause.code() in _VAGUE:
        return away(settings, _complaints.latest(settings.bootstrap) or "no broker could be reached")
    return away(settings, cause.str())


def away(settings: KafkaSettings, reason: str = "no answer") -> TransientError:
    """Return the error for an unreachable cluster: name, setting, and cause."""
    return TransientError(f"Kafka at {settings.bootstrap} (kafka.bootstrap): {reason}")
