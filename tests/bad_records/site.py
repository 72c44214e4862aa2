"""A live instance, what is thrown at it, and where that ends up."""

import asyncio
import secrets
from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple

import msgspec
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from instances import PARTITIONS, Instance
from kill.instance import Looks
from waiting import eventually

from bad_records.workflows import NOBODY, app
from stream_durable.core.ids import partition_of
from stream_durable.core.messages import StartRun
from stream_durable.kafka.config import MESSAGE_BYTES_MAX
from stream_durable.kafka.topics import Topics
from stream_durable.settings import Settings
from stream_durable.wire.inbox import encode

HEADERS = [("x-own", b"\x00\xffkept")]
_SECONDS = 60.0


class Place(NamedTuple):
    """Where a record came to lie."""

    topic: str
    partition: int
    offset: int


class Letter(NamedTuple):
    """A record of the dead letter topic."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Site:
    """What the tests of this folder share: services, three runs, and looks at everything."""

    def __init__(self, instance: Instance, looks: Looks) -> None:
        self.instance = instance
        self.looks = looks
        self._numbers = count()
        self._producer = Producer(
            {
                "bootstrap.servers": instance.settings.kafka.bootstrap,
                "log_level": 0,
                "message.max.bytes": MESSAGE_BYTES_MAX,
            }
        )
        self.started: list[str] = []
        #: Has ended; waits for the signal `gate`; has a step that is never served and one behind it.
        self.ended = self.open = self.stranded = ""

    async def prepare(self) -> None:
        """Start the runs that garbage may be about."""
        self.ended = await self.start("echo", partition=0)
        await self.completed(self.ended)
        self.open = await self.start("gated", partition=1)
        self.stranded = await self.start("stranded", partition=2)
        await eventually(
            lambda: self.looks.rows(
                "select 1 from step where run_id = $1 and name = 'gate' and status = 'waiting'", self.open
            ),
            "a run waits for its signal",
            seconds=_SECONDS,
        )
        await eventually(
            lambda: self.looks.rows("select 1 from run where id = $1", self.stranded),
            "a run is stranded",
            seconds=_SECONDS,
        )

    def id_in(self, partition: int) -> str:
        """A new id that lives in this partition."""
        while True:
            name = f"run-{next(self._numbers)}"
            if partition_of(name, PARTITIONS) == partition:
                return name

    def message_of_start(self, workflow: str, run: str, payload: bytes = b"null") -> StartRun:
        fingerprint = app.workflows[workflow].fingerprint
        data = msgspec.Raw(payload)
        return StartRun(key=run, id=run, workflow=workflow, fingerprint=fingerprint, input=data)

    async def start(self, workflow: str, *, partition: int, payload: bytes = b"null") -> str:
        """Put a start on the inbox, as anybody may."""
        run = self.id_in(partition)
        self.started.append(run)
        await self.send("inbox", run.encode(), encode(self.message_of_start(workflow, run, payload)))
        return run

    async def completed(self, run: str) -> None:
        """Wait until a run has completed."""
        await eventually(
            lambda: self.looks.rows("select 1 from run where id = $1 and status = 'completed'", run),
            f"{run} completes",
            seconds=_SECONDS,
        )

    async def send(
        self, topic: str, key: bytes | None, value: bytes | None, *, partition: int | None = None
    ) -> Place:
        """Produce one record to where its key belongs, or to this partition; return where it lies."""
        if partition is None:
            partition = partition_of(key.decode(), PARTITIONS) if key else 0
        return await asyncio.to_thread(self._send, topic, key, value, partition)

    def _send(self, topic: str, key: bytes | None, value: bytes | None, partition: int) -> Place:
        heard: list[Message] = []

        def hear(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            heard.append(message)

        name = self.looks.topic(topic)
        self._producer.produce(name, value, key, partition, headers=HEADERS, on_delivery=hear)
        assert self._producer.flush(_SECONDS) == 0
        return Place(topic, partition, heard[0].offset())

    async def goes_on(self, partition: int) -> None:
        """See that a run which is started after the garbage, in the same partition, completes."""
        await self.completed(await self.start("echo", partition=partition))

    async def letters(self, place: Place) -> list[Letter]:
        """What the dead letter topic has of this record."""
        wanted = {
            "sd_topic": place.topic.encode(),
            "sd_partition": b"%d" % place.partition,
            "sd_offset": b"%d" % place.offset,
        }
        found = []
        for messages in await self.looks.records("dead"):
            for message in messages:
                headers = message.headers() or []
                if wanted.items() <= dict(headers).items():
                    found.append(Letter(message.key(), message.value(), headers))
        return found

    def counted(self, name: str, **labels: str) -> float:
        """A counter of the instance, 0 before its first time."""
        registry = self.instance.metrics.registry
        return registry.get_sample_value(f"stream_durable_{name}_total", labels) or 0.0


async def allow_large_records(settings: Settings, topics: Sequence[str]) -> None:
    """Let records through that are far larger than the engine takes."""
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0})
    large = ConfigEntry(
        "max.message.bytes", str(MESSAGE_BYTES_MAX), incremental_operation=AlterConfigOpType.SET
    )
    resources = [
        ConfigResource(ResourceType.TOPIC, f"{settings.prefix}.{topic}", incremental_configs=[large])
        for topic in topics
    ]
    for future in admin.incremental_alter_configs(resources).values():
        await asyncio.to_thread(future.result)


async def make_topics(settings: Settings) -> None:
    """Make the topics, also of the queue that nobody serves."""
    await Topics(settings, (*settings.worker.queues, NOBODY)).apply()


def name() -> str:
    """A name for a database and a prefix."""
    return f"garbage_{secrets.token_hex(4)}"


def document(kind: str, run: str, **fields: Any) -> bytes:
    """An inbox message by hand, right or wrong."""
    return msgspec.json.encode({"type": kind, "run": run, **fields})
