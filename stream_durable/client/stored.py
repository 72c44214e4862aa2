"""What goes with a stored run: its graph, and the large values that its rows refer to."""

from __future__ import annotations

from stream_durable.client.edge import Edge
from stream_durable.core.definition.graph import Graph
from stream_durable.core.errors import RejectedError
from stream_durable.core.reference import MARK
from stream_durable.core.run.rows import RunRow
from stream_durable.payloads import PayloadLostError
from stream_durable.ports import StoredRun


async def graph_of(edge: Edge, row: RunRow) -> Graph:
    """Return the graph that a run was started with; raises `RejectedError` where it is not on its topic."""
    catalogue = edge.ports.catalogue
    if catalogue.graph(row.fingerprint) is None:
        await edge.ask(catalogue.catch_up, "read the definitions")
    graph = catalogue.graph(row.fingerprint)
    if graph is None:
        raise RejectedError(
            "unknown_workflow",
            f"run {row.id!r} was started with definition {row.fingerprint} of workflow "
            f"{row.workflow!r}, which is not on the topic of definitions: start a worker with it",
        )
    return graph


async def with_large_values(edge: Edge, stored: StoredRun) -> StoredRun:
    """Return the rows with large values in place of references; a lost value stays a reference."""
    run = stored.run._replace(output=await _value(edge, stored.run.output))
    steps = [
        step if step.output is None or MARK not in step.output
        else step._replace(output=await _value(edge, step.output))
        for step in stored.steps
    ]  # fmt: skip
    return stored._replace(run=run, steps=steps)


async def _value(edge: Edge, data: bytes | None) -> bytes | None:
    try:
        return None if data is None else await edge.resolved(data)
    except PayloadLostError:
        return data
