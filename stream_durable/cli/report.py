"""Where the time of a run went."""

from __future__ import annotations

import asyncio
import sys

import typer

from stream_durable.cli.graph import run_and_graph
from stream_durable.cli.output import Format, Output, show_one
from stream_durable.cli.selection import RunId
from stream_durable.cli.values import load_settings


def report_run(
    run: RunId,
    output: Output = Format.TABLE,
) -> None:
    """Show the steps of a run in the order of their ends, with waiting and running times, and the critical
    path: the longest chain, deciding how long the run took.

    Example: `stream-durable runs report order-42`
    """
    from stream_durable.pictures import report, table

    graph, state = asyncio.run(run_and_graph(load_settings(), run))
    found = report(graph.definition, state)
    if output is not Format.TABLE:
        fields = {**found._asdict(), "steps": [step._asdict() for step in found.steps]}
        show_one(fields, output)
    else:
        typer.echo(table(found, is_coloured=sys.stdout.isatty()), nl=False)
