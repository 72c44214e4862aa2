"""Commands about gates."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream_durable.cli.change import By, Change, Reason, changes, who
from stream_durable.cli.latest import order_rows, show_orders
from stream_durable.cli.output import Format, Output, cell_text, show, show_one
from stream_durable.cli.runs import AfterId, Limit
from stream_durable.cli.values import load_settings
from stream_durable.cli.watching import watches
from stream_durable.core.moments import moment

if TYPE_CHECKING:
    from stream_durable.client import GateState
    from stream_durable.core.gate.summary import GatePlace, GateSummary
    from stream_durable.settings import Settings

app = typer.Typer(help="Gates and circuit breakers: who is inside, and who waits.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the gate.", show_default=False)]
Key = Annotated[
    str, typer.Option("--key", help="The key, where each has limits for itself.", show_default=False)
]


AllKeys = Annotated[
    bool, typer.Option("--all-keys", help="All keys, also those to come, where each has limits for itself.")
]


@app.callback()
def _group() -> None:
    """Gates and circuit breakers: who is inside, and who waits."""


@app.command("list")
@watches
def list_gates(limit: Limit = 1_000, after: AfterId = "", output: Output = Format.TABLE) -> None:
    """List the gates and breakers: limits and state, how many are inside, and how many wait.

    Example: `stream-durable gates list`
    """
    gates = asyncio.run(_list(load_settings(), after, limit))
    columns = ("id", "kind", "state", "limits", "inside", "waiting", "failures", "next")
    show([_row(gate) for gate in gates], columns, output, empty="No step has passed a gate yet.")


@app.command("show")
def show_gate(
    name: Name,
    key: Key = "",
    is_breaker: Annotated[
        bool, typer.Option("--breaker", help="The breaker, where there is a gate of the same name.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Places at most.")] = 100,
    after: Annotated[int, typer.Option("--after", min=0, help="Of those that wait: beyond this number.")] = 0,
    output: Output = Format.TABLE,
) -> None:
    """Show a gate or a breaker: its limits and state, who is inside and since when, and who waits.

    Example: `stream-durable gates show bank`
    """
    from stream_durable.client.latest import order_states

    gate, places = asyncio.run(_get(load_settings(), name, key, limit, after, is_breaker=is_breaker))
    rows = [_place(gate, one) for one in places]
    if output is not Format.TABLE:
        show_one(_row(gate) | {"places": rows}, output)
        return
    for field, value in _row(gate).items():
        if value is not None and field != "orders":
            typer.echo(f"{field:<14}{cell_text(value)}".rstrip())
    show_orders(order_states(gate.orders))
    typer.echo()
    columns = ("status", "run", "step", "attempt", "since", "number")
    show(rows, columns if gate.kind == "gate" else columns[:4], output, empty="Nobody waits.")
    if (left := gate.waiting - sum(not one.is_inside for one in places)) > 0 and not after:
        typer.echo(f"\n{left} more wait: --limit shows more of them, --after NUMBER the next.", err=True)


@app.command("set")
@changes
def set_gate(
    name: Name,
    key: Key = "",
    at_once: Annotated[int | None, typer.Option("--at-once", help="So many inside at the same time.")] = None,
    rate: Annotated[str | None, typer.Option("--rate", help='So many in a time, as "100/1m".')] = None,
    burst: Annotated[int | None, typer.Option("--burst", help="So many more after a quiet time.")] = None,
    weights: Annotated[
        list[str] | None, typer.Option("--weight", help="KEY=N, where keys take turns; repeatable.")
    ] = None,
    all_keys: AllKeys = False,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Change limits of a gate; others stay. Kept over deployments, until `gates reset`.

    Example: `stream-durable gates set bank --at-once 20`
    """
    found = dict(read_weight(each) for each in weights or ())
    limits: dict[str, Any] = {"at_once": at_once, "rate": rate, "burst": burst, "weights": found}
    change.make(
        f"change gate {name}",
        lambda client: client.set_gate(name, key=key, all_keys=all_keys, reason=reason, by=who(by), **limits),
        f"Asked to change {name}.",
    )


@app.command("reset")
@changes
def reset_gate(
    name: Name,
    key: Key = "",
    all_keys: AllKeys = False,
    reason: Reason = "",
    by: By = None,
    *,
    change: Change,
) -> None:
    """Go back to the limits of the code.

    Example: `stream-durable gates reset bank`
    """
    change.make(
        f"reset gate {name}",
        lambda client: client.reset_gate(name, key=key, all_keys=all_keys, reason=reason, by=who(by)),
        f"Asked to reset {name}.",
    )


@app.command("probe")
@changes
def probe_breaker(name: Name, reason: Reason = "", by: By = None, *, change: Change) -> None:
    """Let one attempt behind an open breaker try now: success closes it, failure opens it again.

    Example: `stream-durable gates probe bank`
    """
    change.make(
        f"probe breaker {name}",
        lambda client: client.probe_breaker(name, reason=reason, by=who(by)),
        f"Asked to probe {name}.",
    )


def read_weight(text: str) -> tuple[str, int]:
    """Return the key and the weight of an option."""
    key, mark, weight = text.rpartition("=")
    if not mark or not key or not weight.isdecimal():
        raise typer.BadParameter(f"{text!r} is no weight: write KEY=N, as gold=3", param_hint="--weight")
    return key, int(weight)


async def _get(
    settings: Settings, name: str, key: str, limit: int, after: int, *, is_breaker: bool
) -> GateState:
    from stream_durable import operating
    from stream_durable.client.gates import read_gate

    async with operating.views(settings) as views:
        return await read_gate(views, name, key=key, is_breaker=is_breaker, limit=limit, after=after)


def _place(gate: GateSummary, place: GatePlace) -> dict[str, Any]:
    passed = "inside" if gate.kind == "gate" else "trial"
    row: dict[str, Any] = {
        "status": passed if place.is_inside else "waiting",
        "run": place.run,
        "step": place.step,
        "attempt": place.attempt,
    }
    if gate.kind == "breaker":
        return row
    return row | {
        "since": moment(place.since),
        "number": place.ordinal,
        "priority": place.priority,
        "key": place.share or None,
        "units": place.units,
        "lease": moment(place.lease),
    }


async def _list(settings: Settings, after: str, limit: int) -> list[GateSummary]:
    from stream_durable import operating

    async with operating.views(settings) as views:
        return await views.gate_list(after=after, limit=limit)


def _row(gate: GateSummary) -> dict[str, Any]:
    from stream_durable.client.latest import order_states

    is_breaker = gate.kind == "breaker"
    return {
        "id": gate.id,
        "name": gate.name,
        "kind": gate.kind,
        "key": gate.key or None,
        "state": gate.state,
        "limits": gate.limits_text,
        "changed_from": gate.asked_text if gate.is_changed else None,
        "inside": gate.inside,
        "waiting": gate.waiting,
        "since": moment(gate.since) if is_breaker else None,
        "failures": gate.failures if is_breaker else None,
        "failures_max": gate.failures_max if is_breaker else None,
        "next": moment(gate.due) if is_breaker or gate.waiting else None,
        "orders": order_rows(order_states(gate.orders)),
    }
