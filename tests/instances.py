"""A whole instance within a test: real Kafka and Postgres, and every service as a task of this process."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from stream_durable import App, bootstrap, connecting
from stream_durable.client import AsyncClient, RunHandle
from stream_durable.client.edge import Edge, Ports
from stream_durable.kafka.topics import Topics
from stream_durable.local.kafka import LocalKafka
from stream_durable.metrics import Metrics
from stream_durable.postgres.migrate import migrate
from stream_durable.retrying import retry_transient
from stream_durable.settings import Settings

PARTITIONS = 4
#: Nothing in these tests takes longer, however slow the machine.
SECONDS = 60.0


class Service(Protocol):
    async def run(self) -> None: ...


class Letter(NamedTuple):
    """What became of a record that could not be taken."""

    code: str
    reason: str
    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class Instance:
    """Topics, a schema, and the services on them."""

    def __init__(self, settings: Settings, metrics: Metrics, ports: Ports, client: AsyncClient) -> None:
        self.settings = settings
        self.metrics = metrics
        self.ports = ports
        self.client = client
        #: Nothing of ours: what any program that speaks Kafka would use.
        self._producer = Producer(
            {"bootstrap.servers": settings.kafka.bootstrap, "log_level": 0, "message.max.bytes": 10_000_000}
        )

    async def emit(
        self,
        value: bytes | dict[str, Any] | None,
        *,
        key: bytes | str | None = None,
        headers: dict[str, str | bytes | None] | None = None,
        partition: int = -1,
    ) -> None:
        """Put a record on the events topic, and raise if the broker refuses it."""
        data = msgspec.json.encode(value) if isinstance(value, dict) else value
        refused: list[object] = []
        self._producer.produce(
            f"{self.settings.prefix}.events", data, key, partition,
            on_delivery=lambda error, _: refused.append(error) if error else None,
            headers=list((headers or {}).items()),
        )  # fmt: skip
        left = await asyncio.to_thread(self._producer.flush, SECONDS)
        assert not left
        assert not refused, refused

    async def begun(self, run: str) -> RunHandle:
        """Wait until a run that was started through Kafka is there."""
        async with asyncio.timeout(SECONDS), Edge(self.ports).past(run, 1) as said:
            async for event in said:
                if event is not None:
                    break
        return self.client.run(run)

    async def dead_letters(self, count: int) -> list[Letter]:
        """Wait for so many dead letters."""
        return [_letter(message) for message in await self.records("dead", lambda found: len(found) == count)]

    async def records(self, topic: str, is_enough: Callable[[list[Message]], bool]) -> list[Message]:
        """Read a topic from its beginning until there is enough."""
        return await asyncio.to_thread(self._read, topic, is_enough)

    def _read(self, topic: str, is_enough: Callable[[list[Message]], bool]) -> list[Message]:
        consumer = Consumer({
            "bootstrap.servers": self.settings.kafka.bootstrap, "log_level": 0,
            "group.id": "unused",
            "enable.auto.commit": False,
        })  # fmt: skip
        consumer.assign([TopicPartition(f"{self.settings.prefix}.{topic}", p, 0) for p in range(PARTITIONS)])
        found: list[Message] = []
        try:
            while not is_enough(found):
                message = consumer.poll(SECONDS)
                assert message is not None, f"too little came: {[(m.key(), m.headers()) for m in found]}"
                assert message.error() is None, message.error()
                found.append(message)
        finally:
            consumer.close()
        return found


def settings_of(kafka: LocalKafka, database: str, prefix: str) -> Settings:
    return Settings().override(
        {
            "prefix": prefix,
            "kafka.bootstrap": kafka.bootstrap,
            "kafka.partitions": PARTITIONS,
            "kafka.replication": 1,
            "postgres.dsn": database,
            "worker.drain_ms": 1_000,
            "security.token_secrets": "a secret of the tests that is long enough",
        }
    )


@asynccontextmanager
async def running(settings: Settings, app: App | None) -> AsyncIterator[Instance]:
    """Make topics and schema, and run a reconciler, an ingress and, for an app, a worker until the end."""
    await migrate(settings.postgres, PARTITIONS)
    await Topics(settings, settings.worker.queues).apply()
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        processors: list[Callable[..., Any]] = [bootstrap.reconciler, bootstrap.ingress]
        if app is not None:
            processors.insert(1, partial(_worker, app=app))
        for assemble in processors:
            await stack.enter_async_context(_task(_serve(partial(assemble, settings, metrics))))
        ports = await stack.enter_async_context(connecting.client_ports(settings))
        connect: Callable[[], AbstractAsyncContextManager[Ports]] = lambda: nullcontext(ports)  # noqa: E731
        client = await stack.enter_async_context(AsyncClient(connect))
        yield Instance(settings, metrics, ports, client)


def another_worker(settings: Settings, app: App) -> AbstractAsyncContextManager[None]:
    """Run one more worker until the end of the block."""
    return _task(_serve(partial(_worker, settings, Metrics(), app=app)))


@asynccontextmanager
async def _task(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        assert isinstance(outcome, asyncio.CancelledError), outcome


async def _serve(assemble: Callable[[], AbstractAsyncContextManager[Service]]) -> None:
    async with AsyncExitStack() as stack:
        # Topics that were just made have no leader for a moment.
        service = await retry_transient(lambda: stack.enter_async_context(assemble()), "assemble")
        await service.run()


def _worker(settings: Settings, metrics: Metrics, *, app: App) -> AbstractAsyncContextManager[Service]:
    return bootstrap.worker(settings, app, metrics)


def _letter(message: Message) -> Letter:
    headers: dict[str, Any] = dict(message.headers() or ())
    code, reason = headers["sd_code"].decode(), headers["sd_reason"].decode()
    return Letter(code, reason, message.key(), message.value(), headers)
