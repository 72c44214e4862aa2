"""Looks at an instance: through the ports of a client, and at its services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from typing import Final

from stream_durable import bootstrap, connecting, operating
from stream_durable.client import AsyncClient
from stream_durable.client.edge import Ports
from stream_durable.connecting import SystemClock
from stream_durable.core.definition.stranding import queues_of
from stream_durable.core.errors import TransientError
from stream_durable.core.status import COMPENSATING, COMPENSATION_FAILED
from stream_durable.ports import InboxReading, PartitionSummary, RunQuery
from stream_durable.postgres.formats import server_time
from stream_durable.services import status
from stream_durable.services.doctor.checks import OVERDUE_MS, UNDOING_MS, findings
from stream_durable.services.doctor.finding import Finding
from stream_durable.services.doctor.seen import ROWS_MAX, Seen
from stream_durable.settings import Settings, check_safety

_DAY_MS: Final = 86_400_000
_DEAD_MAX: Final = 10_000
_NOW: Final = SystemClock().now
#: Messages between runs and channels take less; what both disagree about for longer is wrong.
_PATIENCE_SECONDS: Final = 5.0
#: The evidence of so many batches is read, of each partition; `replay verify` reads all.
_BATCHES_MAX: Final = 10_000


async def look(ports: Ports, client: AsyncClient, settings: Settings, now: int) -> Seen:
    """Return what is seen through the ports of a client, at a moment."""
    views = ports.views
    await ports.control.catch_up()
    await ports.catalogue.catch_up()
    state = ports.control.state
    lately = RunQuery(status=(COMPENSATING,), updated_before=now - UNDOING_MS)
    return Seen(
        now,
        settings,
        workers=None if not ports.reports_workers and not state.workers else list(state.workers.values()),
        processes=state.processes(),
        paused=state.paused,
        graphs=ports.catalogue.known(),
        partitions=[(one, await _reading(ports, one)) for one in await views.partition_list()],
        live=await views.live_versions(),
        overdue=await views.overdue_timers(now - OVERDUE_MS, limit=ROWS_MAX),
        not_undone=(await views.run_list(RunQuery(status=(COMPENSATION_FAILED,)), limit=ROWS_MAX)).runs,
        undoing=(await views.run_list(lately, limit=ROWS_MAX)).runs,
        schedules=await client.schedules(),
        bindings=await client.bindings(),
        dead=await views.dead_count(now - _DAY_MS, at_most=_DEAD_MAX),
    )


async def examine(settings: Settings) -> tuple[Seen, list[Finding]]:
    """Return what is seen of an instance, and everything that is wrong there."""
    seen = await diagnose(settings)
    return seen, findings(seen)


async def diagnose(settings: Settings, now: Callable[[], int] = _NOW) -> Seen:
    """Return everything that is seen of an instance, as far as its services answer.

    Reads all open runs, a page at a time. Nothing is written.
    """
    found = Seen(now(), settings, notes=check_safety(settings))
    found = found._replace(unreachable=await _unreachable(settings))
    if "Postgres" not in found.unreachable:
        found = await _database(found, now)
    if found.unreachable:
        return found
    is_whole = not found.missing
    seen = await _through_client(settings, now) if is_whole else found
    queues = queues_needed(seen)
    steps = await operating.plan_topics(settings, queues)
    found = found._replace(topics=steps)
    if not is_whole or any(step.action in ("create", "refuse") for step in steps):
        # Half an instance: what is missing explains the rest.
        return seen._replace(
            notes=found.notes, topics=steps, missing=found.missing, ahead=found.ahead,
            standings=found.standings,
        )  # fmt: skip
    whole = await status.status(settings)
    return seen._replace(
        notes=found.notes, topics=steps, ahead=found.ahead, standings=found.standings,
        ingress=whole.ingress, queues=whole.queues,
        strays=await bootstrap.stray_waits(settings, patience_seconds=_PATIENCE_SECONDS),
        left_out=await bootstrap.left_out(settings, batches=_BATCHES_MAX),
    )  # fmt: skip


async def _through_client(settings: Settings, now: Callable[[], int]) -> Seen:
    async with (
        connecting.client_ports(settings, name="doctor") as ports,
        AsyncClient(lambda: nullcontext(ports)) as client,
    ):
        return await look(ports, client, settings, now())


async def _unreachable(settings: Settings) -> dict[str, str]:
    """Return why services do not answer."""
    asked: dict[str, Awaitable[object]] = {
        "Kafka": operating.plan_topics(settings, ()),
        "Postgres": server_time(settings.postgres),
    }
    answers = await asyncio.gather(*asked.values(), return_exceptions=True)
    found = {}
    for name, answer in zip(asked, answers, strict=True):
        if isinstance(answer, TransientError):
            found[name] = str(answer)
        elif isinstance(answer, BaseException):
            raise answer
    return found


async def _database(seen: Seen, now: Callable[[], int]) -> Seen:
    """Add the schema, the clock and the formats."""
    settings = seen.settings
    before = now()
    theirs = await server_time(settings.postgres)
    # The answer was given somewhere between the question and now.
    ahead = theirs - (before + now()) // 2
    missing = await operating.missing_migrations(settings)
    standings = [] if missing else await operating.standing(settings)
    return seen._replace(ahead=ahead, missing=missing, standings=standings)


async def _reading(ports: Ports, one: PartitionSummary) -> InboxReading | None:
    if ports.traffic is None:
        return None
    return await ports.traffic.inbox(one.partition, one.next_offset)


def queues_needed(seen: Seen) -> tuple[str, ...]:
    """Return the queues in need of a topic."""
    live = {version.fingerprint for version in seen.live}
    found = set(seen.settings.worker.queues).union(
        *(queues_of(graph.definition) for graph in seen.graphs if graph.fingerprint in live)
    )
    return tuple(sorted(found))
