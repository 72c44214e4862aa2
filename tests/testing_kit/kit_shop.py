"""The workflow of the programs that users are shown, and one for each other thing that a test can meet."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import BaseModel

from stream_durable import Context, Retry, Snooze, Workflow


class Order(BaseModel):
    id: str
    items: list[str] = []
    total: float = 9.5


class Receipt(BaseModel):
    number: str
    amount: float


orders = Workflow("order", input=Order, timeout="3d")


@orders.step
async def reserve(order: Order) -> list[str]:
    return [f"reserved {item}" for item in order.items]


paid = orders.wait_event(
    "paid", "payment.captured", key="input.id", timeout="2h", on_timeout="fail", after=reserve
)


@orders.step(
    after=paid, retry=Retry(5, backoff="exponential", base="1s", cap="1m", jitter=0.2), timeout="30s"
)
async def charge(order: Order, reserve: list[str]) -> Receipt:
    return Receipt(number=f"R-{order.id}", amount=order.total)


undone: list[str] = []


@charge.compensate
async def refund(order: Order, charge: Receipt) -> None:
    undone.append(charge.number)


@orders.step(after=charge)
def ship(ctx: Context[Order], charge: Receipt) -> dict[str, str]:
    ctx.put("parcels", 1)
    return {"tracking": f"T-{ctx.input.id}"}


go = orders.wait_signal("go", any_of=["released", "forced"], after=ship)
cooled = orders.sleep("cooled", "10m", after=go)


@orders.step(after=cooled)
async def close(order: Order) -> str:
    return f"{order.id} is closed"


pages = Workflow("page")


@pages.step
async def fetch(input: dict[str, int]) -> dict[str, Any]:  # noqa: A002 - its name
    return {"next": input["cursor"] + 1, "done": input["cursor"] >= 2}


books = Workflow("book")
all_pages = books.child(
    "all_pages", pages, input={"cursor": "input.cursor"}, until="all_pages.done",
    again={"cursor": "all_pages.next"}, every="1h",
)  # fmt: skip


@books.step(queue="slow")
def bind(all_pages: dict[str, Any]) -> int:
    return int(all_pages["next"])


looks = Workflow("look")


@looks.step
async def ready(ctx: Context) -> str | Snooze:
    ctx.increment("looks")
    return "yes" if ctx.get("looks") >= 3 else Snooze("5m", "not yet")


naps = Workflow("nap")


@naps.step
async def nap(input: str) -> str:  # noqa: A002 - its name
    await asyncio.sleep(3_600)
    return "awake"


dreams = Workflow("dream")


@dreams.step
async def dream(input: str) -> str:  # noqa: A002 - its name
    await asyncio.Event().wait()
    return "never"
