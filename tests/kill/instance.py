"""One isolated instance: a prefix and a schema of its own on the services, and looks into both."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.postgres.migrate import migrate
from stream_durable.settings import KafkaSettings, PostgresSettings, Settings

QUEUE = "default"
_CALL_SECONDS = 10.0
#: What a look meets while the server is down, going down or coming up.
_AWAY = (OSError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError)


class Cursor(NamedTuple):
    """Where a partition stands."""

    owner: str | None
    token: object
    next_offset: int


class Looks:
    """What anybody with access to the topics and the schema of an instance can see."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._connection: asyncpg.Connection | None = None

    @property
    def partitions(self) -> int:
        return self.settings.kafka.partitions

    def topic(self, name: str) -> str:
        return f"{self.settings.prefix}.{name}"

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Ask the database; nothing while it is away."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(
                    self.settings.postgres.dsn.get_secret_value(),
                    server_settings={"search_path": self.settings.postgres.db_schema},
                    command_timeout=60,
                )
            return await self._connection.fetch(query, *arguments)
        except _AWAY:
            self.disconnect()
            return []

    async def value(self, query: str, *arguments: object) -> Any:
        """Ask for one value; None while the database is away."""
        found = await self.rows(query, *arguments)
        return found[0][0] if found else None

    def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def cursors(self) -> dict[int, Cursor]:
        found = await self.rows("select id, owner, owner_token, next_offset from partition order by id")
        return {row[0]: Cursor(*row[1:]) for row in found}

    async def ends(self, topic: str) -> list[int]:
        """The offset after the last record, by partition."""
        return await asyncio.to_thread(self._ends, self.topic(topic))

    async def committed(self, topic: str, group: str) -> list[int]:
        """What a group has committed, by partition; 0 where it has not."""
        return await asyncio.to_thread(self._committed, self.topic(topic), self.topic(group))

    async def definitions(self) -> int:
        """How many definitions are known; none while their topic has no leader yet."""
        try:
            partitions = await self.records("definitions")
        except KafkaException:
            return 0
        return len({message.key() for known in partitions for message in known})

    async def records(self, topic: str) -> list[list[Message]]:
        """All records of a topic, by partition, in their order."""
        return await asyncio.to_thread(self._records, self.topic(topic))

    def _ends(self, topic: str) -> list[int]:
        consumer = self._consumer("unused")
        try:
            return [high for _, high in self._bounds(consumer, topic)]
        finally:
            consumer.close()

    def _committed(self, topic: str, group: str) -> list[int]:
        consumer = self._consumer(group)
        try:
            parts = [TopicPartition(topic, p) for p in range(self.partitions)]
            return [max(0, part.offset) for part in consumer.committed(parts, timeout=_CALL_SECONDS)]
        finally:
            consumer.close()

    def _records(self, topic: str) -> list[list[Message]]:
        consumer = self._consumer("unused")
        try:
            bounds = self._bounds(consumer, topic)
            consumer.assign([TopicPartition(topic, p, low) for p, (low, _) in enumerate(bounds)])
            left = sum(high - low for low, high in bounds)
            found: list[list[Message]] = [[] for _ in bounds]
            while left > 0:
                first = consumer.poll(_CALL_SECONDS)
                assert first is not None, f"{left} records of {topic} do not come"
                messages = [first, *consumer.consume(2_000, 0)]
                for message in messages:
                    assert message.error() is None, message.error()
                    found[message.partition()].append(message)
                left -= len(messages)
            return found
        finally:
            consumer.close()

    def _bounds(self, consumer: Consumer, topic: str) -> Sequence[tuple[int, int]]:
        partitions = consumer.list_topics(topic, timeout=_CALL_SECONDS).topics[topic].partitions
        return [
            consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=_CALL_SECONDS)
            for p in sorted(partitions)
        ]

    def _consumer(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.settings.kafka.bootstrap,
                "log_level": 0,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.queue.backoff.ms": 5,
                "log.connection.close": False,
            }
        )


class Instance(Looks):
    """Settings, topics and schema of one test, and the environment of its processes."""

    def __init__(
        self, name: str, kafka: LocalKafka, dsn: str, more: Mapping[str, str], partitions: int = 8
    ) -> None:
        """`more` is for the processes alone."""
        super().__init__(
            Settings(
                prefix=name,
                kafka=KafkaSettings(bootstrap=kafka.bootstrap, partitions=partitions, replication=1),
                postgres=PostgresSettings(dsn=dsn, db_schema=name),
            )
        )
        self.name = name
        self.environment = {
            "STREAM_DURABLE_PREFIX": name,
            "STREAM_DURABLE_KAFKA__BOOTSTRAP": kafka.bootstrap,
            "STREAM_DURABLE_KAFKA__PARTITIONS": str(partitions),
            "STREAM_DURABLE_KAFKA__REPLICATION": "1",
            "STREAM_DURABLE_POSTGRES__DSN": dsn,
            "STREAM_DURABLE_POSTGRES__DB_SCHEMA": name,
            **more,
        }

    async def create(self) -> None:
        """Make schema and topics."""
        await migrate(self.settings.postgres, self.partitions)
        await Topics(self.settings, (QUEUE,)).apply()
