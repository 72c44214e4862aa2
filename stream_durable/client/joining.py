"""Starts a run and gives it a signal by one message, or gives the signal alone to the run that exists."""

from __future__ import annotations

from typing import Any

from stream_durable.client.edge import Edge
from stream_durable.client.run import RunHandle
from stream_durable.client.starting import check_workflow
from stream_durable.core.messages import StartWithSignal


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
