"""The workflows that the tests of the API run: one with every screen's features, one that fails."""

from typing import Any

from stream_durable import Context, Fail, Workflow

SECRET = "walrus-4711"

orders = Workflow("order")


@orders.step
async def reserve(ctx: Context[Any]) -> dict[str, Any]:
    ctx.log.info("reserving for %s, %s", ctx.input["id"], SECRET)
    ctx.put("parcel", {"note": SECRET})
    return {"items": ["book"], "note": SECRET}


approve = orders.ask("approve", prompt="Ship {input.id}?", role="warehouse", after=reserve)
paid = orders.wait_signal("paid", "payment", after=approve)


@orders.step(after=paid)
async def ship(ctx: Context[Any]) -> dict[str, Any]:
    return {"tracking": SECRET}


@orders.answers("quote")
def quote(request: int) -> int:
    if request < 0:
        raise Fail("no_items", f"no items of {SECRET}", retryable=False)
    return 2 * request


fails = Workflow("fails")


@fails.step
async def explode(ctx: Context[Any]) -> None:
    raise ValueError(f"cannot cope with {SECRET}")
