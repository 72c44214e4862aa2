"""The latest orders to something, as commands show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import typer

from stream_durable.cli.output import cell_text

if TYPE_CHECKING:
    from stream_durable.client.latest import OrderState


def order_rows(orders: Iterable[OrderState]) -> list[dict[str, Any]]:
    """Return the orders for programs."""
    return [one._asdict() for one in orders]


def show_orders(orders: Iterable[OrderState]) -> None:
    """Print a line for each order, for people."""
    for one in orders:
        who = f" by {one.by}" if one.by else ""
        why = f": {one.reason}" if one.reason else ""
        typer.echo(f"{one.act:<12} {cell_text(one.at)}{who}{why}")
