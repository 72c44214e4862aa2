"""All services for one app on one machine, reloading the app's code on change.

Reconciler, ingress and API run in this process. The worker is a separate process, restarted with new code:
start-up is mostly imports, and every further process would repeat them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple

from stream_durable.core.errors import RejectedError
from stream_durable.local.process import free_ports
from stream_durable.metrics import Metrics
from stream_durable.running import findable, is_configured
from stream_durable.services import roles
from stream_durable.services.collector import spare_the_collector
from stream_durable.services.definitions import DefinitionKeeper
from stream_durable.services.host import Role, Service, assembled, log_failure, work
from stream_durable.services.laptop import Laptop
from stream_durable.services.ready import until_ready
from stream_durable.services.reload import changes, code_of, forget_imports, imported
from stream_durable.services.supervisor import Program, Supervisor
from stream_durable.settings import Settings, environment_name

_WORKER: Final = "worker"
#: An author waiting for an edit does not wait for a long attempt, which is returned.
_DRAIN_MS: Final = 1_000
_LOOK_SECONDS: Final = 0.05
_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 30.0


class Say(NamedTuple):
    """Called with each message about progress."""

    #: Migrations that were applied and how many topics there are, once everything works.
    ready: Callable[[list[str], int], None]
    #: A line about anything else.
    line: Callable[[str], None]


def quiet(settings: Settings) -> Settings:
    """Return settings with logs of important events only, unless configured otherwise."""
    return settings if is_configured(settings, "log.level") else settings.override({"log.level": "warning"})


async def develop(
    laptop: Laptop,
    target: str,
    queues: tuple[str, ...],
    home: Path,
    say: Say,
    *,
    is_reloading: bool,
    api: Role | None,
    first: Callable[[Settings], Awaitable[None]] | None,
) -> None:
    """Run all services on a laptop until cancelled; raises for a service unable to start.

    `first` is called once everything works, before that is said.

    With a persistent Kafka, the worker imports the app while Kafka and Postgres start. A mock broker first
    gets back its lost definitions, before newer ones are registered.
    """
    port, modules = free_ports(1)[0], (home / "modules.json").absolute()
    worker = Supervisor(
        [_worker(laptop, target, port, modules)],
        drain_seconds=_DRAIN_MS / 1_000,
        keep_unusable=is_reloading,
    )
    forget_imports(modules)
    # From before the worker reads the code: an edit while everything starts counts, too.
    edits = changes(code_of(target, Path.cwd()), lambda: imported(modules))
    async with asyncio.TaskGroup() as group:
        if not laptop.is_mock:
            group.create_task(worker.run())
        applied, topic_count = await roles.prepare(laptop, queues)
        if laptop.is_mock:
            keeper = DefinitionKeeper(laptop.settings, home / "definitions")
            await keeper.restore()
            group.create_task(keeper.run())
            group.create_task(worker.run())
        group.create_task(laptop.keep(say.line))
        with findable(home, laptop.values):
            await _serve_until_ready(group, quiet(laptop.settings), api)
            await until_ready(port)
            if first is not None:
                await first(laptop.settings)
            say.ready(applied, topic_count)
            spare_the_collector()
            if is_reloading:
                await _reload(worker, edits, say.line)
            await asyncio.Event().wait()


async def _serve_until_ready(group: asyncio.TaskGroup, settings: Settings, api: Role | None) -> None:
    """Run the services in the group; return when they have their partitions, and the API listens."""
    served: dict[str, Role] = {"reconciler": roles.prepared_reconciler, "ingress": roles.prepared_ingress}
    if api is not None:
        served["api"] = api
    ready = []
    for name, role in served.items():
        ready.append(asyncio.Event())
        group.create_task(_serve(name, role, settings, ready[-1]))
    for event in ready:
        await event.wait()


async def _serve(name: str, role: Role, settings: Settings, ready: asyncio.Event) -> None:
    """Run a service, restarted after failures with growing pauses; a refusal to start ends everything."""
    delay = _FIRST_SECONDS
    while True:
        began = time.monotonic()
        try:
            async with AsyncExitStack() as stack:
                service = await assembled(name, settings, role, Metrics(), stack)
                telling = asyncio.create_task(_tell_when_ready(service, ready))
                stack.callback(telling.cancel)
                await work(service)
        except RejectedError:
            raise
        except Exception as error:  # whatever a service ends of is logged, and it begins again
            delay = _FIRST_SECONDS if time.monotonic() - began > _LONGEST_SECONDS else delay
            log_failure(name, error)
        await asyncio.sleep(delay)
        delay = min(2 * delay, _LONGEST_SECONDS)


async def _tell_when_ready(service: Service, ready: asyncio.Event) -> None:
    check = service.checks.get("partitions")
    while check is not None and check() is not None:  # noqa: ASYNC110 - a check can only be looked at
        await asyncio.sleep(_LOOK_SECONDS)
    ready.set()


async def _reload(worker: Supervisor, edits: AsyncIterator[list[Path]], say: Callable[[str], None]) -> None:
    here = Path.cwd()
    async for changed in edits:
        shown = ", ".join(_relative(file, here) for file in changed[:3])
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        say(f"{shown}{more} changed: the worker is started again")
        worker.restart(_WORKER)


def _relative(file: Path, here: Path) -> str:
    return str(file.relative_to(here)) if file.is_relative_to(here) else str(file)


def _worker(laptop: Laptop, target: str, port: int, modules: Path) -> Program:
    return Program(
        _WORKER,
        ("worker", target, "--health-port", str(port), "--for-dev", str(modules)),
        {**laptop.environment, environment_name("worker.drain_ms"): str(_DRAIN_MS)},
    )
