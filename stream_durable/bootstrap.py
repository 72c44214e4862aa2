"""The composition root: settings in, running services out. No logic of its own."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from stream_durable.engine.reconciler import Reconciler
from stream_durable.kafka.definitions import KafkaDefinitions
from stream_durable.kafka.log import GroupLog
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.postgres.store import PostgresStore
from stream_durable.sdk.app import App
from stream_durable.settings import Settings
from stream_durable.telemetry import Metrics
from stream_durable.worker.worker import Worker


class SystemClock:
    """This machine's clock."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


def process_name(settings: Settings, role: str) -> str:
    """Return the name under which a process of ours appears in rows, logs and groups."""
    return settings.worker.id or f"{role}-{socket.gethostname()}-{os.getpid()}"


@asynccontextmanager
async def reconciler(settings: Settings, metrics: Metrics) -> AsyncIterator[Reconciler]:
    """Assemble a reconciler; it works while its `run` does."""
    name = process_name(settings, "reconciler")
    publisher = KafkaPublisher(settings.kafka, settings.prefix, client=name)
    definitions = KafkaDefinitions(settings.kafka, settings.prefix, publisher, client=name)
    store = PostgresStore(settings.postgres)
    log = GroupLog(
        settings.kafka,
        f"{settings.prefix}.inbox",
        f"{settings.prefix}.reconciler",
        client=name,
        records_max=settings.engine.batch_records_max,
    )
    try:
        await definitions.catch_up()
        log.open()
        yield Reconciler(
            log,
            store,
            publisher,
            definitions,
            SystemClock(),
            settings.engine,
            metrics,
            owner=name,
            source=f"/stream-durable/{settings.prefix}",
            partition_count=settings.kafka.partitions,
        )
    finally:
        await publisher.close()
        await definitions.close()
        await store.close()


@asynccontextmanager
async def worker(settings: Settings, app: App, metrics: Metrics) -> AsyncIterator[Worker]:
    """Assemble a worker that carries an app; it works while its `run` does."""
    name = process_name(settings, "worker")
    publisher = KafkaPublisher(settings.kafka, settings.prefix, client=name)
    definitions = KafkaDefinitions(settings.kafka, settings.prefix, publisher, client=name)
    logs = {
        queue: GroupLog(
            settings.kafka,
            f"{settings.prefix}.commands.{queue}",
            f"{settings.prefix}.worker.{queue}",
            client=name,
            records_max=1_000,
            reset="earliest",
        )
        for queue in settings.worker.queues
    }
    try:
        for definition in app.definitions():
            await definitions.register(definition)
        for log in logs.values():
            log.open()
        yield Worker(logs, publisher, app.handler, SystemClock(), settings.worker, metrics, worker=name)
    finally:
        await publisher.close()
        await definitions.close()
