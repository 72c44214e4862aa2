"""Triggers: rules by which events start runs."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from stream_durable.api.bodies import MayReason, Ordered, ReasonBody, ReplayBody, ordered, why
from stream_durable.api.callers import TheCaller
from stream_durable.api.keys import IdempotencyKey
from stream_durable.api.places import Name
from stream_durable.api.problems import documented
from stream_durable.api.replays import REPLAY, replayed
from stream_durable.api.shapes import many, model, shape
from stream_durable.api.world import TheWorld
from stream_durable.client import TriggerState

router = APIRouter(prefix="/triggers", tags=["triggers"], responses=documented(400, 401, 403, 404, 422, 503))

Triggers = model("Triggers", triggers=many(TriggerState))


@router.get("", response_model=Triggers)
async def list_triggers(world: TheWorld, caller: TheCaller) -> Response:
    """List the triggers, by name."""
    return caller.answer({"triggers": await world.client.triggers()})


@router.get("/{name}", response_model=shape(TriggerState))
async def get_trigger(world: TheWorld, caller: TheCaller, name: Name) -> Response:
    """Return a trigger."""
    return caller.answer(await world.client.trigger(name))


@router.delete("/{name}", response_model=Ordered, status_code=202)
async def delete_trigger(world: TheWorld, caller: TheCaller, name: Name) -> Response:
    """Forget a trigger; runs go on."""
    await world.client.delete_trigger(name)
    return ordered(caller, name)


@router.post("/{name}/pause", response_model=Ordered, status_code=202)
async def pause_trigger(world: TheWorld, caller: TheCaller, name: Name, body: ReasonBody) -> Response:
    """Turn a trigger off, over deployments too."""
    await world.client.pause_trigger(name, body.reason, by=caller.name)
    return ordered(caller, name)


@router.post("/{name}/resume", response_model=Ordered, status_code=202)
async def resume_trigger(world: TheWorld, caller: TheCaller, name: Name, body: MayReason = None) -> Response:
    """Turn a trigger on again, from now on."""
    await world.client.resume_trigger(name, why(body), by=caller.name)
    return ordered(caller, name)


@router.post("/{name}/replay", **REPLAY)
async def replay_trigger(
    world: TheWorld, caller: TheCaller, name: Name, body: ReplayBody, key: IdempotencyKey = None
) -> Response:
    """Give past events to a trigger again, as an operation, or with `preview` only count them."""
    await world.client.trigger(name)
    return await replayed(world, caller, "trigger", name, body, key)
