"""Commands running services until stopped."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stream_durable.cli.values import AppTarget, load, load_settings

if TYPE_CHECKING:
    from stream_durable.services.host import Role
    from stream_durable.settings import Settings

HealthPort = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=65_535,
        help="Serve /livez, /readyz and /metrics on this port of health.host; 0 takes a free port.",
        show_default="health.port",
    ),
]

Queues = Annotated[
    list[str] | None,
    typer.Option("--queue", "-q", help="Serve this queue; may be repeated.", show_default="worker.queues"),
]


def reconciler(health_port: HealthPort = None) -> None:
    """Fold the inbox into Postgres and publish the consequences.

    Run any number; they share the partitions. SIGTERM or Ctrl-C drains and ends the process, a second one
    ends at once.

    Example: `stream-durable reconciler --health-port 8080`
    """
    from stream_durable.services import roles

    host_service("reconciler", with_health_port(health_port), roles.reconciler)


def worker(
    app: AppTarget,
    queue: Queues = None,
    health_port: HealthPort = None,
    for_dev: Annotated[Path | None, typer.Option("--for-dev", hidden=True)] = None,
    note: Annotated[int | None, typer.Option("--note", hidden=True)] = None,
) -> None:
    """Run the steps of an app.

    Run any number; they share the queues. SIGTERM or Ctrl-C lets running attempts end, for `worker.drain_ms`
    at most, then ends the process; a second one ends at once.

    Example: `stream-durable worker shop:app --queue default --queue mail`
    """
    from stream_durable.services import roles
    from stream_durable.services.reload import forget_imports, tell_imports

    if for_dev is not None:
        forget_imports(for_dev)
    loaded = load(app)
    settings = with_health_port(health_port)
    if queue:
        settings = settings.override({"worker.queues": tuple(queue)})
    if for_dev is not None:
        tell_imports(for_dev)
        # Edited code may name a queue that was not there when `dev` began.
        settings = settings.override({"worker.queues": roles.queues_of(loaded)})
    host_service("worker", settings, roles.worker(loaded, note, makes_topics=for_dev is not None))


def ingress(health_port: HealthPort = None) -> None:
    """Move starts, events and signals from the events topic to the inbox.

    Run any number; they share the partitions. SIGTERM or Ctrl-C drains and ends the process, a second one
    ends at once.

    Example: `stream-durable ingress --health-port 8081`
    """
    from stream_durable.services import roles

    host_service("ingress", with_health_port(health_port), roles.ingress)


def up(
    app: AppTarget,
    queue: Queues = None,
    health_port: Annotated[
        int | None,
        typer.Option(min=1, max=65_000, help="Health ports from this one on, in the order of the processes."),
    ] = None,
    reconcilers: Annotated[int, typer.Option(min=1, max=64, help="Number of reconcilers.")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of workers.")] = 1,
    api: Annotated[
        bool | None,
        typer.Option("--api/--no-api", help="Serve the HTTP API and the page.", show_default="if installed"),
    ] = None,
) -> None:
    """Run reconciler, ingress, worker and API as one process tree.

    A process that ends is restarted, with growing pauses if the end comes at once. SIGTERM or Ctrl-C drains
    all. The address of the page is in the log, as `api.opened`.

    Example: `stream-durable up shop:app --workers 2 --health-port 8080`
    """
    from stream_durable.services.host import run_until_stopped
    from stream_durable.services.supervisor import Program, Supervisor

    load(app)
    settings = load_settings()
    commands = [
        *(("reconciler", ("reconciler",)) for _ in range(reconcilers)),
        ("ingress", ("ingress",)),
        *(("worker", ("worker", app, *_repeated("--queue", queue))) for _ in range(workers)),
        *((("api", ("api",)),) if has_api(api) else ()),
    ]
    programs = []
    for i, (role, arguments) in enumerate(commands):
        port = () if health_port is None else ("--health-port", str(health_port + i))
        programs.append(Program(f"{role}-{i + 1}", (*arguments, *port)))
    supervisor = Supervisor(programs, drain_seconds=settings.worker.drain_ms / 1_000)
    run_until_stopped("up", settings, supervisor.run())


def has_api(wanted: bool | None) -> bool:
    """Return whether to serve the API: where its packages are installed, unless said otherwise."""
    return all(find_spec(name) for name in ("fastapi", "uvicorn")) if wanted is None else wanted


def with_health_port(health_port: int | None) -> Settings:
    """Return the settings in force, with this port for health."""
    settings = load_settings()
    return settings if health_port is None else settings.override({"health.port": health_port})


def host_service(name: str, settings: Settings, role: Role) -> NoReturn:
    """Run a service until stopped, and end the process."""
    from stream_durable.services.host import host

    host(name, settings, role)
    # A step's thread that hangs must not keep a drained process alive.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _repeated(option: str, values: list[str] | None) -> tuple[str, ...]:
    return tuple(part for value in values or () for part in (option, value))
