"""The latest orders to an entity: one for each act, with who gave it and why, whatever came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """An order of a person or a program."""

    at: int
    #: Under any name.
    by: str = ""
    reason: str = ""


#: By act, such as `pause`.
Orders = Mapping[str, Order]


class _Given(Protocol):
    by: str
    reason: str


def noted(orders: Orders, act: str, message: _Given, now: int) -> Orders:
    """Return the orders with a later one of an act."""
    return {**orders, act: Order(now, message.by, message.reason)}
