"""An order: what is in stock is reserved, the card charged, the parcel packed and shipped.

The bank does not answer the first time it is asked, and packing takes long enough to be interrupted.
"""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from stream_durable import App, Context, Fail, Retry, Workflow


class Order(BaseModel):
    """A customer's order."""

    id: str
    items: list[str]
    total: float


class Receipt(BaseModel):
    """The bank's receipt."""

    number: str
    amount: float


orders = Workflow("order", input=Order)


@orders.step
async def reserve(order: Order) -> list[str]:
    """Reserve the items for this customer."""
    await asyncio.sleep(0.1)
    return [f"{item}, shelf {len(item)}" for item in order.items]


@orders.step(retry=Retry(3, base="600ms"), after=reserve)
async def charge(ctx: Context[Order]) -> Receipt:
    """Charge the card; the bank is away at first."""
    await asyncio.sleep(0.1)
    if ctx.attempt == 1:
        raise Fail("bank_away", "the bank does not answer")
    return Receipt(number=f"R-{ctx.input.id}", amount=ctx.input.total)


@orders.step(after=charge)
async def pack(ctx: Context[Order], reserve: list[str]) -> str:
    """Pack the items into a parcel."""
    for i, item in enumerate(reserve):
        ctx.progress(100 * i / len(reserve), item)
        await asyncio.sleep(0.5)
    return f"parcel of {len(reserve)}"


@orders.step
async def ship(charge: Receipt, pack: str) -> dict[str, str]:
    """Pass the parcel to the carrier."""
    await asyncio.sleep(0.1)
    return {"parcel": pack, "receipt": charge.number, "tracking": f"T-{charge.number}"}


app = App("shop", workflows=[orders])
