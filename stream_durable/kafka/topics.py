"""The topics an instance needs: what is there, what is missing, and what would lose data."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from stream_durable.kafka.config import BLOB_MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX, config, transient
from stream_durable.kafka.mock import is_mock, make_topics
from stream_durable.settings import Settings, far_brokers

_CALL_SECONDS = 15.0
_FOREVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
_WEEKS = {"cleanup.policy": "delete", "retention.ms": str(28 * 86_400_000)}


class Wanted(NamedTuple):
    """A topic as it should be."""

    name: str
    partitions: int
    config: dict[str, str]


class Step(NamedTuple):
    """What has to be done, or stands in the way."""

    topic: str
    #: `create`, `ok`, `refuse`
    action: str
    detail: str


def wanted(settings: Settings, queues: tuple[str, ...]) -> list[Wanted]:
    """Return the topics of an instance with these queues."""
    p, n = settings.prefix, settings.kafka.partitions
    blob = {"max.message.bytes": str(BLOB_MESSAGE_BYTES_MAX)}
    large = {"max.message.bytes": str(MESSAGE_BYTES_MAX)}
    # A command hands over all that an attempt takes, and that may be what many steps answered.
    command = {**_WEEKS, **blob}
    return [
        Wanted(f"{p}.inbox", n, {**_FOREVER, "message.timestamp.type": "LogAppendTime"}),
        Wanted(f"{p}.events", n, _WEEKS),
        *(Wanted(f"{p}.commands.{queue}", n, command) for queue in queues),
        Wanted(f"{p}.steps", n, _WEEKS),
        Wanted(f"{p}.runs", n, _WEEKS),
        Wanted(f"{p}.blobs", n, {**_FOREVER, **blob}),
        Wanted(f"{p}.definitions", 1, {"cleanup.policy": "compact", **blob}),
        Wanted(f"{p}.verdicts", n, {**_FOREVER, "message.timestamp.type": "LogAppendTime"}),
        Wanted(f"{p}.dead", n, {**_FOREVER, **large}),
    ]


class Topics:
    """Plans and makes the topics of an instance."""

    def __init__(self, settings: Settings, queues: tuple[str, ...]) -> None:
        """Ask nothing yet."""
        self._settings = settings
        self._wanted = wanted(settings, queues)
        self._admin = AdminClient(config(settings.kafka, "stream-durable-topics"))
        self._is_mock = False

    async def plan(self) -> list[Step]:
        """Compare what is there with what should be."""
        return await asyncio.get_running_loop().run_in_executor(None, self._plan)

    async def apply(self) -> list[Step]:
        """Make what is missing; change nothing else."""
        return await asyncio.get_running_loop().run_in_executor(None, self._apply)

    def _plan(self) -> list[Step]:
        try:
            cluster = self._admin.list_topics(timeout=_CALL_SECONDS)
            self._is_mock = is_mock(cluster.cluster_id)
            return [self._compare(topic, cluster.topics.get(topic.name)) for topic in self._wanted]
        except KafkaException as error:
            raise transient(error) from error

    def _compare(self, topic: Wanted, there: object) -> Step:
        if there is None:
            return self._new(topic)
        partitions = len(there.partitions)  # type: ignore[attr-defined]
        if self._is_mock:
            return Step(topic.name, "ok", f"{partitions} partitions in memory")
        if partitions != topic.partitions:
            return Step(
                topic.name,
                "refuse",
                f"it has {partitions} partitions, not {topic.partitions}: keys would change their partition "
                "and their order would be lost; set kafka.partitions to what is there, or take a new prefix",
            )
        resource = ConfigResource(ResourceType.TOPIC, topic.name)
        answer = self._admin.describe_configs([resource], request_timeout=_CALL_SECONDS)
        config = {name: entry.value for name, entry in answer[resource].result().items()}
        for name in ("cleanup.policy", "message.timestamp.type"):
            if name in topic.config and config.get(name) != topic.config[name]:
                return Step(
                    topic.name,
                    "refuse",
                    f"{name} is {config.get(name)}, it must be {topic.config[name]}; change it with "
                    "kafka-configs before anything is written",
                )
        return Step(topic.name, "ok", f"{partitions} partitions")

    def _new(self, topic: Wanted) -> Step:
        settings = self._settings
        if settings.kafka.replication == 1 and far_brokers(settings.kafka) and not settings.security.insecure:
            return Step(
                topic.name,
                "refuse",
                "one replica loses what was acknowledged with one disk; set kafka.replication to 3, or "
                "security.insecure if this is a test",
            )
        return Step(topic.name, "create", f"{topic.partitions} partitions")

    def _apply(self) -> list[Step]:
        steps = self._plan()
        missing = {step.topic for step in steps if step.action == "create"}
        replication = self._settings.kafka.replication
        if self._is_mock:
            make_topics(self._admin, missing)
            return steps
        # With three replicas a write is in two of them before it counts.
        kept = {"min.insync.replicas": str(max(1, replication - 1))}
        new = [
            NewTopic(t.name, t.partitions, replication, config={**kept, **t.config})
            for t in self._wanted
            if t.name in missing
        ]
        if new and not any(step.action == "refuse" for step in steps):
            try:
                for future in self._admin.create_topics(new, request_timeout=_CALL_SECONDS).values():
                    future.result()
            except KafkaException as error:
                raise transient(error) from error
        return steps
