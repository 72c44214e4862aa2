"""The topics of an instance: existing, missing, and at risk of losing data."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from stream_durable.core.errors import TransientError
from stream_durable.core.format import FORMAT
from stream_durable.engine.outbox import format_record
from stream_durable.kafka.answers import answer_of
from stream_durable.kafka.config import Admin, away, config, heard, transient
from stream_durable.kafka.mock import is_mock, make_topics
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.kafka.topic_rules import (
    COMMANDS_KEPT_MS,
    OFFSETS_KEPT_MS,
    Found,
    Wanted,
    compare,
    counted,
    for_replicas,
    wanted,
)
from stream_durable.ports import TopicStep
from stream_durable.retrying import retry_transient
from stream_durable.settings import Settings, far_brokers
from stream_durable.telemetry import OFFSETS_REFUSED, logger
from stream_durable.wire.topics import COMMANDS, INBOX, WORKERS, full_name

_log = logger(__name__)

_CLIENT: Final = "stream-durable-topics"
_CALL_SECONDS: Final = 15.0
#: How long brokers may take to report what the controller has done, and how often they are asked.
_SEEN_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.05
#: How long the first commit of a group is tried: a new cluster creates its topic of offsets for it.
_BEGIN_SECONDS: Final = 60.0
#: Answers to the first commit of a group that another moment may change.
_NOT_YET: Final = frozenset({
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
})  # fmt: skip
_OFFSETS_KEPT: Final = "offsets.retention.minutes"
_MINUTE_MS: Final = 60_000


class Topics:
    """Plans, makes and mends the topics of an instance."""

    def __init__(self, settings: Settings, queues: tuple[str, ...]) -> None:
        """Ask nothing yet."""
        self._settings = settings
        self._queues = queues
        # Often the first to ask a cluster that is being started.
        self._admin = Admin(settings.kafka, _CLIENT, reconnect_backoff_max_ms=100)
        self._wanted: list[Wanted] = []
        self._found: dict[str, Found] = {}
        self._broker_count = 0
        self._is_mock = False

    async def plan(self) -> list[TopicStep]:
        """Compare existing with required topics; three requests to the cluster."""
        return await asyncio.get_running_loop().run_in_executor(None, self._plan)

    async def apply(self) -> list[TopicStep]:
        """Create missing topics and correct properties, unless a step is refused; return the plan.

        A new inbox begins in the newest format.
        """
        steps = await asyncio.get_running_loop().run_in_executor(None, self._apply)
        inbox = full_name(self._settings.prefix, INBOX)
        if any(step.topic == inbox and step.action == "create" for step in steps):
            await self._begin_in_newest_format()
        return steps

    async def _begin_in_newest_format(self) -> None:
        """Raise the partitions of a new inbox: no older release has read of them."""
        settings = self._settings
        publisher = KafkaPublisher(settings.kafka, settings.prefix, client=_CLIENT)
        try:
            records = [(format_record(p, FORMAT), None) for p in range(settings.kafka.partitions)]
            await retry_transient(lambda: publisher.publish(records), "begin in the newest format")
        finally:
            await publisher.close()

    def _plan(self) -> list[TopicStep]:
        try:
            cluster = self._admin.list_topics(timeout=_CALL_SECONDS)
            self._is_mock = is_mock(cluster.cluster_id)
            if self._is_mock:
                return self._plan_mock(cluster.topics)
            if not cluster.brokers:
                raise away(self._settings.kafka, "no broker has registered yet")
            offsets_kept_ms = self._offsets_kept_ms(min(cluster.brokers))
            self._wanted = wanted(
                self._settings, self._queues, offsets_kept_ms=offsets_kept_ms or OFFSETS_KEPT_MS
            )
            self._broker_count = len(cluster.brokers)
            self._found = self._find(cluster.topics)
        except KafkaException as error:
            raise transient(error, self._settings.kafka) from error
        steps = [step for topic in self._wanted for step in self._compare(topic)]
        return [*steps, *self._of_brokers(offsets_kept_ms)]

    def _plan_mock(self, there: Mapping[str, object]) -> list[TopicStep]:
        """Plan for a mock: nothing is kept, so only missing topics count."""
        self._wanted = wanted(self._settings, self._queues)
        return [
            TopicStep(topic.name, "ok", "in memory") if topic.name in there else self._new(topic)
            for topic in self._wanted
        ]

    def _compare(self, topic: Wanted) -> list[TopicStep]:
        found = self._found.get(topic.name)
        if found is None:
            return [self._new(topic)]
        return compare(topic, found, replication=self._settings.kafka.replication)

    def _find(self, there: Mapping[str, Any]) -> dict[str, Found]:
        names = [topic.name for topic in self._wanted if topic.name in there]
        configs = self._configs(ResourceType.TOPIC, names)
        return {
            name: Found(
                len(there[name].partitions),
                min((len(p.replicas) for p in there[name].partitions.values()), default=0),
                configs[name],
            )
            for name in names
        }

    def _offsets_kept_ms(self, broker: int) -> int | None:
        """How long brokers remember a group without members; None where we may not ask."""
        try:
            found = self._configs(ResourceType.BROKER, [str(broker)])[str(broker)]
        except KafkaException:
            return None
        return int(found[_OFFSETS_KEPT]) * _MINUTE_MS if _OFFSETS_KEPT in found else None

    def _configs(self, kind: ResourceType, names: Iterable[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(kind, name) for name in names]
        if not resources:
            return {}
        answers = self._admin.describe_configs(resources, request_timeout=_CALL_SECONDS)
        return {
            resource.name: {name: entry.value for name, entry in answer_of(answer, _CALL_SECONDS).items()}
            for resource, answer in answers.items()
        }

    def _of_brokers(self, offsets_kept_ms: int | None) -> list[TopicStep]:
        if offsets_kept_ms is None:
            detail = f"{_OFFSETS_KEPT} may not be read; see to it that it is above the retention of commands"
            return [TopicStep("brokers", "ok", detail)]
        if offsets_kept_ms > COMMANDS_KEPT_MS:
            return []
        detail = (
            f"{_OFFSETS_KEPT} is {offsets_kept_ms // _MINUTE_MS}, it should be above "
            f"{COMMANDS_KEPT_MS // _MINUTE_MS}: commands are kept for less than that, and a queue whose "
            "workers are away for longer loses them; raise it on the brokers and run `apply` again"
        )
        return [TopicStep("brokers", "warning", detail)]

    def _new(self, topic: Wanted) -> TopicStep:
        settings = self._settings
        if settings.kafka.replication == 1 and far_brokers(settings.kafka) and not settings.security.insecure:
            return TopicStep(
                topic.name,
                "refuse",
                "one replica loses what was acknowledged with one disk; set kafka.replication to 3, or "
                "security.insecure if this is a test",
            )
        if 0 < self._broker_count < settings.kafka.replication:
            return TopicStep(
                topic.name,
                "refuse",
                f"kafka.replication is {settings.kafka.replication}, and so many brokers answer: "
                f"{self._broker_count}; set kafka.replication to that at most, or start more brokers",
            )
        return TopicStep(topic.name, "create", counted(topic.partitions))

    def _apply(self) -> list[TopicStep]:
        steps = self._plan()
        if any(step.action == "refuse" for step in steps):
            return steps
        missing = {step.topic for step in steps if step.action == "create"}
        changed = {step.topic for step in steps if step.action == "change"}
        try:
            if self._is_mock:
                make_topics(self._admin, missing)
            else:
                self._make([topic for topic in self._wanted if topic.name in missing])
                self._mend([topic for topic in self._wanted if topic.name in changed])
        except KafkaException as error:
            raise transient(error, self._settings.kafka) from error
        if missing or changed:
            self._wait_until_seen()
        if missing and not self._is_mock:
            self._begin_groups(missing)
        return steps

    def _begin_groups(self, made: set[str]) -> None:
        """Commit offset 0 of new topics of commands for their workers.

        A group without offsets is then one whose offsets were forgotten, never a new one: the first worker
        reads the commands written before it came, and asks for none of them again. Where that is refused, by
        rights or since a worker is there already, the worker does without.
        """
        prefix = self._settings.prefix
        for topic in self._wanted:
            lane = topic.name.removeprefix(full_name(prefix, COMMANDS))
            if topic.name not in made or lane == topic.name:
                continue
            group = full_name(prefix, WORKERS + lane)
            marks = [TopicPartition(topic.name, partition, 0) for partition in range(topic.partitions)]
            if refusal := self._begin(group, marks):
                _log.warning(OFFSETS_REFUSED, topic=topic.name, reason=refusal.str())

    def _begin(self, group: str, marks: list[TopicPartition]) -> KafkaError | None:
        """Commit a group's first offsets, again while its broker may do so in a moment; return the refusal.

        By a consumer: a new cluster never answers an administrator, whose client cannot be closed then.
        """
        settings = self._settings.kafka
        properties = config(settings, _CLIENT, group_id=group, enable_auto_commit=False)
        consumer = Consumer(heard(settings, properties))
        deadline = time.monotonic() + _BEGIN_SECONDS
        try:
            while (refusal := _commit(consumer, marks)) and refusal.code() in _NOT_YET:
                if time.monotonic() > deadline:
                    break
                time.sleep(_LOOK_SECONDS)
        finally:
            consumer.close()
        return refusal

    def _wait_until_seen(self) -> None:
        """Wait, not for ever, until brokers report what the controller has done: others look at once."""
        deadline = time.monotonic() + _SEEN_SECONDS
        while time.monotonic() < deadline:
            try:
                if all(step.action not in ("create", "change") for step in self._plan()):
                    return
            except TransientError:
                # A topic that is known without its partitions yet.
                pass
            time.sleep(_LOOK_SECONDS)

    def _make(self, topics: list[Wanted]) -> None:
        replication = self._settings.kafka.replication
        new = [NewTopic(t.name, t.partitions, replication, config=t.config) for t in topics]
        deadline = time.monotonic() + _SEEN_SECONDS
        while new:
            answers = self._admin.create_topics(new, request_timeout=_CALL_SECONDS)
            is_last = time.monotonic() > deadline
            fenced = {name for name, made in answers.items() if _is_fenced(made, is_last=is_last)}
            if new := [topic for topic in new if topic.topic in fenced]:
                time.sleep(_LOOK_SECONDS)

    def _mend(self, topics: list[Wanted]) -> None:
        """Correct properties breaking a rule, and leave all others alone."""
        resources = [
            ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=_settings_of(topic, found))
            for topic in topics
            if (found := self._found.get(topic.name)) is not None
        ]
        if resources:
            answers = self._admin.incremental_alter_configs(resources, request_timeout=_CALL_SECONDS)
            for future in answers.values():
                answer_of(future, _CALL_SECONDS)


def _commit(consumer: Consumer, marks: list[TopicPartition]) -> KafkaError | None:
    try:
        answered = consumer.commit(offsets=marks, asynchronous=False) or []
    except KafkaException as error:
        return cast(KafkaError, error.args[0])
    return next((mark.error for mark in answered if mark.error is not None), None)


def _is_fenced(made: Future[None], *, is_last: bool) -> bool:
    """Wait for a created topic; return whether too few brokers were there at the moment.

    A controller takes a busy broker for gone after some seconds, and for back with its next heartbeat: the
    plan has seen enough of them. Another process may have created the topic at the same moment.
    """
    try:
        answer_of(made, _CALL_SECONDS)
    except KafkaException as error:
        code = error.args[0].code()
        if code == KafkaError.INVALID_REPLICATION_FACTOR and not is_last:
            return True
        if code != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    return False


def _settings_of(topic: Wanted, found: Found) -> list[ConfigEntry]:
    return [
        ConfigEntry(rule.name, rule.value, incremental_operation=AlterConfigOpType.SET)
        for rule in for_replicas(topic.rules, found.replicas)
        if not rule.takes(found.config.get(rule.name))
    ]
