"""Starts a run and gives it a signal by one message, or gives the signal alone to the run that exists."""

from __future__ import annotations

from typing import Any

from stream_durable.client.edge import Edge
from stream_durable.client.inquiries import Inquiry, asked, check_inquiry
from stream_durable.client.run import RunHandle
from stream_durable.client.starting import check_workflow
from stream_durable.core.messages import StartRun, StartWithSignal
from stream_durable.sdk.durations import Duration
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
    return await asked(edge, inquiry, [start], handle._stored, timeout)


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
