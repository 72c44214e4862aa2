"""Counts of runs: of a selection, or by status."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stream_durable.cli.output import Format, Output, show, show_one
from stream_durable.cli.selection import Selection, selects
from stream_durable.cli.values import load_settings

if TYPE_CHECKING:
    from stream_durable.client import RunFilter, RunStatuses
    from stream_durable.ports import RunQuery
    from stream_durable.settings import Settings


class By(StrEnum):
    """The property for counting runs."""

    STATUS = "status"


@selects
def count(
    which: Selection,
    at_most: Annotated[int, typer.Option("--at-most", min=1, help="Stop counting at this number.")] = 100_000,
    by: Annotated[By | None, typer.Option("--by", help="Count by status.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Count runs.

    Example: `stream-durable runs count --workflow order --by status`
    """
    if by is By.STATUS:
        _show_statuses(which.filter(), at_most, output)
        return
    found = asyncio.run(_count(load_settings(), which.filter().query(), at_most))
    is_exact = found <= at_most
    if output is Format.TABLE:
        typer.echo(found if is_exact else f"more than {at_most}")
    else:
        show_one({"found": min(found, at_most), "is_exact": is_exact}, output)


def _show_statuses(which: RunFilter, at_most: int, output: Format) -> None:
    from stream_durable import connecting

    async def counted() -> RunStatuses:
        async with connecting.client(load_settings()) as client:
            return await client.statuses(which, at_most=at_most)

    found = asyncio.run(counted())
    rows = [{"status": status, "runs": count} for status, count in sorted(found.counts.items())]
    show(rows, ("status", "runs"), output, empty="There is no such run.")
    if not found.is_exact:
        typer.echo(f"There are more than {at_most} (--at-most).", err=True)


async def _count(settings: Settings, query: RunQuery | None, at_most: int) -> int:
    from stream_durable import operating

    if query is None:
        return 0
    async with operating.views(settings) as views:
        return await views.run_count(query, at_most=at_most + 1)
