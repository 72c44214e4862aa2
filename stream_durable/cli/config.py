"""Commands about the settings."""

from __future__ import annotations

from typing import Annotated

import typer

from stream_durable.cli.output import Format, Output, show
from stream_durable.cli.values import read_settings

app = typer.Typer(help="What is set, and by whom.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """What is set, and by whom."""


@app.command("show")
def show_settings(
    origin: Annotated[bool, typer.Option("--origin", help="Say where each value comes from.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Leave out what is at its default.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Print every setting that is in force; secrets are masked.

    Example: `stream-durable config show --origin --changed`
    """
    from stream_durable.settings import describe

    rows = [
        {"setting": row.path, "value": row.value, "origin": row.origin, "description": row.description}
        for row in describe(read_settings())
        if not (changed and row.origin == "default")
    ]
    columns = ("setting", "value", *(("origin",) if origin else ()))
    show(rows, columns, output, empty="Everything is at its default.")
