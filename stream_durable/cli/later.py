"""Commands for signals, events and starts that are still to come."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.runs import After, Limit
from stream_durable.cli.values import load_settings
from stream_durable.cli.watching import watches

later = typer.Typer(help="Signals, events and starts that are still to come.", no_args_is_help=True)


@later.callback()
def _later() -> None:
    """Signals, events and starts that are still to come."""


@later.command("list")
@watches
def list_later(limit: Limit = 50, after: After = None, output: Output = Format.TABLE) -> None:
    """List the signals, events and starts that are still to come, the next one first.

    Example: `stream-durable later list`
    """
    from stream_durable import connecting

    async def run() -> None:
        async with connecting.client(load_settings()) as client:
            page = await client.later(limit=limit, after=after)
        columns = ("id", "kind", "due", "name", "key", "run", "by")
        show([one._asdict() for one in page.messages], columns, output, empty="Nothing is to come later.")
        if page.following is not None:
            typer.echo(f"There are more: --after '{page.following}'", err=True)

    asyncio.run(run())


@later.command("cancel")
@changes
def cancel_later(
    message: Annotated[str, typer.Argument(metavar="ID", help="As `later list` shows it.")],
    *,
    change: Change,
) -> None:
    """Cancel a signal, an event or a start that has not been sent yet.

    Example: `stream-durable later cancel 'event:reminder/42#r1'`
    """
    change.make(
        f"cancel {message}",
        lambda client: client.cancel_later(message),
        f"Asked to cancel {message}.",
        asks=True,
    )
