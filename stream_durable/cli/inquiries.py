"""The command that asks a run something."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_durable.cli.history import print_answer
from stream_durable.cli.selection import RunId
from stream_durable.cli.values import read_json


def ask(
    run: RunId,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the answer.", show_default=False)],
    data: Annotated[str, typer.Option("--data", help="JSON, or @file, or -: what is asked.")] = "null",
    timeout: Annotated[str, typer.Option("--timeout", help="How long to wait for the answer.")] = "30s",
    message_id: Annotated[
        str | None, typer.Option("--id", help="Asked once, however often it is sent.", show_default="random")
    ] = None,
) -> None:
    """Ask a run something, and print the answer as JSON; a function of its workflow answers.

    Example: `stream-durable runs ask order-42 quote --data '{"items": 2}'`
    """
    given = read_json(data, "--data")

    print_answer(run, lambda handle: handle.ask(name, given, timeout=timeout, id=message_id))
