"""The librdkafka properties that everything of ours begins with, and what its errors mean."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError, KafkaException

from stream_durable.core.errors import TransientError
from stream_durable.settings import KafkaSettings

#: Above what a dead letter may carry: the bytes of a record that was itself as large as allowed.
MESSAGE_BYTES_MAX = 10_000_000

#: A large value, or a command that hands over many, and its envelope.
BLOB_MESSAGE_BYTES_MAX = 5_000_000

#: The partitioner of Kafka's own clients; `core.ids.partition_of` computes the same.
PARTITIONER = "murmur2_random"


def config(settings: KafkaSettings, client: str, **ours: Any) -> dict[str, Any]:
    """Return a client's configuration; underscores stand for dots. The user's own properties win."""
    return {
        "bootstrap.servers": settings.bootstrap,
        "client.id": client,
        "retry.backoff.ms": 50,
        # librdkafka begins anew with the first of the two for a broker that refuses, and says so each time:
        # with less it wrote forty lines a second.
        "reconnect.backoff.ms": 500,
        "reconnect.backoff.max.ms": 500,
        "socket.keepalive.enable": True,
        # librdkafka reports connection trouble by itself; what matters to us reaches us as errors.
        "log.connection.close": False,
        **{name.replace("_", "."): value for name, value in ours.items()},
        **settings.properties,
    }


def transient(error: KafkaError | KafkaException | None) -> TransientError:
    """Return the driver's error as ours: the world is wrong at the moment."""
    cause = error.args[0] if isinstance(error, KafkaException) else error
    text = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return TransientError(f"Kafka: {text}")
