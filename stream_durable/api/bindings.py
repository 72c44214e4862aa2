"""Bindings of topics of others: listed, turned off and on, deleted, and given past records."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from stream_durable.api.bodies import MayReason, Ordered, ReasonBody, ReplayBody, SkipBody, ordered, why
from stream_durable.api.callers import TheCaller
from stream_durable.api.keys import IdempotencyKey
from stream_durable.api.places import Name
from stream_durable.api.problems import documented
from stream_durable.api.replays import REPLAY, replayed
from stream_durable.api.shapes import many, model, shape
from stream_durable.api.world import TheWorld
from stream_durable.client import BindingState, SkippedRecord

router = APIRouter(prefix="/bindings", tags=["bindings"], responses=documented(400, 401, 403, 404, 422, 503))

_COUNTS = {"lag": int | None, "bad_records": int, "stopped": str}
_Binding = shape(BindingState, "Binding", **_COUNTS)
Bindings = model("Bindings", bindings=many(BindingState, "Binding", **_COUNTS))


@router.get("", response_model=Bindings)
async def list_bindings(world: TheWorld, caller: TheCaller) -> Response:
    """List the bindings, by name, with positions and lag."""
    found = await world.client.bindings()
    return caller.answer({"bindings": [_shown(caller, each) for each in found]})


@router.get("/{name}", response_model=_Binding)
async def get_binding(world: TheWorld, caller: TheCaller, name: Name) -> Response:
    """Return a binding with positions and lag."""
    return caller.answer(_shown(caller, await world.client.binding(name)))


@router.delete("/{name}", response_model=Ordered, status_code=202)
async def delete_binding(world: TheWorld, caller: TheCaller, name: Name) -> Response:
    """Forget a binding; runs go on."""
    await world.client.delete_binding(name)
    return ordered(caller, name)


@router.post("/{name}/pause", response_model=Ordered, status_code=202)
async def pause_binding(world: TheWorld, caller: TheCaller, name: Name, body: ReasonBody) -> Response:
    """Turn a binding off, over deployments too; records meanwhile are read afterwards."""
    await world.client.pause_binding(name, body.reason, by=caller.name)
    return ordered(caller, name)


@router.post("/{name}/resume", response_model=Ordered, status_code=202)
async def resume_binding(world: TheWorld, caller: TheCaller, name: Name, body: MayReason = None) -> Response:
    """Turn a binding on again; a stopped partition tries the record again."""
    await world.client.resume_binding(name, why(body), by=caller.name)
    return ordered(caller, name)


@router.post("/{name}/replay", **REPLAY)
async def replay_binding(
    world: TheWorld, caller: TheCaller, name: Name, body: ReplayBody, key: IdempotencyKey = None
) -> Response:
    """Give past records to a binding again, as an operation, or with `preview` only count them."""
    await world.client.binding(name)
    return await replayed(world, caller, "binding", name, body, key)


@router.post("/{name}/skip", response_model=shape(SkippedRecord), status_code=202, responses=documented(409))
async def skip_record(world: TheWorld, caller: TheCaller, name: Name, body: SkipBody) -> Response:
    """Let a binding go past its blocking record; the record becomes a dead letter."""
    found = await world.client.skip_record(
        name, body.partition, body.offset, reason=body.reason, by=caller.name
    )
    return caller.answer(found, 202)


def _shown(caller: TheCaller, found: BindingState) -> dict[str, object]:
    counts = {"lag": found.lag, "bad_records": found.bad_records, "stopped": found.stopped}
    return {**found._asdict(), **counts}
