"""Commands about gates."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.errors import NotFoundError
from stream_durable.cli.output import Format, Output, cell_text, moment, show, show_one
from stream_durable.cli.values import load_settings

if TYPE_CHECKING:
    from stream_durable.ports import GatePlace, GateSummary
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


@app.command("show")
def show_gate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the gate.", show_default=False)],
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Attempts at most.")] = 100,
    output: Output = Format.TABLE,
) -> None:
    """Show a gate: its state, the attempt on trial, and those that wait, in the order in which they pass.

    Example: `stream-durable gates show bank`
    """
    gate, places = asyncio.run(_get(load_settings(), name, limit))
    rows = [_place(one) for one in places]
    if output is not Format.TABLE:
        show_one(_row(gate) | {"places": rows}, output)
        return
    for field, value in _row(gate).items():
        typer.echo(f"{field:<14}{cell_text(value)}".rstrip())
    typer.echo()
    show(rows, ("status", "run", "step", "attempt"), output, empty="No attempt waits.")
    if (left := gate.waiting - sum(not one.is_inside for one in places)) > 0:
        typer.echo(f"\n{left} more wait: --limit shows more of them.", err=True)


async def _get(settings: Settings, name: str, limit: int) -> tuple[GateSummary, list[GatePlace]]:
    from stream_durable import operating

    async with operating.views(settings) as views:
        gate = await views.gate_get(name)
        if gate is None:
            text = f"there is no gate {name!r}: no step has passed one of this name"
            raise NotFoundError(text, "`stream-durable gates list` shows those that were used.")
        return gate, await views.gate_places(name, limit=limit)


def _place(place: GatePlace) -> dict[str, Any]:
    return {
        "status": "trial" if place.is_inside else "waiting",
        "run": place.run,
        "step": place.step,
        "attempt": place.attempt,
    }


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
