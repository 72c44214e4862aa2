"""Where the commands of a run go."""

from __future__ import annotations

from stream_durable.core.definition.nodes import StepNode
from stream_durable.core.lanes import first_lane, part_for
from stream_durable.core.run.state import Run


def queue_of(run: Run, function: StepNode) -> str:
    """Return the queue for a function: the run's, unless the function names another."""
    return run.queue if run.queue is not None and function.queue == "default" else function.queue


def queue_at(run: Run, i: int) -> str:
    """Return the queue of a step's commands."""
    work = run.graph.work[i]
    return run.queue or "default" if work is None else queue_of(run, work)


def lane_of(run: Run, i: int, attempt: int) -> str:
    """Return the lane for an attempt of a step: by priority, and first for what a run begins with.

    The lane of an attempt never changes, so that a cancellation follows on the same one.
    """
    graph = run.graph
    node = graph.work[i]
    assert node is not None
    queue = queue_of(run, node)
    if graph.laned and queue in graph.laned:
        queue = part_for(queue, run.priority if node.priority is None else node.priority)
    if run.has_lanes and attempt == 1 and i < graph.definition_size and not graph.need[i]:
        return first_lane(queue)
    return queue
