"""Commands about the partitions of the inbox."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from stream_durable.cli.change import Change, changes
from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.values import load_settings
from stream_durable.cli.watching import watches

_HELP = "The partitions of the inbox: where they stand, and in which format they go on."
app = typer.Typer(help=_HELP, no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The partitions of the inbox: positions, owners and formats."""


@app.command("list")
@watches
def list_partitions(output: Output = Format.TABLE) -> None:
    """List the partitions with format, owner, and the newest format known to the owner.

    Example: `stream-durable partitions list`
    """
    from stream_durable import operating

    found = asyncio.run(operating.standing(load_settings()))
    rows = [one._asdict() for one in found]
    columns = ("partition", "next_offset", "format", "owner", "owner_format")
    show(rows, columns, output, empty="There are no partitions.")


@app.command("raise")
@changes
def raise_partitions(*, change: Change) -> None:
    """Let all partitions go on in the newest format of this release.

    The last step of an upgrade, once no process of an older release is left. There is no way back: an older
    release does not go on from here. Refused while a partition has an owner of an older release.

    Example: `stream-durable partitions raise`
    """
    from stream_durable.core.format import FORMAT
    from stream_durable.services.upgrades import raise_format

    change.confirm(f"go on in format {FORMAT}, for good")
    raised = asyncio.run(raise_format(load_settings(), is_rehearsal=change.dry_run))
    rows = [{"partition": one.partition, "before": one.format, "format": FORMAT} for one in raised]
    show(
        rows, ("partition", "before", "format"), change.output, empty=f"Every partition has format {FORMAT}."
    )


@app.command("bury")
@changes
def bury_record(
    partition: Annotated[int, typer.Argument(help="The blocked partition.", min=0)],
    offset: Annotated[int, typer.Argument(help="The offset of the blocking record.", min=0)],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the dead letter.")],
    *,
    change: Change,
) -> None:
    """Set aside the record blocking a partition, as a dead letter, so that the partition goes on.

    The record's content is lost to its run. The reconciler's log and `/readyz` name partition and offset.

    Example: `stream-durable partitions bury 3 17 --reason "its workflow is gone for good"`
    """
    from stream_durable.services.upgrades import bury

    what = f"set aside the record at offset {offset} of partition {partition}"
    change.confirm(what)
    asyncio.run(bury(load_settings(), partition, offset, reason, is_rehearsal=change.dry_run))
    if change.dry_run:
        change.would(what)
    else:
        change.made(what, f"The record at offset {offset} of partition {partition} is set aside.")
