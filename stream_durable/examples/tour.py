"""Three workflows for a first look: one completes, one waits for a person, one fails and is undone."""

from __future__ import annotations

import asyncio
from typing import Final

from pydantic import BaseModel

from stream_durable import App, Context, Fail, Workflow


class Order(BaseModel):
    """A customer's order."""

    id: str
    total: float


class Trip(BaseModel):
    """A trip to book."""

    to: str


report = Workflow("report", description="Figures of the day, gathered and sent: completes")


@report.step
async def gather(ctx: Context[None]) -> dict[str, int]:
    """Gather the figures."""
    ctx.log.info("gathering figures")
    await asyncio.sleep(0.2)
    return {"orders": 12, "parcels": 9}


@report.step
async def send(gather: dict[str, int]) -> str:
    """Send the figures."""
    await asyncio.sleep(0.2)
    return ", ".join(f"{number} {what}" for what, number in gather.items())


orders = Workflow("order", input=Order, description="An order above the limit: waits for an approval")


@orders.step
async def reserve(ctx: Context[Order]) -> str:
    """Reserve the goods."""
    ctx.attribute("total", ctx.input.total)
    return f"shelf {len(ctx.input.id)}"


approve = orders.ask("approve", prompt="Ship {input.id} for {input.total}?", role="sales", after=reserve)


@orders.step(after=approve)
async def ship(order: Order) -> str:
    """Pass the parcel to the carrier."""
    return f"T-{order.id}"


trips = Workflow("trip", input=Trip, description="A trip without a room: fails, and the flight is undone")


@trips.step
async def flight(trip: Trip) -> str:
    """Book a flight."""
    await asyncio.sleep(0.1)
    return f"flight to {trip.to}"


@flight.compensate
async def cancel_flight(ctx: Context[Trip], flight: str) -> None:
    """Cancel the flight."""
    ctx.log.info("cancelling the %s", flight)


@trips.step(after=flight)
async def hotel(trip: Trip) -> str:
    """Book a room: there is none."""
    raise Fail("no_room", f"there is no room in {trip.to}", retryable=False)


app = App("tour", workflows=[report, orders, trips])

#: A run of each workflow, by id: starting one again changes nothing.
RUNS: Final = {
    "report-1": (report, None),
    "order-1": (orders, Order(id="1", total=4_200.0)),
    "trip-1": (trips, Trip(to="Lisbon")),
}
