from pydantic import BaseModel

from stream_durable import App, Context, Fail, Retry, Workflow


class Order(BaseModel):
    id: str
    items: list[str]
    total: float


orders = Workflow("order", input=Order, timeout="3d")


@orders.step
async def reserve(order: Order) -> list[str]:  # takes the input, waits for nothing
    return [f"reserved {item}" for item in order.items]


paid = orders.wait_event("paid", "payment.captured", key="input.id", after=reserve, timeout="2h")


@orders.step(retry=Retry(5, base="1s", cap="1m"), timeout="30s")
async def ship(ctx: Context[Order], reserve: list[str], paid: dict[str, float]) -> dict[str, str]:
    if paid["amount"] < ctx.input.total:  # a parameter named like a step gets its output
        raise Fail("short", f"paid {paid['amount']} of {ctx.input.total}", retryable=False)
    ctx.log.info("shipping %d items", len(reserve))
    return {"tracking": f"T-{ctx.input.id}"}


app = App("shop", workflows=[orders])
