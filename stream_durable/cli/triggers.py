"""Commands about triggers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stream_durable.cli.change import By, Change, Reason, changes, who
from stream_durable.cli.latest import order_rows, show_orders
from stream_durable.cli.output import Format, Output, show, show_facts, show_one
from stream_durable.cli.replaying import Pace, Partition, Since, Until, replay_of
from stream_durable.cli.values import load_settings
from stream_durable.cli.watching import watches

if TYPE_CHECKING:
    from stream_durable.client import AsyncClient, TriggerState

R = TypeVar("R")
triggers = typer.Typer(help="Rules by which events start runs.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the trigger.")]


@triggers.callback()
def _group() -> None:
    """Rules by which events start runs."""


@triggers.command("list")
@watches
def list_triggers(output: Output = Format.TABLE) -> None:
    """List the triggers: on or off, and whether declared in code.

    Example: `stream-durable triggers list`
    """
    found = do(lambda client: client.triggers())
    columns = ("name", "status", "event", "workflow", "match", "note")
    show(map(_row, found), columns, output, empty="There are no triggers.")


@triggers.command("show")
def show_trigger(name: Name, output: Output = Format.TABLE) -> None:
    """Show a trigger: its event, its conditions, and what the runs get.

    Example: `stream-durable triggers show order.created:order`
    """
    found = do(lambda client: client.trigger(name))
    if output is not Format.TABLE:
        show_one(_row(found), output)
        return
    show_facts(_row(found), ("orders",))
    show_orders(found.orders)


@triggers.command("pause")
@changes
def pause(
    name: Name,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Turn a trigger off: events meanwhile start nothing, now or later. Kept over deployments.

    Example: `stream-durable triggers pause order.created:order --reason "stock is counted"`
    """
    change.make(
        f"pause trigger {name}",
        lambda client: client.pause_trigger(name, reason, by=who(by)),
        f"Asked to pause {name}.",
    )


@triggers.command("resume")
@changes
def resume(name: Name, reason: Reason = "", by: By = None, *, change: Change) -> None:
    """Turn a trigger on again, from now on.

    Example: `stream-durable triggers resume order.created:order`
    """
    change.make(
        f"resume trigger {name}",
        lambda client: client.resume_trigger(name, reason, by=who(by)),
        f"Asked to resume {name}.",
    )


@triggers.command("delete")
@changes
def delete(name: Name, *, change: Change) -> None:
    """Forget a trigger; runs go on. A deployment still declaring the trigger creates it again.

    Example: `stream-durable triggers delete order.created:order`
    """
    change.make(
        f"delete trigger {name}",
        lambda client: client.delete_trigger(name),
        f"Asked to delete {name}.",
        asks=True,
    )


@triggers.command("replay")
@changes
def replay(
    name: Name,
    since: Since,
    until: Until = None,
    partition: Partition = None,
    pace: Pace = "1ms",
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Give past events to a trigger again; no event starts a second run.

    Example: `stream-durable triggers replay order.created:order --since 2030-01-01 --dry-run`
    """
    begin, end, options = replay_of(since, until, partition, pace, preview=change.dry_run)
    options |= {"reason": reason, "by": who(by)}
    show_one(do(lambda client: client.replay_trigger(name, begin, end, **options))._asdict(), change.output)


def do(call: Callable[[AsyncClient], Awaitable[R]]) -> R:
    """Call a client, connected as the settings say."""
    from stream_durable import connecting

    async def run() -> R:
        async with connecting.client(load_settings()) as client:
            return await call(client)

    return asyncio.run(run())


def _row(found: TriggerState) -> dict[str, Any]:
    return {
        **found._asdict(),
        "orders": order_rows(found.orders),
        "status": "on" if found.is_on else "off",
        "note": note_on(
            found.is_on, found.reason or found.off_by, found.app, is_undeclared=found.is_undeclared
        ),
    }


def note_on(is_on: bool, why: str, app: str, *, is_undeclared: bool) -> str | None:  # noqa: FBT001
    """Return notes on a rule for people."""
    notes = [] if is_on else [f"off: {why or 'by a person'}"]
    if is_undeclared:
        notes.append(f"app {app} declares it no longer")
    return "; ".join(notes) or None
