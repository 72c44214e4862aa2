"""Records that could not be applied: listed, shown, and given again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.bodies import MayReason, why
from stream_durable.api.callers import TheCaller
from stream_durable.api.conditions import DeadPage
from stream_durable.api.places import RecordId
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, shape
from stream_durable.api.shown import plain
from stream_durable.api.world import TheWorld
from stream_durable.client import DeadRecord, DeadRecords, RecordHeader, RedrivenRecord

router = APIRouter(prefix="/dead", tags=["instance"], responses=documented(400, 401, 403, 404, 422, 503))

_Whole = shape(
    DeadRecord, "DeadWhole", headers=many(RecordHeader), value=str | None, remedy=str, can_redrive=bool
)


@router.get("", response_model=shape(DeadRecords))
async def list_dead(world: TheWorld, caller: TheCaller, which: Annotated[DeadPage, Query()]) -> Response:
    """List the records that could not be applied, newest first."""
    caller.check_sight(which.asks_payloads)
    return caller.answer(
        await world.client.dead_records(which.filter(), limit=which.limit, after=which.after)
    )


@router.get("/{record}", response_model=_Whole)
async def get_dead(world: TheWorld, caller: TheCaller, record: RecordId) -> Response:
    """Return such a record whole, with what may help."""
    found = await world.client.dead_record(record)
    shown: dict[str, Any] = plain(found.record, may_see=caller.may_see_payloads)
    return caller.answer(
        shown
        | {"headers": found.headers, "value": caller.payload(found.value)}
        | {"remedy": found.remedy, "can_redrive": found.can_redrive}
    )


@router.post(
    "/{record}/redrive", response_model=shape(RedrivenRecord), status_code=202, responses=documented(409)
)
async def redrive_dead(
    world: TheWorld, caller: TheCaller, record: RecordId, body: MayReason = None
) -> Response:
    """Give such a record again, unless somebody did; one still impossible to apply is a new dead record."""
    found = await world.client.redrive_record(record, reason=why(body), by=caller.name)
    return caller.answer(found, 202)
