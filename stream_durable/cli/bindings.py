"""Commands about bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.change import By, Change, Reason, changes, who
from stream_durable.cli.latest import order_rows, show_orders
from stream_durable.cli.output import Format, Output, show, show_facts, show_one
from stream_durable.cli.replaying import Pace, Partition, Since, Until, replay_of
from stream_durable.cli.triggers import do, note_on
from stream_durable.cli.watching import watches

if TYPE_CHECKING:
    from stream_durable.client import BindingState, SkippedRecord

bindings = typer.Typer(
    help="Topics of others as sources of starts, events, signals and answers.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the binding.")]


@bindings.callback()
def _group() -> None:
    """Topics of others as sources of starts, events, signals and answers."""


@bindings.command("list")
@watches
def list_bindings(output: Output = Format.TABLE) -> None:
    """List the bindings: on or off, how far behind, and how many records could not be taken.

    Example: `stream-durable bindings list`
    """
    found = do(lambda client: client.bindings())
    columns = ("name", "status", "topic", "makes", "target", "lag", "bad_records", "note")
    show(map(_row, found), columns, output, empty="There are no bindings.")


@bindings.command("show")
def show_binding(name: Name, output: Output = Format.TABLE) -> None:
    """Show a binding: the use of records, and the position in each partition.

    Example: `stream-durable bindings show orders:order`
    """
    found = do(lambda client: client.binding(name))
    row = _row(found)
    if output is not Format.TABLE:
        show_one(row, output)
        return
    show_facts(row, ("orders", "partitions", "trouble"))
    show_orders(found.orders)
    if found.partitions:
        typer.echo()
        show(row["partitions"], ("partition", "position", "end", "lag", "bad", "stopped"), output, empty="")


@bindings.command("pause")
@changes
def pause(
    name: Name,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Turn a binding off: records meanwhile are read once it is on again. Kept over deployments.

    Example: `stream-durable bindings pause orders:order --reason "stock is counted"`
    """
    change.make(
        f"pause binding {name}",
        lambda client: client.pause_binding(name, reason, by=who(by)),
        f"Asked to pause {name}.",
    )


@bindings.command("resume")
@changes
def resume(name: Name, reason: Reason = "", by: By = None, *, change: Change) -> None:
    """Turn a binding on again; a partition stopped at a record tries the record again.

    Example: `stream-durable bindings resume orders:order`
    """
    change.make(
        f"resume binding {name}",
        lambda client: client.resume_binding(name, reason, by=who(by)),
        f"Asked to resume {name}.",
    )


@bindings.command("delete")
@changes
def delete(name: Name, *, change: Change) -> None:
    """Forget a binding; runs go on. A deployment still declaring the binding creates it again.

    Example: `stream-durable bindings delete orders:order`
    """
    change.make(
        f"delete binding {name}",
        lambda client: client.delete_binding(name),
        f"Asked to delete {name}.",
        asks=True,
    )


@bindings.command("replay")
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
    """Give past records to a binding again; nothing happens twice.

    Example: `stream-durable bindings replay orders:order --since 2030-01-01 --until 2030-01-31 --dry-run`
    """
    begin, end, options = replay_of(since, until, partition, pace, preview=change.dry_run)
    options |= {"reason": reason, "by": who(by)}
    show_one(do(lambda client: client.replay_binding(name, begin, end, **options))._asdict(), change.output)


@bindings.command("skip")
@changes
def skip(
    name: Name,
    partition: Annotated[
        int | None, typer.Option("--partition", help="Where it stands, if it stands in several.")
    ] = None,
    offset: Annotated[
        int | None,
        typer.Option("--offset", help="Only if it stands at this record: so a repeat is harmless."),
    ] = None,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Let a binding go past its blocking record; the record becomes a dead letter.

    Example: `stream-durable bindings skip orders:order --reason "a test of theirs"`
    """
    change.make(
        f"skip a record for binding {name}",
        lambda client: client.skip_record(name, partition, offset, reason=reason, by=who(by)),
        _said,
        facts=lambda found: found._asdict(),
    )


def _said(found: SkippedRecord) -> str:
    record = f"partition {found.partition}, offset {found.offset}"
    if not found.stopped:
        return f"It is past {record} already."
    asked = "Asked to skip" if found.is_ordered else "It was asked before to skip"
    return f"{asked} {record}: {found.stopped}."


def _row(found: BindingState) -> dict[str, Any]:
    note = note_on(found.is_on, found.reason or found.off_by, found.app, is_undeclared=found.is_undeclared)
    return {
        **found._asdict(),
        "orders": order_rows(found.orders),
        "partitions": [each._asdict() for each in found.partitions],
        "status": ("stopped" if found.stopped else "on") if found.is_on else "off",
        "lag": found.lag,
        "bad_records": found.bad_records,
        "note": "; ".join(each for each in (note, found.trouble, found.stopped) if each) or None,
    }
