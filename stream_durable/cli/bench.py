"""The command for measuring, on top of `stream_durable.bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def bench(
    workload: Annotated[list[str], typer.Argument(help="Workloads: chain, fan, single, ..., or all.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    repeat: Annotated[
        int, typer.Option(min=1, max=100, help="Number of measurements; the spread is shown too.")
    ] = 3,
    size: Annotated[
        int | None, typer.Option("--n", min=1, help="Size of each workload instead of the default.")
    ] = None,
    prototype: Annotated[
        Path | None, typer.Option(help="Measure this prototype side by side, in the same run.")
    ] = None,
) -> None:
    """Measure throughput, latency, CPU and the page on a local Kafka and Postgres.

    Example: `stream-durable bench chain fan --repeat 3 --json`
    """
    from stream_durable.bench import main

    raise typer.Exit(main(workload, json=as_json, repeat=repeat, n=size, prototype=prototype))
