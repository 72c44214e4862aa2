"""Topics of users: checks and creation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from stream_durable.core.errors import RejectedError
from stream_durable.kafka.answers import answer_of
from stream_durable.kafka.config import Admin, transient
from stream_durable.kafka.mock import is_mock, make_topics
from stream_durable.settings import KafkaSettings

_CALL_SECONDS: Final = 15.0
_CLIENT: Final = "stream-durable-topics"
#: How often a missing topic is looked for, and the pause between: brokers learn of new topics one by one.
_LOOKS: Final = 8
_LOOK_SECONDS: Final = 0.25


async def missing_topics(settings: KafkaSettings, names: Sequence[str]) -> list[str]:
    """Return the missing topics, after a few seconds of looking: a new topic is not known at once."""
    if not names:
        return []
    for _ in range(_LOOKS - 1):
        if not await asyncio.to_thread(_missing, settings, names):
            return []
        await asyncio.sleep(_LOOK_SECONDS)
    return await asyncio.to_thread(_missing, settings, names)


async def make_own_topics(settings: KafkaSettings, names: Sequence[str], partitions: int) -> list[str]:
    """Create missing topics with the brokers' default retention; return them."""
    return await asyncio.to_thread(_make, settings, names, partitions)


def _missing(settings: KafkaSettings, names: Sequence[str]) -> list[str]:
    try:
        there = Admin(settings, _CLIENT).list_topics(timeout=_CALL_SECONDS).topics
    except KafkaException as error:
        raise transient(error, settings) from error
    return [name for name in names if name not in there]


def _make(settings: KafkaSettings, names: Sequence[str], partitions: int) -> list[str]:
    missing = _missing(settings, names)
    admin = Admin(settings, _CLIENT)
    try:
        if is_mock(admin.list_topics(timeout=_CALL_SECONDS).cluster_id):
            make_topics(admin, missing)
            return missing
        new = [NewTopic(name, partitions, settings.replication) for name in missing]
        for future in (admin.create_topics(new) if new else {}).values():
            answer_of(future, _CALL_SECONDS)
    except KafkaException as error:
        raise _refused(error, settings) from error
    return missing


def _refused(error: KafkaException, settings: KafkaSettings) -> Exception:
    cause = error.args[0]
    if cause.code() == KafkaError.INVALID_REPLICATION_FACTOR:
        text = f"kafka.replication is {settings.replication}; there are fewer brokers: set it to their count"
        return RejectedError("topics_wrong", text)
    if cause.code() in (KafkaError.TOPIC_EXCEPTION, KafkaError.INVALID_PARTITIONS):
        return RejectedError("topics_wrong", cause.str())
    return transient(error, settings)
