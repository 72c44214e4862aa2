"""Schedules: listed, created, changed, turned off and on, triggered and filled in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.bodies import (
    BackfillBody,
    MayReason,
    NewScheduleBody,
    Ordered,
    Reason,
    ReasonBody,
    ScheduleBody,
    ordered,
    why,
)
from stream_durable.api.callers import TheCaller
from stream_durable.api.conditions import Conditions, Limit, Text
from stream_durable.api.keys import IdempotencyKey, derived
from stream_durable.api.places import Name
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model, shape
from stream_durable.api.world import TheWorld
from stream_durable.client import Backfill, ScheduleState

router = APIRouter(
    prefix="/schedules", tags=["schedules"], responses=documented(400, 401, 403, 404, 409, 422, 503)
)

Schedules = model("Schedules", schedules=many(ScheduleState), following=str | None)
Triggered = model("Triggered", run=str)


class SchedulePage(Conditions):
    """A page of schedules."""

    limit: Limit = 1_000
    after: Text = ""


@router.get("", response_model=Schedules)
async def list_schedules(
    world: TheWorld, caller: TheCaller, which: Annotated[SchedulePage, Query()]
) -> Response:
    """List the schedules, by name."""
    found = await world.client.schedules(limit=which.limit, after=which.after)
    following = found[-1].name if len(found) == which.limit else None
    return caller.answer({"schedules": found, "following": following})


@router.post("", response_model=Ordered, status_code=202)
async def create_schedule(world: TheWorld, caller: TheCaller, body: NewScheduleBody) -> Response:
    """Create a schedule."""
    await world.client.create_schedule(
        body.name, body.workflow, body.input, reason=body.reason, by=caller.name, **body.options()
    )
    return ordered(caller, body.name)


@router.get("/{name}", response_model=shape(ScheduleState))
async def get_schedule(world: TheWorld, caller: TheCaller, name: Name) -> Response:
    """Return a schedule with its latest firings."""
    return caller.answer(await world.client.schedule(name))


@router.patch("/{name}", response_model=Ordered, status_code=202)
async def change_schedule(world: TheWorld, caller: TheCaller, name: Name, body: ScheduleBody) -> Response:
    """Change a schedule; fields left out stay."""
    await world.client.change_schedule(
        name, input=body.input, reason=body.reason, by=caller.name, **body.options()
    )
    return ordered(caller, name)


@router.delete("/{name}", response_model=Ordered, status_code=202)
async def delete_schedule(world: TheWorld, caller: TheCaller, name: Name, reason: Reason = "") -> Response:
    """Forget a schedule; its runs go on."""
    await world.client.delete_schedule(name, reason, by=caller.name)
    return ordered(caller, name)


@router.post("/{name}/pause", response_model=Ordered, status_code=202)
async def pause_schedule(world: TheWorld, caller: TheCaller, name: Name, body: ReasonBody) -> Response:
    """Turn a schedule off, over deployments too."""
    await world.client.pause_schedule(name, body.reason, by=caller.name)
    return ordered(caller, name)


@router.post("/{name}/resume", response_model=Ordered, status_code=202)
async def resume_schedule(world: TheWorld, caller: TheCaller, name: Name, body: MayReason = None) -> Response:
    """Turn a schedule on again."""
    await world.client.resume_schedule(name, why(body), by=caller.name)
    return ordered(caller, name)


@router.post("/{name}/reset", response_model=Ordered, status_code=202)
async def reset_schedule(world: TheWorld, caller: TheCaller, name: Name, body: MayReason = None) -> Response:
    """Go back to the plan of the code."""
    await world.client.reset_schedule(name, why(body), by=caller.name)
    return ordered(caller, name)


@router.post("/{name}/trigger", response_model=Triggered, status_code=202)
async def trigger_schedule(
    world: TheWorld, caller: TheCaller, name: Name, body: MayReason = None, key: IdempotencyKey = None
) -> Response:
    """Start a run of a schedule now."""
    order = derived(key, caller, f"trigger {name}")
    run = await world.client.trigger_schedule(name, id=order, reason=why(body), by=caller.name)
    return caller.answer({"run": run}, 202)


@router.post("/{name}/backfill", response_model=shape(Backfill))
async def backfill_schedule(world: TheWorld, caller: TheCaller, name: Name, body: BackfillBody) -> Response:
    """Start runs for moments of the past, or show the moments."""
    found = await world.client.backfill_schedule(
        name,
        body.since,
        body.until,
        preview=body.preview,
        pace=body.pace,
        reason=body.reason,
        by=caller.name,
    )
    return caller.answer(found)
