"""The composition root: settings in, running services out. Nothing but wiring."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

from stream_durable.client.rules import declare_rules
from stream_durable.connecting import SystemClock, process_name, tokens_of
from stream_durable.core.definition.nodes import uses_tokens
from stream_durable.core.errors import RejectedError
from stream_durable.core.lanes import lanes_of_all
from stream_durable.engine.bound import BoundTopics
from stream_durable.engine.ingress import Ingress
from stream_durable.engine.reconciler import Reconciler
from stream_durable.kafka.blobs import KafkaBlobs
from stream_durable.kafka.bound import bound_logs
from stream_durable.kafka.control import KafkaControl
from stream_durable.kafka.definitions import KafkaDefinitions
from stream_durable.kafka.log import GroupLog
from stream_durable.kafka.publisher import KafkaPublisher
from stream_durable.kafka.reader import KafkaReader
from stream_durable.kafka.registry import registry_of
from stream_durable.kafka.verdicts import KafkaVerdicts
from stream_durable.metrics import Metrics
from stream_durable.ports import Clock, Log, Outgoing
from stream_durable.postgres.migrate import check, drop, make
from stream_durable.postgres.snapshot import snapshot
from stream_durable.postgres.store import PostgresStore
from stream_durable.presence import present
from stream_durable.replay import holes
from stream_durable.replay import rebuild as rebuilding
from stream_durable.replay import verify as verifying
from stream_durable.replay import waits as waiting
from stream_durable.retrying import retry_transient
from stream_durable.sdk.app import App
from stream_durable.sdk.schedule import declarations
from stream_durable.settings import Settings
from stream_durable.wire.inbox import encode
from stream_durable.wire.tokens import no_secret
from stream_durable.wire.topics import (
    COMMANDS,
    EVENTS,
    INBOX,
    INGRESSES,
    RECONCILERS,
    VERDICTS,
    WORKERS,
    full_name,
)
from stream_durable.worker.control import Presence
from stream_durable.worker.emitting import Emitting
from stream_durable.worker.logs import captured
from stream_durable.worker.note import Note
from stream_durable.worker.standstill import Standstill
from stream_durable.worker.worker import Worker

#: Commands that a worker reads ahead, beside those that wait for a place: ten times what it can run, as each
#: batch wakes two threads, and no more than a thousand.
_READ_MIN, _READ_MAX = 20, 1_000


@asynccontextmanager
async def reconciler(
    settings: Settings,
    metrics: Metrics,
    *,
    clock: Clock | None = None,
    through: Callable[[Log], Log] = lambda log: log,
) -> AsyncIterator[Reconciler]:
    """Assemble a reconciler, working during `run`. Tests may pass another clock."""
    name = process_name(settings, "reconciler")
    publisher = KafkaPublisher(settings.kafka, settings.prefix, client=name, serves=True)
    definitions = KafkaDefinitions(settings.kafka, settings.prefix, publisher, client=name, metrics=metrics)
    verdicts = KafkaVerdicts(settings.kafka, settings.prefix, client=name)
    store = PostgresStore(settings.postgres)
    log = GroupLog(
        settings.kafka,
        full_name(settings.prefix, INBOX),
        full_name(settings.prefix, RECONCILERS),
        client=name,
        records_max=settings.engine.batch_records_max,
        bytes_max=2 * settings.engine.batch_bytes_max,
        whole=metrics,
    )
    try:
        await definitions.catch_up()
        log.open()
        async with present(publisher, SystemClock(), "reconciler", name):
            yield Reconciler(
                through(log),
                store,
                publisher,
                definitions,
                verdicts,
                clock or SystemClock(),
                settings.engine,
                metrics,
                owner=name,
                source=f"/stream-durable/{settings.prefix}",
                partition_count=settings.kafka.partitions,
            )
    finally:
        await publisher.close()
        await definitions.close()
        await verdicts.close()
        await store.close()


@asynccontextmanager
async def worker(
    settings: Settings,
    app: App,
    metrics: Metrics,
    *,
    clock: Clock | None = None,
    note: int | None = None,
) -> AsyncIterator[Worker]:
    """Assemble a worker for an app, with captured step output, working during `run`.

    `note` is the descriptor of the file for notes.
    """
    name = process_name(settings, "worker")
    publisher = KafkaPublisher(settings.kafka, settings.prefix, client=name, serves=True)
    blobs = KafkaBlobs(settings.kafka, settings.prefix, publisher, client=name)
    definitions = KafkaDefinitions(settings.kafka, settings.prefix, publisher, client=name, metrics=metrics)
    control = KafkaControl(settings.kafka, settings.prefix, client=name, is_followed=True)
    lanes = lanes_of_all(app.parts(settings.worker.queues))
    share = len(lanes)
    logs = {
        lane: GroupLog(
            settings.kafka,
            full_name(settings.prefix, COMMANDS + lane),
            full_name(settings.prefix, WORKERS + lane),
            client=name,
            records_max=max(_READ_MIN, min(_READ_MAX, 10 * settings.worker.concurrency // share)),
            bytes_max=settings.worker.waiting_bytes_max // (2 * share),
            reset="earliest",
            whole=metrics,
        )
        for lane in lanes
    }
    try:
        signs = tokens_of(settings)
        if not signs.can_sign and any(map(uses_tokens, app.definitions())):
            raise no_secret()
        carries = [
            (definition.name, await definitions.register(definition, about))
            for definition, about in app.registrations()
        ]
        await _declare_schedules(publisher, app)
        await definitions.catch_up()
        await declare_rules(definitions, app.name, app.rules, SystemClock().now())
        for log in logs.values():
            log.open()
        emitting = Emitting(
            definitions, settings.engine.event_ttl_ms, registry=registry_of(settings.registry),
            schemas=app.schemas,
        )  # fmt: skip
        presence = Presence(
            publisher, SystemClock(), settings.worker, carries=carries, version=version("stream-durable")
        )
        made = Worker(
            logs, publisher, blobs, app.handler, clock or SystemClock(), settings.worker, metrics,
            worker=name, emitting=emitting, control=control,
            presence=presence,
        )  # fmt: skip
        made.attempts.signs = signs
        made.attempts.leases.note = None if note is None else Note(note)
        made.standstill = Standstill(made.attempts, made.last_marks, logs, publisher.push, settings.worker)
        with captured():
            yield made
    finally:
        await control.close()
        await blobs.close()
        await publisher.close()
        await definitions.close()


async def _declare_schedules(publisher: KafkaPublisher, app: App) -> None:
    """Put the schedules declared by the code on the log."""
    said = declarations(app.name, app.schedules)
    records = [Outgoing(INBOX, None, one.key.encode(), encode(one)) for one in said]
    for refusal in await publisher.publish([(record, None) for record in records]):
        text = f"app {app.name!r}: the inbox does not take its schedules: {refusal.reason}"
        raise RejectedError(refusal.code, text)


async def rebuild(
    settings: Settings,
    into_schema: str,
    *,
    resume: bool = False,
    to_end: bool = False,
    progress: Callable[[rebuilding.Progress], None] | None = None,
) -> rebuilding.Rebuilt:
    """Fold the inbox into a schema that holds nothing, or, to resume, the beginning of the same.

    Up to where the live schema stands; with `to_end`, or without a live schema, up to the log's end.
    """
    target = settings.override({"postgres.db_schema": into_schema})
    await make(target.postgres, settings.kafka.partitions)
    live = None
    if not to_end and into_schema != settings.postgres.db_schema and not await check(settings.postgres):
        async with snapshot(settings.postgres) as look:
            live = await rebuilding.reached(look)
    async with _world(target) as world:
        return await rebuilding.rebuild(world, live, resume=resume, progress=progress)


async def verify(
    settings: Settings,
    *,
    keep_as: str | None = None,
    rows_max: int = 20,
    progress: Callable[[rebuilding.Progress], None] | None = None,
) -> verifying.Verified:
    """Rebuild beside the live schema and compare; the live system may go on meanwhile.

    The rebuilt schema is dropped, unless it is kept under a name.
    """
    if missing := await check(settings.postgres):
        raise RejectedError("schema_behind", f"the schema lacks {', '.join(missing)}; run `db migrate`")
    scratch = settings.override({"postgres.db_schema": keep_as or verifying.scratch_schema()})
    await make(scratch.postgres, settings.kafka.partitions)
    try:
        async with _world(scratch) as world:
            found = await verifying.verify(
                world, lambda: snapshot(settings.postgres), rows_max=rows_max, progress=progress
            )
            return found._replace(left_out=await left_out(settings))
    finally:
        if keep_as is None:
            await drop(scratch.postgres)


async def left_out(settings: Settings, *, batches: int = holes.EVERY) -> holes.LeftOut:
    """Return records of the inbox left out by the fold, in the newest batches of each partition."""
    topic = full_name(settings.prefix, INBOX)
    inbox = KafkaReader(settings.kafka, topic, client=process_name(settings, "evidence"), records_max=1_000)
    return await holes.left_out(lambda: snapshot(settings.postgres), inbox, batches=batches)


async def stray_waits(settings: Settings, *, patience_seconds: float = 10.0) -> list[waiting.StrayWait]:
    """Return the waits with a disagreement between run and channel; the live system may go on."""
    async with _waits(settings) as world:
        return await waiting.stray_waits(world, patience_seconds=patience_seconds)


async def reopen_waits(settings: Settings, strays: Sequence[waiting.StrayWait]) -> int:
    """Let runs ask the channels of these waits again; return the number of requests.

    Nothing else changes: a channel that knows the wait takes the request as a duplicate.
    """
    async with _waits(settings) as world:
        found = await waiting.reopened(world, strays)
    publisher = KafkaPublisher(settings.kafka, settings.prefix, client=process_name(settings, "waits"))
    try:
        records = [(Outgoing(INBOX, None, one.key.encode(), encode(one)), None) for one in found]
        for refusal in await retry_transient(lambda: publisher.publish(records), "ask again"):
            raise RejectedError(refusal.code, f"the inbox does not take the requests: {refusal.reason}")
    finally:
        await publisher.close()
    return len(found)


@asynccontextmanager
async def _waits(settings: Settings) -> AsyncIterator[waiting.World]:
    """Assemble a search for waits, without a producer."""
    name = process_name(settings, "waits")
    definitions = KafkaDefinitions(settings.kafka, settings.prefix, None, client=name)
    store = PostgresStore(settings.postgres)
    try:
        await definitions.catch_up()
        yield waiting.World(
            lambda: snapshot(settings.postgres), store, definitions, settings.kafka.partitions
        )
    finally:
        await store.close()
        await definitions.close()


@asynccontextmanager
async def _world(target: Settings) -> AsyncIterator[rebuilding.World]:
    """Assemble a rebuild, without a producer: nothing can be published."""
    name = process_name(target, "rebuild")
    definitions = KafkaDefinitions(target.kafka, target.prefix, None, client=name)
    inbox, verdicts = (
        KafkaReader(
            target.kafka,
            full_name(target.prefix, topic),
            client=name,
            records_max=rebuilding.BATCH_RECORDS_MAX,
        )
        for topic in (INBOX, VERDICTS)
    )
    try:
        yield rebuilding.World(
            inbox=inbox,
            verdicts=verdicts,
            definitions=definitions,
            look=lambda: snapshot(target.postgres),
            store=lambda: PostgresStore(target.postgres),
            settings=target.engine,
            partition_count=target.kafka.partitions,
        )
    finally:
        await definitions.close()


@asynccontextmanager
async def ingress(settings: Settings, metrics: Metrics) -> AsyncIterator[Ingress]:
    """Assemble an ingress, working during `run`."""
    name = process_name(settings, "ingress")
    publisher = KafkaPublisher(settings.kafka, settings.prefix, client=name, serves=True)
    definitions = KafkaDefinitions(settings.kafka, settings.prefix, publisher, client=name, metrics=metrics)
    log = GroupLog(
        settings.kafka,
        full_name(settings.prefix, EVENTS),
        full_name(settings.prefix, INGRESSES),
        client=name,
        bytes_max=2 * settings.engine.batch_bytes_max,
        reset="earliest",
    )
    try:
        await definitions.catch_up()
        log.open()
        bytes_max, ttl_ms = settings.engine.unpublished_bytes_max, settings.engine.event_ttl_ms
        async with present(publisher, SystemClock(), "ingress", name):
            yield Ingress(
                log,
                publisher,
                definitions,
                metrics,
                ttl_ms=ttl_ms,
                bytes_max=bytes_max,
                tokens=tokens_of(settings),
                bound=BoundTopics(
                    bound_logs(settings, name),
                    publisher,
                    definitions,
                    metrics,
                    ttl_ms=ttl_ms,
                    bytes_max=bytes_max,
                    registry=registry_of(settings.registry),
                ),
            )
    finally:
        await publisher.close()
        await definitions.close()
