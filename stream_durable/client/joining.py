"""Starts a run and gives it a signal by one message, or gives the signal alone to the run that exists."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from stream_durable.client.early import Found, awaited
from stream_durable.client.edge import Edge
from stream_durable.client.inquiries import Inquiry, asked, check_inquiry
from stream_durable.client.run import RunHandle
from stream_durable.client.starting import check_workflow
from stream_durable.core.lifecycle import RunEvent
from stream_durable.core.messages import StartRun, StartWithSignal
from stream_durable.core.status import PENDING
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.sdk.given import drawn


async def ask_started(
    edge: Edge,
    run: str,
    name: str,
    data: Any,
    start: StartRun,
    timeout: Duration | None,  # noqa: ASYNC109 - the contract
    inquiry_id: str | None,
) -> Any:
    """Start a run unless it exists, ask it something, and return the answer."""
    body = edge.values.plain(data, f"what is asked of {name!r}")
    inquiry = Inquiry(run, name, inquiry_id or drawn(), body)
    graph = edge.ports.catalogue.graph(start.fingerprint)
    assert graph is not None, "a start is resolved to a known definition"
    check_inquiry(edge, graph, inquiry)
    edge.check(start)
    handle: RunHandle[Any] = RunHandle(edge, run, created=True)
    if graph.definition.gate is None and graph.definition.starts is None:
        return await asked(edge, inquiry, [start], handle._stored, timeout)
    # It may have to wait before it begins, and answers nothing until then.
    await edge.send(start, f"start run {run!r}")
    left = await _has_begun(edge, handle, timeout)
    return await handle.ask(name, data, timeout=left, id=inquiry.id)


async def _has_begun(
    edge: Edge,
    handle: RunHandle[Any],
    timeout: Duration | None,  # noqa: ASYNC109
) -> timedelta | None:
    """Wait until a run is no longer pending; return what is left of the time."""
    clock = asyncio.get_running_loop().time
    seconds = None if timeout is None else milliseconds(timeout) / 1_000
    begin = clock()

    async def look() -> Found | None:
        row = (await handle._stored()).run
        return None if row.status == PENDING else Found(None)

    try:
        await awaited(edge, handle.id, look, lambda event: isinstance(event, RunEvent), seconds)
    except TimeoutError:
        text = f"run {handle.id!r} has not begun within {timeout}, and was asked nothing"
        raise TimeoutError(f"{text}: ask again; `why` says what it waits for") from None
    return None if seconds is None else timedelta(seconds=max(0.001, seconds + begin - clock()))


async def start_with_signal(edge: Edge, message: StartWithSignal, output_type: Any) -> RunHandle[Any]:
    """Publish the message, and return when the run exists; refused for a run of another workflow."""
    run, views, created = message.key, edge.ports.views, False
    edge.check(message)
    # Followed first, then looked at: a start between the two is seen twice rather than missed.
    async with edge.live(run) as events:
        row = await edge.ask(lambda: views.run_get(run), f"read run {run!r}")
        if row is not None:
            check_workflow(row, message)
        await edge.send(message, f"start run {run!r}")
        if row is None:
            created = (await RunHandle(edge, run).begun(events)).cause == message.id
            row = await edge.ask(lambda: views.run_get(run), f"read run {run!r}")
    assert row is not None, "a run is committed before it is spoken of"
    check_workflow(row, message)
    return RunHandle(edge, run, created=created, output_type=output_type)
