"""Questions to people, open and answered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.bodies import (
    AnswerAllBody,
    AnswerBody,
    AssignBody,
    CommentBody,
    Ordered,
    ordered,
)
from stream_durable.api.callers import TheCaller
from stream_durable.api.conditions import InputPage
from stream_durable.api.keys import IdempotencyKey, derived
from stream_durable.api.places import RunId, StepName
from stream_durable.api.problems import documented
from stream_durable.api.shapes import model, shape
from stream_durable.api.world import TheWorld
from stream_durable.client import InputList, Question
from stream_durable.core.errors import RejectedError

router = APIRouter(prefix="/inputs", tags=["inputs"], responses=documented(400, 401, 403, 404, 409, 422, 503))

Answered = model("Answered", answered=int)


@router.get("", response_model=shape(InputList))
async def list_inputs(world: TheWorld, caller: TheCaller, which: Annotated[InputPage, Query()]) -> Response:
    """List the open questions of all runs, the oldest first."""
    return caller.answer(await world.client.inputs(which.filter(), limit=which.limit, after=which.after))


@router.post("/answers", response_model=Answered)
async def answer_all(world: TheWorld, caller: TheCaller, body: AnswerAllBody) -> Response:
    """Answer all matching questions with the same answer; raises where the answer does not fit."""
    found = await world.client.answer_all(
        body.filter.filter(), body.answer, by=caller.name, comment=body.comment
    )
    return caller.answer({"answered": found})


@router.get("/{run}/{wait}", response_model=shape(Question))
async def get_input(world: TheWorld, caller: TheCaller, run: RunId, wait: StepName) -> Response:
    """Return a question, open or answered, with claims, comments and answers."""
    step = (await world.client.run(run).state()).steps.get(wait)
    if step is None or step.asked is None:
        text = f"step {wait[:128]!r} of run {run[:128]!r} has asked nothing: the list of inputs shows who has"
        raise RejectedError("unknown_input", text)
    return caller.answer(step.asked)


@router.post("/{run}/{wait}/answer", response_model=Ordered, status_code=202)
async def answer(
    world: TheWorld, caller: TheCaller, run: RunId, wait: StepName, body: AnswerBody,
    key: IdempotencyKey = None,
) -> Response:  # fmt: skip
    """Answer a question; the first fitting answer counts."""
    order = derived(key, caller, f"answer {run} {wait}")
    handle = world.client.run(run)
    return ordered(
        caller, await handle.answer(wait, body.answer, by=caller.name, comment=body.comment, id=order)
    )


@router.post("/{run}/{wait}/claim", response_model=Ordered, status_code=202)
async def claim(
    world: TheWorld, caller: TheCaller, run: RunId, wait: StepName, key: IdempotencyKey = None
) -> Response:
    """Take a question on."""
    order = derived(key, caller, f"claim {run} {wait}")
    return ordered(caller, await world.client.run(run).claim(wait, caller.name, id=order))


@router.post("/{run}/{wait}/assign", response_model=Ordered, status_code=202)
async def assign(
    world: TheWorld, caller: TheCaller, run: RunId, wait: StepName, body: AssignBody,
    key: IdempotencyKey = None,
) -> Response:  # fmt: skip
    """Hand a question over to somebody, or back to anybody."""
    handle = world.client.run(run)
    order = await handle.assign(
        wait, body.to, role=body.role, by=caller.name, comment=body.comment,
        id=derived(key, caller, f"assign {run} {wait}"),
    )  # fmt: skip
    return ordered(caller, order)


@router.post("/{run}/{wait}/comment", response_model=Ordered, status_code=202)
async def comment(
    world: TheWorld, caller: TheCaller, run: RunId, wait: StepName, body: CommentBody,
    key: IdempotencyKey = None,
) -> Response:  # fmt: skip
    """Note something beside a question."""
    order = derived(key, caller, f"comment {run} {wait}")
    return ordered(caller, await world.client.run(run).comment(wait, body.text, by=caller.name, id=order))
