"""Dead records: listed, shown, and given again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.bodies import MayReason, RedriveBody, why
from stream_durable.api.callers import TheCaller
from stream_durable.api.conditions import DeadPage
from stream_durable.api.keys import IdempotencyKey, derived
from stream_durable.api.operations import OperationState
from stream_durable.api.places import RecordId
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, shape
from stream_durable.api.shown import plain
from stream_durable.api.world import TheWorld
from stream_durable.client import DeadRecord, DeadRecords, RecordHeader, Redriven, RedrivenRecord
from stream_durable.core.errors import RejectedError

router = APIRouter(prefix="/dead", tags=["instance"], responses=documented(400, 401, 403, 404, 422, 503))

_Whole = shape(
    DeadRecord, "DeadWhole", headers=many(RecordHeader), value=str | None, remedy=str, can_redrive=bool
)


@router.get("", response_model=shape(DeadRecords))
async def list_dead(world: TheWorld, caller: TheCaller, which: Annotated[DeadPage, Query()]) -> Response:
    """List the records impossible to apply, newest first."""
    caller.check_sight(which.asks_payloads)
    return caller.answer(
        await world.client.dead_records(which.filter(), limit=which.limit, after=which.after)
    )


@router.get("/{record}", response_model=_Whole)
async def get_dead(world: TheWorld, caller: TheCaller, record: RecordId) -> Response:
    """Return such a record whole, with a remedy."""
    found = await world.client.dead_record(record)
    shown: dict[str, Any] = plain(found.record, may_see=caller.may_see_payloads)
    return caller.answer(
        shown
        | {"headers": found.headers, "value": caller.payload(found.value)}
        | {"remedy": found.remedy, "can_redrive": found.can_redrive}
    )


@router.post(
    "/redrive", response_model=shape(OperationState), status_code=202,
    responses={200: {"model": shape(Redriven)}, **documented(429)},
)  # fmt: skip
async def redrive_many(
    world: TheWorld, caller: TheCaller, body: RedriveBody, key: IdempotencyKey = None
) -> Response:
    """Give all matching records again, each once, or with `preview` only count them."""
    which, client = body.filter, world.client
    caller.check_sight(which.asks_payloads)
    if body.preview:
        return caller.answer(await client.redrive_records(which.filter(), at_most=body.at_most, preview=True))

    async def give(progress: Callable[[int], None]) -> int:
        done = await client.redrive_records(
            which.filter(), at_most=body.at_most, reason=body.reason, by=caller.name, progress=progress
        )
        return done.told

    operation = world.operations.begin(
        "redrive", give, found=body.at_most, is_exact=False, by=caller.name, reason=body.reason,
        subject="dead records", id=None if key is None else derived(key, caller, "redrive records"),
    )  # fmt: skip
    return caller.answer(operation, 202)


@router.post(
    "/{record}/redrive", response_model=shape(RedrivenRecord), status_code=202, responses=documented(409)
)
async def redrive_dead(
    world: TheWorld, caller: TheCaller, record: RecordId, body: MayReason = None
) -> Response:
    """Give such a record again, unless somebody did; one still impossible to apply is a new dead record."""
    try:
        found = await world.client.redrive_record(record, reason=why(body), by=caller.name)
    except RejectedError as error:
        if error.code != "not_redrivable" or caller.may_see_payloads:
            raise
        # What refuses a record quotes it.
        text = f"record {record} cannot be given again, and why is hidden from this token"
        raise RejectedError(error.code, f"{text}: ask with one that may see payloads") from None
    return caller.answer(found, 202)
