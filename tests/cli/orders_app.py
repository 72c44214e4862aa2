"""The app that the tests of the command line run."""

import asyncio
import os
from typing import Literal

from pydantic import BaseModel, Field

from stream_durable import App, Context, Fail, Retry, Workflow


class Order(BaseModel):
    id: str
    total: float = 1.0


orders = Workflow("order", input=Order)


@orders.step(retry=Retry(2, base="50ms"))
async def charge(order: Order) -> float:
    if order.total > 1_000:
        raise Fail("too_much", "needs another process", retryable=False)
    return order.total


paid = orders.wait_event("paid", "payment.captured", key="input.id", after=charge)
released = orders.wait_signal("released", after=paid)


@orders.step(after=released)
async def ship(paid: dict[str, float], released: dict[str, str]) -> str:
    return f"{paid['amount']} by {released['by']}"


@orders.on_event("order.hurried", key="input.id")
async def hurried(ctx: Context[Order], event: dict[str, str]) -> None: ...


class Rating(BaseModel):
    stars: int = Field(ge=1, le=5)
    colour: Literal["red", "blue"] | None = None
    would_return: bool = False
    note: str = ""


asking = Workflow("asking")
agreed = asking.ask(
    "agreed", choices=["yes", "no"], prompt="Ship {input.id}?", role="warehouse", timeout="1h"
)
asking.ask("rating", form=Rating, prompt="How was it?", after=agreed)


@asking.answers("quote")
async def quote(request: int) -> int:
    if request > 100:
        raise Fail("too_many", "there are a hundred", retryable=False)
    return 5 * request


quick = Workflow("quick")


@quick.step
async def one(input: dict[str, int]) -> int:  # noqa: A002
    return input["n"] + 1


@quick.step
async def two(one: int) -> int:
    return one * 2


broken = Workflow("broken")


@broken.step(retry=Retry(2, base="10ms"))
async def look(input: dict[str, int]) -> int:  # noqa: A002
    return input["no such key in what the run was started with, and this takes a line that is rather long"]


slow = Workflow("slow")


@slow.step
async def nap() -> int:
    await asyncio.sleep(600)
    return os.getpid()


app = App("orders", workflows=[orders, quick, broken, slow, asking])
app.schedule("yearly", quick, {"n": 1}, cron="0 0 1 1 *", timezone="Europe/Berlin")
