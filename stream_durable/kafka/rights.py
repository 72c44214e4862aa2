"""Whether a process may do more on the topics than its role needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation

from stream_durable.kafka.answers import answer_of
from stream_durable.kafka.config import CALL_SECONDS, Admin, transient
from stream_durable.kafka.mock import is_mock
from stream_durable.settings import Settings
from stream_durable.wire.topics import (
    BLOBS,
    DEAD,
    DEFINITIONS,
    INBOX,
    RUNS,
    STEPS,
    VERDICTS,
    WRITES,
    full_name,
)

#: What is asked about: where a right too many lets somebody decide what others believe.
_ASKED: Final = (INBOX, STEPS, RUNS, DEFINITIONS, BLOBS, VERDICTS, DEAD)
#: A broker without an authorizer reports these rights for everybody.
_EVERYTHING: Final = frozenset(
    {AclOperation.ALTER, AclOperation.DELETE, AclOperation.ALTER_CONFIGS, AclOperation.WRITE}
)


async def excess(settings: Settings, role: str) -> list[str]:
    """Return the topics writable by this process beyond the needs of its role.

    Empty without access control at the broker: everybody may do everything there.
    """
    return await asyncio.get_running_loop().run_in_executor(None, _excess, settings, role)


def _excess(settings: Settings, role: str) -> list[str]:
    names = [full_name(settings.prefix, topic) for topic in _ASKED]
    admin = Admin(settings.kafka, "stream-durable-rights")
    try:
        if is_mock(admin.list_topics(timeout=CALL_SECONDS).cluster_id):
            # It answers no administrator.
            return []
        answers = admin.describe_topics(
            TopicCollection(names), include_authorized_operations=True, request_timeout=CALL_SECONDS
        )
        rights = {
            name.removeprefix(full_name(settings.prefix, "")): frozenset(
                answer_of(answer).authorized_operations or ()
            )
            for name, answer in answers.items()
        }
    except KafkaException as error:
        raise transient(error, settings.kafka) from error
    return beyond(role, rights)


def beyond(role: str, rights: Mapping[str, frozenset[AclOperation]]) -> list[str]:
    """Return the topics that may be written without need, unless everything may be done everywhere."""
    if all(operations >= _EVERYTHING for operations in rights.values()):
        return []
    return sorted(
        topic
        for topic, operations in rights.items()
        if AclOperation.WRITE in operations and topic not in WRITES[role]
    )
