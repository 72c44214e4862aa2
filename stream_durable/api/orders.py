"""Starts and requests to runs: acknowledged on the log with the answer, and applied in turn."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from stream_durable.api.bodies import (
    CancelBody,
    ChangeBody,
    CompleteBody,
    FailBody,
    MayStartAgain,
    Ordered,
    ReasonBody,
    ResumeBody,
    RetryBody,
    SignalBody,
    StartAgainBody,
    StartBody,
    ordered,
)
from stream_durable.api.callers import TheCaller
from stream_durable.api.keys import IdempotencyKey, derived
from stream_durable.api.places import RunId, SignalName, StepName
from stream_durable.api.problems import documented
from stream_durable.api.shapes import model
from stream_durable.api.world import TheWorld
from stream_durable.wire.starts import attributes_in

router = APIRouter(prefix="/runs", tags=["runs"], responses=documented(400, 401, 403, 404, 409, 422, 503))

Started = model("Started", id=str, created=bool)


@router.post("", response_model=Started, status_code=201)
async def start_run(
    world: TheWorld, caller: TheCaller, body: StartBody, key: IdempotencyKey = None
) -> Response:
    """Start a run; `created` is false for an id, or a key, of an earlier start.

    With `signal` the run is given a signal too, also if it exists.
    """
    run = body.id or (None if key is None else derived(key, caller, f"start {body.workflow}"))
    handle = await world.client.start(
        body.workflow, body.input, id=run, tags=body.tags, metadata=body.metadata, queue=body.queue,
        priority=body.priority, at=body.at, after=body.after, timeout=body.timeout, due=body.due,
        attributes=attributes_in(body.attributes),
        signal=None if body.signal is None else (body.signal, body.signal_data), signal_id=body.signal_id,
        signal_by=caller.name, signal_ttl=body.signal_ttl,
    )  # fmt: skip
    return caller.answer({"id": handle.id, "created": handle.created}, 201 if handle.created else 200)


@router.post("/{run}/start-again", response_model=Started, status_code=201)
async def start_again(
    world: TheWorld, caller: TheCaller, run: RunId, body: MayStartAgain = None, key: IdempotencyKey = None
) -> Response:
    """Start another run with the same input, or another one, and the latest version of the workflow."""
    given = StartAgainBody() if body is None else body
    named = given.id or (None if key is None else derived(key, caller, f"start again {run}"))
    handle = await world.client.run(run).start_again(id=named, **given.options())
    return caller.answer({"id": handle.id, "created": handle.created}, 201 if handle.created else 200)


@router.post("/{run}/cancel", response_model=Ordered, status_code=202)
async def cancel_run(
    world: TheWorld, caller: TheCaller, run: RunId, body: CancelBody, key: IdempotencyKey = None
) -> Response:
    """Ask for the end of a run."""
    await world.known(run)
    order = await world.client.run(run).cancel(
        body.reason, compensate=body.compensate, by=caller.name, id=derived(key, caller, f"cancel {run}")
    )
    return ordered(caller, order)


@router.post("/{run}/review", response_model=Ordered, status_code=202)
async def mark_run_reviewed(
    world: TheWorld, caller: TheCaller, run: RunId, body: ReasonBody, key: IdempotencyKey = None
) -> Response:
    """Mark a failed run as looked at: it needs nobody any more, until it is retried."""
    await world.known(run)
    order = derived(key, caller, f"review {run}")
    return ordered(caller, await world.client.run(run).mark_reviewed(body.reason, by=caller.name, id=order))


@router.post("/{run}/pause", response_model=Ordered, status_code=202)
async def pause_run(
    world: TheWorld, caller: TheCaller, run: RunId, body: ReasonBody, key: IdempotencyKey = None
) -> Response:
    """Let no step begin until the run is resumed."""
    await world.known(run)
    order = derived(key, caller, f"pause {run}")
    return ordered(caller, await world.client.run(run).pause(body.reason, by=caller.name, id=order))


@router.post("/{run}/resume", response_model=Ordered, status_code=202)
async def resume_run(
    world: TheWorld, caller: TheCaller, run: RunId, body: ResumeBody, key: IdempotencyKey = None
) -> Response:
    """Let a paused run go on."""
    await world.known(run)
    order = await world.client.run(run).resume(
        body.reason, context=body.context, by=caller.name, id=derived(key, caller, f"resume {run}")
    )
    return ordered(caller, order)


@router.post("/{run}/retry", response_model=Ordered, status_code=202)
async def retry_run(
    world: TheWorld, caller: TheCaller, run: RunId, body: RetryBody, key: IdempotencyKey = None
) -> Response:
    """Retry steps in place, held ones too; answers once the retry has begun."""
    order = await world.client.run(run).retry(
        body.step, whole=body.whole, reason=body.reason, by=caller.name,
        id=derived(key, caller, f"retry {run}"),
    )  # fmt: skip
    return ordered(caller, order)


@router.post("/{run}/change", response_model=Ordered, status_code=202)
async def change_run(
    world: TheWorld, caller: TheCaller, run: RunId, body: ChangeBody, key: IdempotencyKey = None
) -> Response:
    """Change a run with held steps, before a decision."""
    order = await world.client.run(run).change(
        reason=body.reason, by=caller.name, id=derived(key, caller, f"change {run}"), **body.options()
    )
    return ordered(caller, order)


@router.post("/{run}/steps/{step}/cancel", response_model=Ordered, status_code=202)
async def cancel_step(
    world: TheWorld, caller: TheCaller, run: RunId, step: StepName, body: ReasonBody,
    key: IdempotencyKey = None,
) -> Response:  # fmt: skip
    """Cancel a step and everything after."""
    order = derived(key, caller, f"cancel {run} {step}")
    handle = world.client.run(run)
    return ordered(caller, await handle.cancel_step(step, body.reason, by=caller.name, id=order))


@router.post("/{run}/steps/{step}/skip", response_model=Ordered, status_code=202)
async def skip_step(
    world: TheWorld, caller: TheCaller, run: RunId, step: StepName, body: ReasonBody,
    key: IdempotencyKey = None,
) -> Response:  # fmt: skip
    """End a step, held or not, as skipped; later steps go on without its output."""
    order = derived(key, caller, f"skip {run} {step}")
    handle = world.client.run(run)
    return ordered(caller, await handle.skip_step(step, body.reason, by=caller.name, id=order))


@router.post("/{run}/steps/{step}/complete", response_model=Ordered, status_code=202)
async def complete_step(
    world: TheWorld, caller: TheCaller, run: RunId, step: StepName, body: CompleteBody,
    key: IdempotencyKey = None,
) -> Response:  # fmt: skip
    """Complete a held step, or a step ended from outside."""
    order = await world.client.run(run).complete_step(
        step, body.output, reason=body.reason, by=caller.name,
        id=derived(key, caller, f"complete {run} {step}"),
    )  # fmt: skip
    return ordered(caller, order)


@router.post("/{run}/steps/{step}/fail", response_model=Ordered, status_code=202)
async def fail_step(
    world: TheWorld, caller: TheCaller, run: RunId, step: StepName, body: FailBody,
    key: IdempotencyKey = None,
) -> Response:  # fmt: skip
    """Fail a held step, without `error` as before it was held, or a step ended from outside."""
    order = await world.client.run(run).fail_step(
        step, body.error, reason=body.reason, by=caller.name, id=derived(key, caller, f"fail {run} {step}")
    )
    return ordered(caller, order)


@router.post("/{run}/signals/{signal}", response_model=Ordered, status_code=202)
async def signal_run(
    world: TheWorld, caller: TheCaller, run: RunId, signal: SignalName, body: SignalBody,
    key: IdempotencyKey = None,
) -> Response:  # fmt: skip
    """Send a run a signal."""
    await world.known(run)
    given = body.id or derived(key, caller, f"signal {run} {signal}")
    await world.client.run(run).signal(
        signal, body.data, id=given, ttl=body.ttl, by=caller.name, at=body.at, after=body.after
    )
    return ordered(caller, given)
