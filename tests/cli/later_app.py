"""The app of the tests of the command line, some releases later."""

from stream_durable import App, Retry, Workflow

orders = Workflow("order")


@orders.step(retry=Retry(4))
async def charge(stock: int) -> float:
    return 1.0 * stock


@orders.step
async def stock() -> int:
    return 1


paid = orders.wait_event("paid", "payment.captured", key="input.id", after=charge)


@orders.step(after=paid, queue="parcels")
async def send() -> None: ...


app = App("orders", workflows=[orders])
