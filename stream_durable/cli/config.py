"""Commands about the settings."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.values import read_settings

if TYPE_CHECKING:
    from stream_durable.settings import Settings

app = typer.Typer(help="Settings and their origins.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Settings and their origins."""


@app.command("show")
def show_settings(
    origin: Annotated[bool, typer.Option("--origin", help="Show the origin of each value.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Leave out defaults.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Print every setting in force; secrets are masked.

    Example: `stream-durable config show --origin --changed`
    """
    from stream_durable.settings import describe

    rows = [
        {"setting": row.path, "value": row.value, "origin": row.origin, "description": row.description}
        for row in describe(read_settings())
        if not (changed and row.is_default)
    ]
    columns = ("setting", "value", *(("origin",) if origin else ()))
    show(rows, columns, output, empty="Everything is at its default.")


@app.command()
def env(
    home: Annotated[Path, typer.Option(help="Data directory of the `dev`.")] = Path(".durable"),
) -> None:
    """Print the settings as lines for a shell, so that programs elsewhere find the same services.

    Example: `stream-durable config env > .env`, or in a shell `eval "$(stream-durable config env)"`
    """
    from stream_durable.running import with_running
    from stream_durable.settings import Settings, describe, environment_name, plain_value

    settings = with_running(Settings.load(), home)
    for row in describe(settings):
        if row.is_default:
            continue
        name, value = environment_name(row.path), plain_value(settings, row.path)
        if value is None:
            typer.echo(f"# {name} is or contains a secret: set it yourself")
        else:
            typer.echo(f"export {name}={shlex.quote(value)}")
    for line in _hints(settings):
        typer.echo(f"# {line}")


def _hints(settings: Settings) -> list[str]:
    """Return how well-known tools reach the same Kafka and Postgres."""
    from stream_durable.settings import plain_value
    from stream_durable.wire.topics import INBOX, full_name

    dsn = plain_value(settings, "postgres.dsn")
    brokers = settings.kafka.bootstrap
    return [
        f"kcat -C -b {brokers} -t {full_name(settings.prefix, INBOX)} -e",
        *([f"psql {shlex.quote(dsn)} -c 'set search_path to {settings.postgres.db_schema}'"] if dsn else []),
    ]
