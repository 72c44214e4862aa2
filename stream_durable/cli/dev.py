"""The command for a laptop."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_durable.cli.values import AppTarget, load

if TYPE_CHECKING:
    from stream_durable.sdk.app import App
    from stream_durable.services.laptop import Laptop


class Kafka(StrEnum):
    """Which Kafka to use."""

    AUTO = "auto"
    CONFIGURED = "configured"
    LOCAL = "local"
    MOCK = "mock"


KafkaOption = Annotated[
    Kafka,
    typer.Option(help="auto: the configured one, else a local Apache Kafka, else a mock in memory."),
]


def dev(
    app: AppTarget,
    kafka: KafkaOption = Kafka.AUTO,
    home: Annotated[Path, typer.Option(help="Where the data is kept.")] = Path(".durable"),
    reload: Annotated[
        bool, typer.Option("--reload/--no-reload", help="Start the worker anew when code changes.")
    ] = True,
) -> None:
    """Run everything for an app on this machine: Postgres, Kafka, reconciler, ingress, worker.

    The data is kept for the next time. In a second terminal in the same directory, all other commands
    find these services by themselves. Not for production.

    Example: `stream-durable dev shop:app`
    """
    from stream_durable.services.development import develop, quiet
    from stream_durable.services.host import run_until_stopped
    from stream_durable.services.laptop import laptop
    from stream_durable.services.roles import queues_of
    from stream_durable.services.running import findable
    from stream_durable.settings import Settings

    loaded = load(app)
    typer.secho(f"stream-durable dev {app}", bold=True)
    with laptop(home, Settings.load(), kafka.value, queues_of(loaded)) as it, findable(home, it.values):
        _print_started(it, loaded, is_reloading=reload)
        run_until_stopped("dev", quiet(it.settings), develop(it, app, home, _say, is_reloading=reload))
    typer.echo("Everything has ended in good order.")


def _print_started(it: Laptop, app: App, *, is_reloading: bool) -> None:
    children = {child.name for workflow in app.workflows.values() for child in workflow.children}
    name = next(name for name in app.workflows if name not in children)
    lines = {
        "Postgres": it.postgres,
        "Kafka": it.kafka,
        "Schema": ", ".join(it.applied) or "up to date",
        "Topics": f"{it.topic_count}, named {it.settings.prefix}.*",
        "Services": "reconciler, ingress, worker" + (" (code is reloaded)" if is_reloading else ""),
        "Workflows": ", ".join(app.workflows),
    }
    for what, line in lines.items():
        _say(f"{what:<10} {line}")
    typer.echo("\nTry next, in a second terminal here:\n")
    typer.echo(f"  stream-durable runs start {name} --input '{{}}' --follow")
    typer.echo("  stream-durable runs list\n")


def _say(line: str) -> None:
    typer.secho("  ✓ ", fg="green", nl=False)
    typer.echo(line)
