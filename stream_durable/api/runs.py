"""Lists of runs, one run, and its details."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.callers import TheCaller, as_json
from stream_durable.api.conditions import RunCounting, RunPage, Zone, clocks
from stream_durable.api.drawn import Drawn, drawn_graph, shown_run
from stream_durable.api.places import RunId
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model, of, shape
from stream_durable.api.world import TheWorld, World
from stream_durable.client import (
    AttemptState,
    Happening,
    RunCount,
    RunEntry,
    RunFailed,
    RunList,
    RunState,
    RunStatuses,
    StepState,
)
from stream_durable.client.errors import RunCancelled
from stream_durable.client.state import state_of
from stream_durable.client.stored import graph_of, with_large_values
from stream_durable.core.definition.graph import Graph
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.run.rows import thaw_run
from stream_durable.explain.explained import Explanation
from stream_durable.explain.reason import Word
from stream_durable.sdk.given import run_id

router = APIRouter(prefix="/runs", tags=["runs"], responses=documented(400, 401, 403, 404, 422, 503))

#: Longer waits are cut by proxies on the way.
WAIT_SECONDS_MAX = 60

StepShown = shape(StepState, "StepShown", kind=str, owner=str | None, after=list[str], members=list[str])
RunShown = shape(
    RunState, "RunShown", word=Word, steps=many(StepShown), helpers=many(StepShown), current=list[str],
    answers=list[str],
)  # fmt: skip
Attempts = model("Attempts", attempts=many(AttemptState))
History = model("History", happenings=many(Happening))
FamilyShown = model("FamilyShown", runs=many(RunEntry), is_whole=bool)
Result = model("Result", has_ended=bool, status=str, output=Any, failure=of(Failure | None))


@router.get("", response_model=shape(RunList))
async def list_runs(world: TheWorld, caller: TheCaller, which: Annotated[RunPage, Query()]) -> Response:
    """List runs, newest first unless sorted otherwise."""
    caller.check_sight(which.asks_payloads)
    found = await world.client.list(which.filter(), limit=which.limit, after=which.after, sort=which.sort)
    return caller.answer(found)


@router.get("/count", response_model=shape(RunCount))
async def count_runs(world: TheWorld, caller: TheCaller, which: Annotated[RunCounting, Query()]) -> Response:
    """Count runs, exactly up to `at_most`."""
    caller.check_sight(which.asks_payloads)
    return caller.answer(await world.client.count(which.filter(), at_most=which.at_most))


@router.get("/statuses", response_model=shape(RunStatuses))
async def count_by_status(
    world: TheWorld, caller: TheCaller, which: Annotated[RunCounting, Query()]
) -> Response:
    """Count runs by status, exactly up to `at_most` in all."""
    caller.check_sight(which.asks_payloads)
    return caller.answer(await world.client.statuses(which.filter(), at_most=which.at_most))


@router.get("/{run}", response_model=RunShown)
async def get_run(world: TheWorld, caller: TheCaller, run: RunId) -> Response:
    """Return a run with all steps, in the order of the definition."""
    state, graph = await _read(world, run)
    return as_json(await shown_run(state, graph, may_see=caller.may_see_payloads))


@router.get("/{run}/why", response_model=shape(Explanation))
async def explain(
    world: TheWorld,
    caller: TheCaller,
    run: RunId,
    step: Annotated[str | None, Query(max_length=1_000)] = None,
    zone: Zone = "UTC",
) -> Response:
    """Explain why a run, or a step of it, is not moving."""
    return caller.answer(await world.client.run(run).why(step, zone=clocks(zone)))


@router.get("/{run}/graph", response_model=shape(Drawn))
async def get_graph(world: TheWorld, caller: TheCaller, run: RunId) -> Response:
    """Return the steps of a run as nodes, each with its layer, and the edges between them."""
    return caller.answer(drawn_graph(*await _read(world, run)))


@router.get("/{run}/attempts", response_model=Attempts)
async def list_attempts(
    world: TheWorld,
    caller: TheCaller,
    run: RunId,
    step: Annotated[str | None, Query(max_length=1_000)] = None,
) -> Response:
    """Return the attempts of the steps, oldest first, with failures and log lines."""
    return caller.answer({"attempts": await world.client.run(run).attempts(step)})


@router.get("/{run}/history", response_model=History)
async def get_history(world: TheWorld, caller: TheCaller, run: RunId, *, evidence: bool = False) -> Response:
    """Return the history of a run, oldest first; with `evidence` also messages without effect."""
    return caller.answer({"happenings": await world.client.history(run, evidence=evidence)})


@router.get("/{run}/family", response_model=FamilyShown)
async def get_family(
    world: TheWorld, caller: TheCaller, run: RunId, limit: Annotated[int, Query(ge=1, le=1_000)] = 1_000
) -> Response:
    """Return all runs with the same first ancestor, the ancestor first."""
    family = await world.client.run(run).family(limit=limit)
    found, left = [], [family.first]
    while left:
        member = left.pop()
        found.append(member.run)
        left += reversed(member.children)
    return caller.answer({"runs": found, "is_whole": family.is_whole})


@router.get("/{run}/result", response_model=Result)
async def get_result(
    world: TheWorld,
    caller: TheCaller,
    run: RunId,
    wait: Annotated[int, Query(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait for the end.")] = 0,
) -> Response:
    """Return the output of a run; 202 while the run goes on after `wait` seconds."""
    handle = world.client.run(run)
    status, failure, output = "completed", None, None
    try:
        async with asyncio.timeout(wait or 0.001):
            output = await handle.result()
    except TimeoutError:
        state = await handle.state()
        if state.ended is None:
            found = {"has_ended": False, "status": state.status, "output": None, "failure": None}
            return caller.answer(found, HTTPStatus.ACCEPTED)
        status, failure, output = state.status, state.failure, state.output
    except (RunFailed, RunCancelled) as error:
        status, failure = error.status, error.failure
    shown = caller.payload(output)
    return caller.answer({"has_ended": True, "status": status, "output": shown, "failure": failure})


async def _read(world: World, run: str) -> tuple[RunState, Graph]:
    """Return a run with its present graph."""
    edge, views = world.edge, world.ports.views
    stored = await edge.ask(lambda: views.run_with_steps(run_id(run)), f"read run {run!r}")
    if stored is None:
        raise RejectedError("unknown_run", f"there is no run {run[:128]!r}: check the id")
    graph = await graph_of(edge, stored.run)
    stored = await with_large_values(edge, stored)
    thawed = thaw_run(stored.run, stored.steps, graph)
    # Its graph has the steps that were added at run time, too: they are in no definition.
    return await edge.ask(lambda: state_of(views, stored, thawed), f"read run {run!r}"), thawed.graph
