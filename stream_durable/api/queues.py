"""Queues and their workers, and the processes of all kinds."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter
from fastapi.responses import Response

from stream_durable.api.bodies import DrainBody, MayReason, Ordered, ReasonBody, ordered, why
from stream_durable.api.callers import TheCaller
from stream_durable.api.places import Name
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model
from stream_durable.api.world import TheWorld
from stream_durable.client.processes import ProcessState
from stream_durable.client.queues import QueueState, WorkerState

router = APIRouter(tags=["queues"], responses=documented(400, 401, 403, 404, 422, 503))

Queues = model("Queues", queues=many(QueueState))
Drained = model("Drained", is_drained=bool, running=int)
Workers = model("Workers", workers=many(WorkerState))
Processes = model("Processes", processes=many(ProcessState))


@router.get("/queues", response_model=Queues)
async def list_queues(world: TheWorld, caller: TheCaller) -> Response:
    """List the served and the paused queues."""
    return caller.answer({"queues": await world.client.queues()})


@router.post("/queues/{name}/pause", response_model=Ordered, status_code=202)
async def pause_queue(world: TheWorld, caller: TheCaller, name: Name, body: ReasonBody) -> Response:
    """Let workers begin nothing from a queue until it is resumed."""
    await world.client.pause_queue(name, reason=body.reason, by=caller.name)
    return ordered(caller, name)


@router.post("/queues/{name}/drain", response_model=Drained, status_code=200)
async def drain_queue(world: TheWorld, caller: TheCaller, name: Name, body: DrainBody) -> Response:
    """Pause a queue, and wait until no attempt of it is under way; 202 if some are left after `wait` seconds.

    The same request again waits on; the queue stays paused.
    """
    left = 0

    def note(running: int) -> None:
        nonlocal left
        left = running

    try:
        await world.client.drain_queue(
            name, timeout=f"{body.wait}s", reason=body.reason, by=caller.name, progress=note
        )
    except TimeoutError:
        return caller.answer({"is_drained": False, "running": left}, HTTPStatus.ACCEPTED)
    return caller.answer({"is_drained": True, "running": 0})


@router.post("/queues/{name}/resume", response_model=Ordered, status_code=202)
async def resume_queue(world: TheWorld, caller: TheCaller, name: Name, body: MayReason = None) -> Response:
    """Let workers serve a queue again."""
    await world.client.resume_queue(name, reason=why(body), by=caller.name)
    return ordered(caller, name)


@router.get("/workers", response_model=Workers)
async def list_workers(world: TheWorld, caller: TheCaller) -> Response:
    """List the workers with load, and workers killed within the last day."""
    return caller.answer({"workers": await world.client.workers()})


@router.get("/processes", response_model=Processes)
async def list_processes(world: TheWorld, caller: TheCaller) -> Response:
    """List the processes of all kinds with release and format, and processes killed within the last day."""
    return caller.answer({"processes": await world.client.processes()})
