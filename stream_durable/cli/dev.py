"""The command for a laptop."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_durable.cli.values import AppTarget, load

if TYPE_CHECKING:
    from stream_durable.sdk.app import App
    from stream_durable.sdk.workflow import Workflow
    from stream_durable.services.laptop import Laptop


class Kafka(StrEnum):
    """The Kafka to use."""

    AUTO = "auto"
    CONFIGURED = "configured"
    LOCAL = "local"
    MOCK = "mock"


KafkaOption = Annotated[
    Kafka,
    typer.Option(help="auto: the configured Kafka, else a local Apache Kafka, else a mock in memory."),
]

_KEPT = "the same as the last time"


def dev(
    app: AppTarget,
    kafka: KafkaOption = Kafka.AUTO,
    home: Annotated[Path, typer.Option(help="Data directory.")] = Path(".durable"),
    kafka_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Port of the local Kafka.", show_default=_KEPT)
    ] = None,
    postgres_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Port of the local Postgres.", show_default=_KEPT)
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload/--no-reload", help="Restart the worker when code changes.")
    ] = True,
) -> None:
    """Run everything for an app on this machine: Postgres, Kafka, reconciler, ingress, worker.

    Data and ports are kept for the next start. In the same directory all other commands, and clients in
    Python, find these services without settings; `config env` prints settings for other programs. Not for
    production.

    Example: `stream-durable dev shop:app`
    """
    from stream_durable.running import occupied
    from stream_durable.services.laptop import Laptop, Ports
    from stream_durable.settings import Settings

    loaded = load(app)
    typer.secho(f"stream-durable dev {app}", bold=True)
    with occupied(home):
        it = Laptop(home, Settings.load(), kafka.value, Ports(kafka_port, postgres_port))
        for note in it.notes:
            _say(note)
        it.fetch(_say)
        with it.running():
            # While Kafka and Postgres start: these imports take a second.
            with _uninterrupted():
                from stream_durable.services.development import Say, develop, quiet
                from stream_durable.services.host import run_until_stopped
                from stream_durable.services.roles import queues_of

            say = Say(lambda applied, topics: _print_ready(it, loaded, home, applied, topics, reload), _say)
            work = develop(it, app, queues_of(loaded), home, say, is_reloading=reload)
            run_until_stopped("dev", quiet(it.settings), work)
    if it.disorder:
        typer.echo(f"Everything has stopped, with problems: {', '.join(it.disorder)}. The data is kept.")
    else:
        typer.echo("Everything has stopped.")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block.

    An interrupted import can leave its lock behind, and block all later imports in other threads.
    """
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _print_ready(
    it: Laptop, app: App, home: Path, applied: list[str], topic_count: int, is_reloading: bool
) -> None:
    from stream_durable.running import HOME

    lines = {
        "Postgres": it.postgres,
        "Kafka": it.kafka,
        "Schema": ", ".join(applied) or "up to date",
        "Topics": f"{topic_count}, named {it.settings.prefix}.*",
        "Services": "reconciler, ingress, worker"
        + (" (started again when code changes)" if is_reloading else ""),
        "Workflows": ", ".join(app.workflows),
    }
    for what, line in lines.items():
        _say(f"{what:<10} {line}")
    elsewhere = "" if home == HOME else f" --home {shlex.quote(str(home))}"
    typer.echo("\nTry next, in a second terminal here:\n")
    if elsewhere:
        typer.echo(f'  eval "$(stream-durable config env{elsewhere})"')
    typer.echo(f"  stream-durable runs start {_first(app)} --follow")
    typer.echo("  stream-durable runs list\n")
    typer.echo(f"For other programs: stream-durable config env{elsewhere}. Ctrl-C stops everything.\n")


def _first(app: App) -> str:
    """Return the name of a workflow without a parent, and an example input."""
    from stream_durable.sdk.example import example_of

    children = {child.name for workflow in app.workflows.values() for child in workflow.children}
    workflow: Workflow = next(one for name, one in app.workflows.items() if name not in children)
    if (example := example_of(workflow.input_type)) is None:
        return f"{workflow.name} --input @input.json"
    return f"{workflow.name} --input {shlex.quote(json.dumps(example))}"


def _say(line: str) -> None:
    typer.secho("  ✓ ", fg="green", nl=False)
    typer.echo(line)
