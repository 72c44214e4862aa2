"""Commands about the database."""

from __future__ import annotations

import asyncio

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.errors import CheckFailedError
from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.values import load_settings

app = typer.Typer(help="The schema in Postgres.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The schema in Postgres."""


@app.command()
@changes
def migrate(*, change: Change) -> None:
    """Bring the schema up to date; run it before new code is started.

    Safe to run while everything goes on, to interrupt, and by several at once: one migrates, the others wait.

    Example: `stream-durable db migrate`
    """
    from stream_durable import operating

    settings = load_settings()
    if change.dry_run:
        names = asyncio.run(operating.missing_migrations(settings))
    else:
        names = asyncio.run(operating.migrate(settings, say=_say))
    status = "pending" if change.dry_run else "applied"
    rows = [{"migration": name, "status": status} for name in names]
    up_to_date = f"Schema {settings.postgres.db_schema} is up to date."
    show(rows, ("migration", "status"), change.output, empty=up_to_date)


def _say(line: str) -> None:
    typer.echo(line, err=True)


@app.command()
def check(output: Output = Format.TABLE) -> None:
    """Say which migrations are still to be applied; exit 4 if any is.

    Example: `stream-durable db check && stream-durable reconciler`
    """
    from stream_durable import operating

    settings = load_settings()
    pending = asyncio.run(operating.missing_migrations(settings))
    rows = [{"migration": name, "status": "pending"} for name in pending]
    up_to_date = f"Schema {settings.postgres.db_schema} is up to date."
    show(rows, ("migration", "status"), output, empty=up_to_date)
    if pending:
        raise CheckFailedError("the schema is not up to date; `stream-durable db migrate` makes it so")
