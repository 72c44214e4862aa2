"""Acts on all runs of a filter: counted first, then a job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, assert_never

from fastapi import APIRouter, Path
from fastapi.responses import Response

from stream_durable.api.bodies import JobBody
from stream_durable.api.callers import TheCaller
from stream_durable.api.jobs import JobState
from stream_durable.api.keys import IdempotencyKey, derived
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model, shape
from stream_durable.api.world import TheWorld
from stream_durable.client import AsyncClient, RunCount

router = APIRouter(prefix="/jobs", tags=["jobs"], responses=documented(400, 401, 403, 404, 422, 429, 503))

JobId = Annotated[str, Path(max_length=200, description="The id of the job.")]
JobList = model("JobList", jobs=many(JobState))


@router.get("", response_model=JobList)
async def list_jobs(world: TheWorld, caller: TheCaller) -> Response:
    """List the jobs of this process, the latest first."""
    return caller.answer({"jobs": world.jobs.all()})


@router.post("", response_model=shape(JobState), status_code=202, responses={200: {"model": shape(RunCount)}})
async def begin_job(
    world: TheWorld, caller: TheCaller, body: JobBody, key: IdempotencyKey = None
) -> Response:
    """Ask all matching runs for something, or with `dry_run` only count them."""
    if body.filter.input_text is not None:
        caller.check_sight("a search through inputs")
    found = await world.client.count(body.filter.filter(), at_most=100_000)
    if body.dry_run:
        return caller.answer(found)
    name = None if key is None else derived(key, caller, f"job {body.act}")
    job = world.jobs.begin(
        body.act, lambda progress: _act(world.client, body, caller.name, progress), found=found.found,
        is_exact=found.is_exact, by=caller.name, reason=body.reason, id=name,
    )  # fmt: skip
    return caller.answer(job, 202)


@router.get("/{job}", response_model=shape(JobState))
async def get_job(world: TheWorld, caller: TheCaller, job: JobId) -> Response:
    """Return where a job stands."""
    return caller.answer(world.jobs.state(job))


@router.delete("/{job}", response_model=shape(JobState))
async def stop_job(world: TheWorld, caller: TheCaller, job: JobId) -> Response:
    """Stop a job; requests sent so far stay."""
    return caller.answer(await world.jobs.stop(job))


async def _act(client: AsyncClient, body: JobBody, by: str, progress: Callable[[int], None]) -> int:
    which = body.filter.filter()
    match body.act:
        case "cancel":
            return await client.cancel_all(
                which, body.reason, compensate=body.compensate, by=by, progress=progress
            )
        case "pause":
            return await client.pause_all(which, body.reason, by=by, progress=progress)
        case "resume":
            return await client.resume_all(which, progress=progress)
        case "retry":
            return await client.retry_all(which, whole=body.whole, progress=progress)
        case _:
            assert_never(body.act)
