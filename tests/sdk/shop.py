"""The program on the first page of the documentation, as far as it is built."""

from pydantic import BaseModel

from stream_durable import App, Context, Fail, Retry, Workflow


class Order(BaseModel):
    id: str
    items: list[str]
    total: float


class Receipt(BaseModel):
    number: str
    amount: float


orders = Workflow("order", input=Order, timeout="3d", retry=Retry(3))


@orders.step
async def reserve(order: Order) -> list[str]:
    return [f"reserved {item}" for item in order.items]


@orders.step(retry=Retry(5, backoff="exponential", base="1s", cap="1m", jitter=0.2), timeout="30s")
async def charge(order: Order, reserve: list[str]) -> Receipt:
    if order.total > 10_000:
        raise Fail("too_much", "needs another process", retryable=False)
    return Receipt(number=f"R-{order.id}", amount=order.total)


@charge.compensate
async def refund(order: Order, charge: Receipt) -> None: ...


@orders.step(after=charge, when=lambda order: order.total > 0)
def ship(ctx: Context[Order]) -> dict[str, str]:
    ctx.log.info("shipping %s", ctx.run_id)
    ctx.progress(50, "packed")
    return {"tracking": f"T-{ctx.input.id}"}


app = App("shop", workflows=[orders])
