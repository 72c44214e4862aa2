"""Commands about gates."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.output import Format, Output, moment, show
from stream_durable.cli.values import load_settings

if TYPE_CHECKING:
    from stream_durable.ports import GateSummary
    from stream_durable.settings import Settings

app = typer.Typer(help="The circuit breakers before dependencies.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The circuit breakers before dependencies."""


@app.command("list")
def list_gates(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Rows at most.")] = 1_000,
    output: Output = Format.TABLE,
) -> None:
    """List the gates: open or closed, with the number of waiting attempts.

    Example: `stream-durable gates list`
    """
    gates = asyncio.run(_list(load_settings(), limit))
    columns = ("name", "state", "since", "failures", "waiting", "next")
    show([_row(gate) for gate in gates], columns, output, empty="No step has passed a gate yet.")


async def _list(settings: Settings, limit: int) -> list[GateSummary]:
    from stream_durable import operating

    async with operating.views(settings) as views:
        return await views.gate_list(limit=limit)


def _row(gate: GateSummary) -> dict[str, Any]:
    return {
        "name": gate.name,
        "state": gate.state,
        "since": moment(gate.since),
        "failures": gate.failures,
        "failures_max": gate.failures_max,
        "waiting": gate.waiting,
        "next": moment(gate.due),
    }
