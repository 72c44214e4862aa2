"""Waits of runs, kept events, and messages for later."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.bodies import Ordered, PublishBody, ordered
from stream_durable.api.callers import TheCaller
from stream_durable.api.conditions import EventPage, Page, WaitPage
from stream_durable.api.keys import IdempotencyKey, derived
from stream_durable.api.places import MessageId
from stream_durable.api.problems import documented
from stream_durable.api.shapes import shape
from stream_durable.api.world import TheWorld
from stream_durable.client import EventList, PlannedList, WaitList

router = APIRouter(responses=documented(400, 401, 403, 422, 503))


@router.get("/waits", response_model=shape(WaitList), tags=["waits"])
async def list_waits(world: TheWorld, caller: TheCaller, which: Annotated[WaitPage, Query()]) -> Response:
    """List the steps of all runs waiting for events, signals or an end from outside."""
    return caller.answer(await world.client.waits(**which.model_dump()))


@router.get("/events", response_model=shape(EventList), tags=["events"])
async def list_events(world: TheWorld, caller: TheCaller, which: Annotated[EventPage, Query()]) -> Response:
    """List the events kept for waits to come; with `expired`, events without any taker."""
    return caller.answer(await world.client.events(**which.model_dump()))


@router.post("/events", response_model=Ordered, status_code=202, tags=["events"])
async def publish_event(
    world: TheWorld, caller: TheCaller, body: PublishBody, key: IdempotencyKey = None
) -> Response:
    """Publish an event to every run waiting now or within `ttl`."""
    given = body.id or derived(key, caller, f"publish {body.event} {body.key}")
    await world.client.publish(
        body.event, key=body.key, data=body.data, id=given, ttl=body.ttl, by=caller.name, at=body.at,
        after=body.after,
    )  # fmt: skip
    return ordered(caller, given)


@router.get("/later", response_model=shape(PlannedList), tags=["later"])
async def list_later(world: TheWorld, caller: TheCaller, which: Annotated[Page, Query()]) -> Response:
    """List the signals, events and starts still to come, the next one first."""
    return caller.answer(await world.client.later(limit=which.limit, after=which.after))


@router.delete("/later/{message}", response_model=Ordered, status_code=202, tags=["later"])
async def cancel_later(
    world: TheWorld,
    caller: TheCaller,
    message: MessageId,
) -> Response:
    """Ask for a signal, an event or a start not to be sent."""
    await world.client.cancel_later(message)
    return ordered(caller, message)
