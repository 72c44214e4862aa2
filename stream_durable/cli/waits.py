"""Commands for open waits and kept events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.runs import After, Limit
from stream_durable.cli.values import load_settings
from stream_durable.cli.watching import watches

if TYPE_CHECKING:
    from stream_durable.client import AsyncClient

waits = typer.Typer(help="Steps waiting for events and signals, of all runs.", no_args_is_help=True)
events = typer.Typer(help="Events kept for waits still to come.", no_args_is_help=True)

Workflow = Annotated[str | None, typer.Option("--workflow", "-w", help="Only of runs of this workflow.")]
Event = Annotated[str | None, typer.Option("--event", "-e", help="Only this event.")]
Key = Annotated[str | None, typer.Option("--key", "-k", help="Only with this correlation key.")]


@waits.callback()
def _waits() -> None:
    """Steps waiting for events and signals, of all runs."""


@events.callback()
def _events() -> None:
    """Events kept for waits still to come."""


@waits.command("list")
@watches
def list_waits(
    workflow: Workflow = None,
    event: Event = None,
    key: Key = None,
    signal: Annotated[str | None, typer.Option("--signal", help="Only for this signal.")] = None,
    limit: Limit = 50,
    after: After = None,
    output: Output = Format.TABLE,
) -> None:
    """List the steps that wait: for events, by name and key; then for signals, of the oldest run first.

    Reactions are among them; `behind` is how many events or signals they have not worked off.

    Example: `stream-durable waits list --event payment.captured --key 42`
    """
    page = _asked(
        lambda client: client.waits(
            workflow=workflow, event=event, key=key, signal=signal, limit=limit, after=after
        )
    )
    columns = ("run", "workflow", "step", "kind", "name", "key", "since", "until", "behind")
    show([wait._asdict() for wait in page.waits], columns, output, empty="No step waits for that.")
    _say_more(page.following)


@events.command("list")
@watches
def list_events(
    event: Event = None,
    key: Key = None,
    untaken: Annotated[bool, typer.Option("--untaken", help="Only those that have woken no run.")] = False,
    expired: Annotated[
        bool, typer.Option("--expired", help="Those that expired before a run had them, instead.")
    ] = False,
    limit: Limit = 50,
    after: After = None,
    output: Output = Format.TABLE,
) -> None:
    """List the events kept until they expire: when and from whom each came, and when it first woke a run.

    An event with a mistyped key, which woke no run, is found here, with `--expired` also after its time;
    `waits list` shows the keys in demand.

    Example: `stream-durable events list --untaken`
    """
    page = _asked(
        lambda client: client.events(
            event=event, key=key, untaken=untaken, expired=expired, limit=limit, after=after
        )
    )
    columns = ("event", "key", "id", "published", "by", "taken", "expires", "data")
    empty = "No such event has expired." if expired else "No such event is kept."
    show([one._asdict() for one in page.events], columns, output, empty=empty)
    _say_more(page.following)


def _asked(ask: Callable[[AsyncClient], Awaitable[Any]]) -> Any:
    from stream_durable import connecting

    async def run() -> Any:
        async with connecting.client(load_settings()) as client:
            return await ask(client)

    return asyncio.run(run())


def _say_more(following: str | None) -> None:
    if following is not None:
        typer.echo(f"There are more: --after '{following}'", err=True)
