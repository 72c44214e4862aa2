"""Answers of runs that go on: outputs of steps, values of runs, and answers to inquiries."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.bodies import AskBody
from stream_durable.api.callers import Caller, TheCaller
from stream_durable.api.keys import IdempotencyKey, derived
from stream_durable.api.places import Name, RunId, StepName
from stream_durable.api.problems import documented
from stream_durable.api.runs import WAIT_SECONDS_MAX
from stream_durable.api.shapes import model, of
from stream_durable.api.world import TheWorld
from stream_durable.client.errors import NoAnswer, NoOutput
from stream_durable.core.failure import Failure

router = APIRouter(prefix="/runs", tags=["runs"], responses=documented(400, 401, 403, 404, 422, 503))

#: Without a status it is still to come.
Early = model("Early", is_there=bool, status=str | None, value=Any, failure=of(Failure | None))

Wait = Annotated[int, Query(ge=0, le=WAIT_SECONDS_MAX, description="Seconds to wait for it.")]


@router.get("/{run}/steps/{step}/output", response_model=Early)
async def get_output(
    world: TheWorld, caller: TheCaller, run: RunId, step: StepName, wait: Wait = 0
) -> Response:
    """Return the output of a step while the run goes on; 202 while the step does after `wait` seconds."""
    return await _answered(caller, world.client.run(run).output(step, timeout=_timeout(wait)))


@router.get("/{run}/value", response_model=Early)
async def get_value(
    world: TheWorld,
    caller: TheCaller,
    run: RunId,
    path: Annotated[str, Query(max_length=1_000, description="Such as `charge.amount` or `context.total`.")],
    wait: Wait = 0,
) -> Response:
    """Return the value at a path while the run goes on; 202 while nothing is there after `wait` seconds."""
    return await _answered(caller, world.client.run(run).value(path, timeout=_timeout(wait)))


@router.post("/{run}/ask/{name}", response_model=Early)
async def ask_run(
    world: TheWorld, caller: TheCaller, run: RunId, name: Name, body: AskBody, key: IdempotencyKey = None
) -> Response:
    """Ask a run something that a function of the workflow answers; 202 without an answer in time.

    With `workflow` the run is started before, unless there is one of this id.
    """
    start = None if body.workflow is None else (body.workflow, body.input)
    given = body.id or derived(key, caller, f"ask {run} {name}")
    timeout = _timeout(body.wait)
    return await _answered(
        caller, world.client.ask(run, name, body.data, start=start, timeout=timeout, id=given)
    )


def _timeout(wait: int) -> timedelta:
    """Return how long a client waits; what is there already is found within the least time."""
    return timedelta(seconds=wait or 0.001)


async def _answered(caller: Caller, asked: Awaitable[Any]) -> Response:
    nothing = {"is_there": False, "status": None, "value": None, "failure": None}
    try:
        value = await asked
    except TimeoutError:
        return caller.answer(nothing, HTTPStatus.ACCEPTED)
    except (NoOutput, NoAnswer) as error:
        return caller.answer({**nothing, "status": error.status, "failure": error.failure})
    return caller.answer({**nothing, "is_there": True, "status": "completed", "value": caller.payload(value)})
