"""Answers while a run goes on: the output of a step, or a value of the run, as soon as there is one.

The state is read once. If what is wanted is not there, the public events of the run are followed, and the
state is read again after each one that may have changed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from stream_durable.client.edge import Edge
from stream_durable.client.errors import NoOutput
from stream_durable.client.orders import check_step
from stream_durable.client.stored import graph_of
from stream_durable.core.definition.paths import read_path, root_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.lifecycle import RunEvent, StepEvent
from stream_durable.core.run.rows import input_of, thaw_requests, thaw_run
from stream_durable.core.run.state import Run
from stream_durable.core.run.values import output_of
from stream_durable.core.status import COMPENSATED, COMPLETED, PENDING, STEP_ENDED
from stream_durable.ports import StoredRun

Stored = Callable[[], Awaitable[StoredRun]]


class Found(NamedTuple):
    """A value that is there, None too."""

    value: Any


async def output_of_step(edge: Edge, run: str, stored: Stored, step: str, seconds: float | None) -> Any:
    """Return the output of a step once it has completed; raises `NoOutput` if it ends otherwise."""

    async def look() -> Found | None:
        data = _output(await _thawed(edge, await stored()), step)
        return None if data is None else Found(msgspec.json.decode(await edge.resolved(data)))

    return await awaited(
        edge, run, look, lambda event: isinstance(event, RunEvent) or event.step == step, seconds
    )


async def value_at_path(edge: Edge, run: str, stored: Stored, path: str, seconds: float | None) -> Any:
    """Return the value at a path into the input, the context or the output of a step, once it is there."""
    root = root_of(path)
    if not all(path.split(".")):
        raise RejectedError("bad_path", f"{path!r} is no path: write one such as charge.amount")
    if root not in ("input", "context"):
        return read_path(path, await output_of_step(edge, run, stored, root, seconds))

    async def look() -> Found | None:
        row = (await stored()).run
        if root == "input":
            data = input_of(row, thaw_requests(row.requests))
            return Found(read_path(path, msgspec.json.decode(data)))
        try:
            return Found(read_path(path, msgspec.json.decode(row.context or b"{}")))
        except RejectedError:
            if row.ended is not None:
                raise
            return None

    return await awaited(edge, run, look, lambda event: True, seconds)


async def awaited(
    edge: Edge,
    run: str,
    look: Callable[[], Awaitable[Found | None]],
    matters: Callable[[RunEvent | StepEvent], bool],
    seconds: float | None,
) -> Any:
    """Return what a look finds, now or after one of the events that matter; raises `TimeoutError`."""
    found = await look()
    if found is not None:
        return found.value
    # Followed first, then looked at: a change between the two is seen twice rather than missed.
    async with asyncio.timeout(seconds), edge.coming(run) as events:
        found = await look()
        while found is None:
            event = await anext(events)
            if event is not None and matters(event):
                found = await look()
    return found.value


async def _thawed(edge: Edge, stored: StoredRun) -> Run:
    return thaw_run(stored.run, stored.steps, await graph_of(edge, stored.run))


def _output(run: Run, name: str) -> bytes | None:
    """Return the output of a step, None while it has not ended; raises for one that can have none."""
    i = run.graph.index.get(name)
    if i is None:
        if run.ended is None and "[" in name:
            # One that is made at run time may still come.
            return None
        check_step(run, name)
        return None
    step = run.steps.get(i)
    status = PENDING if step is None else step.status
    if status in (COMPLETED, COMPENSATED):
        return output_of(run, i) or b"null"
    if status in STEP_ENDED or run.ended is not None:
        raise NoOutput(run.id, name, status, None if step is None else step.failure)
    return None
