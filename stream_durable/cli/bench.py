"""The command that measures; what it measures with is `stream_durable.bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def bench(
    workload: Annotated[list[str], typer.Argument(help="What to measure: chain, fan, single, or all.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="How often; the spread is shown too.")] = 1,
    prototype: Annotated[
        Path | None, typer.Option(help="Measure this prototype side by side, in the same run.")
    ] = None,
) -> None:
    """Measure throughput, latency and CPU on a local Kafka and Postgres.

    Example: `stream-durable bench chain fan --repeat 3 --json`
    """
    from stream_durable.bench import main

    arguments = [*workload, "--repeat", str(repeat)]
    if as_json:
        arguments.append("--json")
    if prototype is not None:
        arguments += ["--prototype", str(prototype)]
    raise typer.Exit(main(arguments))
