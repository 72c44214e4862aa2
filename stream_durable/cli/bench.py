"""The command that measures; what it measures with is `stream_durable.bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def bench(
    workload: Annotated[list[str], typer.Argument(help="What to measure: chain, fan, single, ..., or all.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="How often; the spread is shown too.")] = 3,
    size: Annotated[
        int | None, typer.Option("--n", min=1, help="Size of each workload, in place of its own.")
    ] = None,
    prototype: Annotated[
        Path | None, typer.Option(help="Measure this prototype side by side, in the same run.")
    ] = None,
) -> None:
    """Measure throughput, latency and CPU on a local Kafka and Postgres.

    Example: `stream-durable bench chain fan --repeat 3 --json`
    """
    from stream_durable.bench import main

    raise typer.Exit(main(workload, json=as_json, repeat=repeat, n=size, prototype=prototype))
