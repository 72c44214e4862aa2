"""Commands for failed runs."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.errors import UsageError
from stream_durable.cli.history import attempts
from stream_durable.cli.orders import redrive as redrive_runs
from stream_durable.cli.output import Format, Output
from stream_durable.cli.runs import After, Limit, show_page
from stream_durable.cli.selection import OptionalRunId, RunId, Selection, selects
from stream_durable.cli.shown import DEAD_COLUMNS
from stream_durable.cli.values import load_settings
from stream_durable.cli.watching import watches

app = typer.Typer(help="Runs that failed for good.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Runs that failed for good."""


@app.command("list")
@watches
@selects
def list_dead(
    which: Selection, limit: Limit = 50, after: After = None, output: Output = Format.TABLE
) -> None:
    """List runs that failed for good, undone or not, newest first.

    Example: `stream-durable dead list --workflow order --since 1d`
    """
    query = which._replace(failed=True).filter().query()
    show_page(query, limit, after, output, empty="There is no such run.", columns=DEAD_COLUMNS)


@app.command("show")
def show_dead(run: RunId, output: Output = Format.TABLE) -> None:
    """Show the attempts of a failed run, with failures.

    Example: `stream-durable dead show order-42`
    """
    found = asyncio.run(_dead(run))
    attempts(found, None, output)


@app.command("redrive")
@selects
@changes
def redrive(
    which: Selection,
    run: OptionalRunId = None,
    whole: Annotated[bool, typer.Option("--whole", help="Retry everything, from the beginning.")] = False,
    *,
    change: Change,
) -> None:
    """Retry the failed steps of a run, or of all matching failed runs.

    Example: `stream-durable dead redrive --workflow order --since 1d --yes`
    """
    if run is None:
        which = which._replace(failed=True)
    redrive_runs(run, which, change, whole=whole)


async def _dead(written: str) -> str:
    """Return the id of a failed run."""
    from stream_durable import operating
    from stream_durable.cli.lookup import find_in
    from stream_durable.client.filter import LOST

    async with operating.views(load_settings()) as views:
        found = await find_in(views, written)
        row = await views.run_get(found)
    if row is None or row.status not in LOST:
        raise UsageError(
            f"run {found!r} has not failed: `stream-durable runs show {found}` shows how it stands"
        )
    return found
