"""The kinds of service, each with its start-up checks and readiness condition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from stream_durable import bootstrap
from stream_durable.core.definition.stranding import queues_of as queues_in
from stream_durable.core.errors import RejectedError
from stream_durable.kafka.probe import KafkaProbe
from stream_durable.kafka.topics import Topics
from stream_durable.metrics import Metrics
from stream_durable.operating import check_schema
from stream_durable.ports import TopicStep
from stream_durable.postgres import migrate
from stream_durable.postgres.probe import PostgresProbe
from stream_durable.sdk.app import App
from stream_durable.services.health import Check
from stream_durable.services.host import Role, Service
from stream_durable.services.probes import Probe
from stream_durable.services.rights import question_rights, question_role
from stream_durable.services.upgrades import check_format
from stream_durable.settings import Settings
from stream_durable.telemetry import (
    KAFKA_LOST,
    KAFKA_REGAINED,
    POSTGRES_LOST,
    POSTGRES_REGAINED,
    SETTINGS_QUESTIONED,
    logger,
)
from stream_durable.wire.topics import INBOX, full_name

if TYPE_CHECKING:
    from stream_durable.services.laptop import Laptop

_log = logger(__name__)

_NOT_TAKEN_IN: Final = "the group has not taken it in yet"


@asynccontextmanager
async def reconciler(settings: Settings, metrics: Metrics) -> AsyncIterator[Service]:
    """Return the role of a reconciler on checked topics and a checked schema."""
    await check_schema(settings)
    await check_format(settings)
    await check_topics(settings, ())
    await question_rights(settings, "reconciler")
    await question_role(settings)
    async with prepared_reconciler(settings, metrics) as service:
        yield service


@asynccontextmanager
async def prepared_reconciler(settings: Settings, metrics: Metrics) -> AsyncIterator[Service]:
    """Return the role of a reconciler without checks at the start, for use after `prepare`."""
    async with AsyncExitStack() as stack:
        kafka, postgres = _kafka(settings), await _postgres(settings, stack)
        found = await stack.enter_async_context(bootstrap.reconciler(settings, metrics))

        def owns() -> str | None:
            if not found.is_member:
                return _NOT_TAKEN_IN
            return "partitions are being taken over" if found.is_taking_over else None

        def holds() -> str | None:
            return "; ".join(f"partition {p} is held: {why}" for p, why in found.held().items()) or None

        checks: dict[str, Check] = {
            "partitions": owns,
            "held": holds,
            "database": found.trouble,
            "kafka": kafka.check,
            "postgres": postgres.check,
        }
        yield Service(found.run, checks, (kafka, postgres))


def worker(app: App, note: int | None = None, *, makes_topics: bool = False) -> Role:
    """Return the role of a worker for this app; `note` as in `bootstrap.worker`.

    Topics are checked, or made if missing.
    """

    @asynccontextmanager
    async def role(settings: Settings, metrics: Metrics) -> AsyncIterator[Service]:
        parts = app.parts(settings.worker.queues)
        if makes_topics:
            await make_topics(settings, parts)
        else:
            await check_topics(settings, parts)
            await question_rights(settings, "worker")
        if unserved := set(queues_of(app)) - set(settings.worker.queues):
            where = ", ".join(sorted(unserved))
            _log.warning(
                SETTINGS_QUESTIONED,
                note=f"worker.queues: steps of the app wait in {where} for another worker",
            )
        kafka = _kafka(settings)
        async with bootstrap.worker(settings, app, metrics, note=note) as found:

            def serves() -> str | None:
                return None if found.is_member else _NOT_TAKEN_IN

            checks: dict[str, Check] = {"queues": serves, "threads": found.trouble, "kafka": kafka.check}
            yield Service(found.run, checks, (kafka,), found.standstill)

    return role


@asynccontextmanager
async def ingress(settings: Settings, metrics: Metrics) -> AsyncIterator[Service]:
    """Return the role of an ingress, without a database."""
    await check_topics(settings, ())
    await question_rights(settings, "ingress")
    async with prepared_ingress(settings, metrics) as service:
        yield service


@asynccontextmanager
async def prepared_ingress(settings: Settings, metrics: Metrics) -> AsyncIterator[Service]:
    """Return the role of an ingress without checks at the start, for use after `prepare`."""
    kafka = _kafka(settings)
    async with bootstrap.ingress(settings, metrics) as found:

        def serves() -> str | None:
            return None if found.is_member else _NOT_TAKEN_IN

        yield Service(found.run, {"partitions": serves, "kafka": kafka.check}, (kafka,))


def queues_of(app: App) -> tuple[str, ...]:
    """Return the queues that the steps of an app are sent to."""
    queues = {queue for definition in app.definitions() for queue in queues_in(definition)}
    return tuple(sorted(queues)) or ("default",)


async def make_topics(settings: Settings, queues: tuple[str, ...]) -> list[str]:
    """Make the topics that are missing, or refuse; return the names of all."""
    steps = await Topics(settings, queues).apply()
    _refuse([step for step in steps if step.action == "refuse"])
    return [step.topic for step in steps]


async def prepare(laptop: Laptop, queues: tuple[str, ...]) -> tuple[list[str], int]:
    """Bring schema and topics up to date, each as soon as its server answers.

    Return the migrations that were applied and how many topics. Refuses the data of a newer release.
    """
    settings = laptop.settings

    async def schema() -> list[str]:
        await laptop.until_started("Postgres")
        applied = await migrate.migrate(settings.postgres, settings.kafka.partitions)
        await check_format(settings)
        return applied

    async def topics() -> int:
        await laptop.until_started("Kafka")
        return len(await make_topics(settings, queues))

    return await asyncio.gather(schema(), topics())


async def check_topics(settings: Settings, queues: tuple[str, ...]) -> None:
    """Refuse to work with missing topics or moved keys; warn of other problems."""
    steps = await Topics(settings, queues).plan()
    if missing := [step.topic for step in steps if step.action == "create"]:
        raise RejectedError(
            "topics_missing", f"there is no {', '.join(missing)}: run `stream-durable topics apply`"
        )
    _refuse([step for step in steps if step.action == "refuse"])
    if questioned := list(dict.fromkeys(s.topic for s in steps if s.action in ("change", "warning"))):
        note = f"topics: {', '.join(questioned)}: not as they should be, see `stream-durable topics plan`"
        _log.warning(SETTINGS_QUESTIONED, note=note)


def _refuse(steps: Iterable[TopicStep]) -> None:
    if reasons := [f"{step.topic}: {step.detail}" for step in steps]:
        raise RejectedError("topics_wrong", "\n".join(reasons))


def _kafka(settings: Settings) -> Probe:
    client = KafkaProbe(settings.kafka, full_name(settings.prefix, INBOX), client="stream-durable-probe")
    return Probe(client.ask, lost=KAFKA_LOST, regained=KAFKA_REGAINED)


async def _postgres(settings: Settings, stack: AsyncExitStack) -> Probe:
    client = PostgresProbe(settings.postgres)
    stack.push_async_callback(client.close)
    return Probe(client.ask, lost=POSTGRES_LOST, regained=POSTGRES_REGAINED)
