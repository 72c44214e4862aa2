"""The command for a laptop."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_durable.cli.services import has_api
from stream_durable.cli.values import load

if TYPE_CHECKING:
    from stream_durable.sdk.app import App
    from stream_durable.sdk.workflow import Workflow
    from stream_durable.services.host import Role
    from stream_durable.services.laptop import Laptop
    from stream_durable.settings import Settings


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


#: What to try with the three example runs.
_EXAMPLES = (
    "why order-1",
    "inputs answer order-1 approve --answer true",
    "runs show trip-1",
    "runs start report --follow",
)
#: Taken without an app.
_EXAMPLE = "stream_durable.examples.tour:app"


def dev(
    app: Annotated[
        str | None,
        typer.Argument(
            metavar="APP", help="The app as module:attribute, such as shop:app.", show_default="an example"
        ),
    ] = None,
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
    """Run everything for an app on this machine: Postgres, Kafka, reconciler, ingress, worker, API and page.

    Data and ports are kept for the next start. In the same directory all other commands, and clients in
    Python, find these services without settings; `config env` prints settings for other programs. Not for
    production.

    Without an app, three example runs are started: one completes, one waits for a person, one fails and is
    undone.

    Example: `stream-durable dev shop:app`
    """
    from stream_durable.running import occupied
    from stream_durable.services.laptop import Laptop, Ports
    from stream_durable.settings import Settings

    target = app or _EXAMPLE
    loaded = load(target)
    typer.secho(f"stream-durable dev {target}", bold=True)
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

                api = _api()
            ready = partial(
                _print_ready, it, loaded, home, reload, has_page=api is not None, has_examples=not app
            )
            work = develop(
                it, target, loaded.parts(queues_of(loaded)), home, Say(ready, _say),
                is_reloading=reload, api=api, first=None if app else _start_examples,
            )  # fmt: skip
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


def _api() -> Role | None:
    """Return the role of the API, where its packages are installed."""
    if not has_api(None):
        return None
    from stream_durable.api.serving import role

    return role


async def _start_examples(settings: Settings) -> None:
    from stream_durable.connecting import Client
    from stream_durable.examples.tour import RUNS

    async with Client(settings) as client:
        for run, (workflow, given) in RUNS.items():
            await client.start(workflow, given, id=run)


def _migrated(applied: list[str]) -> str:
    if len(applied) < 3:
        return ", ".join(applied) or "up to date"
    return f"{len(applied)} migrations, from {applied[0]} to {applied[-1]}"


def _print_ready(
    it: Laptop, app: App, home: Path, is_reloading: bool, applied: list[str], topic_count: int, *,
    has_page: bool, has_examples: bool,
) -> None:  # fmt: skip
    from stream_durable.running import HOME

    lines = {
        "Postgres": it.postgres,
        "Kafka": it.kafka,
        "Schema": _migrated(applied),
        "Topics": f"{topic_count}, named {it.settings.prefix}.*",
        "Services": ("reconciler, ingress, worker, api" if has_page else "reconciler, ingress, worker")
        + (" (started again when code changes)" if is_reloading else ""),
        "Workflows": ", ".join(app.workflows),
        "Page": it.page if has_page else 'takes more packages: pip install "stream-durable[server]"',
    }
    for what, line in lines.items():
        _say(f"{what:<10} {line}")
    elsewhere = "" if home == HOME else f" --home {shlex.quote(str(home))}"
    typer.echo("\nTry next, in a second terminal here:\n")
    if elsewhere:
        typer.echo(f'  eval "$(stream-durable config env{elsewhere})"')
    for line in _EXAMPLES if has_examples else (f"runs start {_first(app)} --follow",):
        typer.echo(f"  stream-durable {line}")
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
