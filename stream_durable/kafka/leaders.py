"""Questions to the leaders of partitions, by clients that may know old leaders, or none.

What a client has learned from brokers that were just starting or stopping stays with it until its next
refresh, up to five minutes: meanwhile it answers every question with the same error. One question about the
topic cures it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, Protocol, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_durable.kafka.config import CALL_SECONDS

_Answer = TypeVar("_Answer")

#: What brokers answer a client with an old leader, and what a client says that knows none.
WITHOUT_LEADER: Final = frozenset({
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._NOENT,
})  # fmt: skip


class Client(Protocol):
    """A client of any kind."""

    def list_topics(self, topic: str, *, timeout: float) -> object:
        """Ask the brokers about a topic."""


def ask_leaders(client: Client, topics: Iterable[str], question: Callable[[], _Answer]) -> _Answer:
    """Return the answer to a question; without a leader, look for the leaders and ask once more.

    Raises the errors of Kafka's client. Blocks for up to `CALL_SECONDS` for each topic, beside the question.
    """
    try:
        return question()
    except KafkaException as error:
        if error.args[0].code() not in WITHOUT_LEADER:
            raise
    for topic in topics:
        client.list_topics(topic, timeout=CALL_SECONDS)
    return question()


def learn_leaders(admin: AdminClient, parts: Collection[TopicPartition]) -> None:
    """Have the client learn the leaders of partitions, by a request for each topic; raise without one."""
    # librdkafka 2.16 looks for leaders not yet known in the caller's thread and in its own: one may free the
    # request while the other is using it, and the process dies. Known leaders need no look.
    names = {part.topic for part in parts}
    topics = {name: admin.list_topics(name, timeout=CALL_SECONDS).topics[name] for name in names}
    for part in parts:
        topic = topics[part.topic]
        if topic.error is not None:
            raise KafkaException(topic.error)
        known = topic.partitions.get(part.partition)
        if known is None or known.leader < 0:
            text = f"partition {part.partition} of {part.topic} has no leader"
            raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE, text))
