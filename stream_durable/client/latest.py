"""The latest orders to a schedule, gate, queue, trigger or binding, as its state shows them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from stream_durable.core.moments import moment
from stream_durable.core.orders import Orders


class OrderState(NamedTuple):
    """The latest order of an act."""

    #: Such as `pause` or `resume`.
    act: str
    at: datetime
    #: Who gave it, if that was said, and why.
    by: str
    reason: str


def order_states(orders: Orders) -> tuple[OrderState, ...]:
    """Return the latest order of each act, newest first."""
    found = sorted(orders.items(), key=lambda each: (-each[1].at, each[0]))
    return tuple(OrderState(act, moment(one.at), one.by, one.reason) for act, one in found)
