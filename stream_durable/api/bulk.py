"""Acts on all runs of a filter: counted first, then an operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, assert_never

from fastapi import APIRouter, Path
from fastapi.responses import Response

from stream_durable.api.bodies import OperationBody
from stream_durable.api.callers import TheCaller
from stream_durable.api.keys import IdempotencyKey, derived
from stream_durable.api.operations import OperationState
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model, shape
from stream_durable.api.world import TheWorld
from stream_durable.client import AsyncClient, RunCount

router = APIRouter(
    prefix="/operations", tags=["operations"], responses=documented(400, 401, 403, 404, 422, 429, 503)
)

OperationId = Annotated[str, Path(max_length=200, description="The id of the operation.")]
OperationList = model("OperationList", operations=many(OperationState))


@router.get("", response_model=OperationList)
async def list_operations(world: TheWorld, caller: TheCaller) -> Response:
    """List the operations of this process, the latest first."""
    return caller.answer({"operations": world.operations.all()})


@router.post(
    "", response_model=shape(OperationState), status_code=202, responses={200: {"model": shape(RunCount)}}
)
async def begin_operation(
    world: TheWorld, caller: TheCaller, body: OperationBody, key: IdempotencyKey = None
) -> Response:
    """Ask all matching runs for something, or with `dry_run` only count them.

    For an act on steps the runs with such a step are counted, among the first 500 that match.
    """
    caller.check_sight(body.filter.asks_payloads)
    if body.verb is None:
        found = await world.client.count(body.filter.filter(), at_most=100_000)
    else:
        reached = await world.client.find_steps(body.verb, body.filter.filter(), body.step, value=body.output)
        found = RunCount(len(reached.runs), reached.is_exact)
    if body.dry_run:
        return caller.answer(found)
    name = None if key is None else derived(key, caller, f"operation {body.act}")
    operation = world.operations.begin(
        body.act, lambda progress: _act(world.client, body, caller.name, progress), found=found.found,
        is_exact=found.is_exact, by=caller.name, reason=body.reason, id=name,
    )  # fmt: skip
    return caller.answer(operation, 202)


@router.get("/{operation}", response_model=shape(OperationState))
async def get_operation(world: TheWorld, caller: TheCaller, operation: OperationId) -> Response:
    """Return where an operation stands."""
    return caller.answer(world.operations.state(operation))


@router.delete("/{operation}", response_model=shape(OperationState))
async def stop_operation(world: TheWorld, caller: TheCaller, operation: OperationId) -> Response:
    """Stop an operation; requests sent so far stay."""
    return caller.answer(await world.operations.stop(operation))


async def _act(client: AsyncClient, body: OperationBody, by: str, progress: Callable[[int], None]) -> int:
    which = body.filter.filter()
    match body.act:
        case "cancel":
            return await client.cancel_all(
                which, body.reason, compensate=body.compensate, step=body.step, by=by, progress=progress
            )
        case "pause":
            return await client.pause_all(which, body.reason, by=by, progress=progress)
        case "resume":
            return await client.resume_all(which, body.reason, context=body.context, by=by, progress=progress)
        case "retry":
            return await client.retry_all(
                which, whole=body.whole, step=body.step, reason=body.reason, by=by, progress=progress
            )
        case "review":
            return await client.mark_all_reviewed(which, body.reason, by=by, progress=progress)
        case "skip":
            return await client.skip_all(which, body.step, body.reason, by=by, progress=progress)
        case "complete":
            step = body.step or ""
            return await client.complete_all(which, step, body.output, body.reason, by=by, progress=progress)
        case "fail":
            return await client.fail_all(which, body.step, body.error, body.reason, by=by, progress=progress)
        case _:
            assert_never(body.act)
