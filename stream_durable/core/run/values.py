"""Outputs of a run's steps as JSON; the output of a group is assembled from its members."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import msgspec

from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import (
    BranchNode,
    ChildNode,
    EachNode,
    EventNode,
    InputNode,
    ParallelNode,
    SignalNode,
    SleepNode,
    StepNode,
    TokenNode,
)
from stream_durable.core.failure import Failure
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import COMPENSATED, COMPLETED, FAILED, SKIPPED

_encode = msgspec.json.Encoder().encode

#: How deep lists of what members answered are handed on, where these have added members in turn.
LISTS_MAX = 200


def output_of(run: Run, i: int, depth: int = 0) -> bytes | None:
    """Return the output of a step; None for a skipped step, say, or an unfinished one.

    `depth` is the output's list depth; beyond the readable depth the output is left out.
    """
    step = run.steps.get(i)
    if step is None or not (step.status in (COMPLETED, COMPENSATED) or _has_some(run, i, step)):
        return None
    if step.output is not None:
        return step.output
    node = run.graph.nodes[i]
    match node:
        case ParallelNode():
            return _results(run, run.graph.members.get(i, ()))
        case BranchNode():
            return _of_clause(run, i, step)
        case StepNode() | EachNode():
            return _of_members(run, i, depth) if depth < LISTS_MAX else None
        case SleepNode() | SignalNode() | EventNode() | InputNode() | TokenNode() | ChildNode():
            return None
        case _:
            assert_never(node)


def _of_members(run: Run, i: int, depth: int) -> bytes:
    members = run.graph.members.get(i, ())
    return b"[%b]" % b",".join([output_of(run, m, depth + 1) or b"null" for m in members])


def results_of(run: Run, i: int) -> bytes | None:
    """Return each member's result by name; for a step without members, its own result."""
    step = run.steps.get(i)
    if step is None or not (step.status in (COMPLETED, COMPENSATED) or _has_some(run, i, step)):
        return None
    return _results(run, (i,) if step.output is not None else run.graph.members.get(i, ()))


def _results(run: Run, members: Iterable[int]) -> bytes:
    return b"{%b}" % b",".join(b"%b:%b" % (_encode(run.graph.names[m]), _result(run, m)) for m in members)


def _has_some(run: Run, i: int, step: Step) -> bool:
    """Say whether some members of a group had completed when it was skipped."""
    if step.status != SKIPPED or type(run.graph.nodes[i]) is BranchNode:
        return False
    members = run.graph.members.get(i, ())
    return any((s := run.steps.get(m)) is not None and s.status == COMPLETED for m in members)


def root_value(run: Run, root: str) -> bytes:
    """Return what a path begins at: the input, the run's context or the output of a step."""
    if root == "input":
        return run.input
    if root == "context":
        return b"{}" if run.context is None else bytes(run.context.encoded())
    return output_of(run, run.graph.index[root]) or b"null"


def run_output(run: Run) -> bytes:
    """Return a run's output: of the last step; of several last steps, each by name."""
    sinks = run.graph.sinks
    if len(sinks) == 1:
        return output_of(run, sinks[0]) or b"null"
    names = run.graph.names
    return b"{%b}" % b",".join(b'"%b":%b' % (names[i].encode(), output_of(run, i) or b"null") for i in sinks)


def _result(run: Run, i: int) -> bytes:
    """Return the result of a member."""
    step = run.steps.get(i)
    if step is not None and step.status == FAILED:
        return b'{"failure":%b}' % _encode(step.failure or Failure("failed"))
    if step is None or step.status != COMPLETED:
        skipped = step is not None and step.status == SKIPPED
        return b'{"skipped":true}' if skipped else b'{"cancelled":true}'
    return b'{"output":%b}' % (output_of(run, i) or b"null")


def _is_inside(graph: Graph, i: int, branch: int) -> bool:
    """Return whether a step is in a branch, at any depth."""
    while (i := graph.owner(i)) >= 0:
        if i == branch:
            return True
    return False


def _of_clause(run: Run, i: int, step: Step) -> bytes:
    """Return the output of the last steps of the clause that ran."""
    graph = run.graph
    clause = None if step.detail is None else step.detail.clause
    inside = [m for m in graph.members.get(i, ()) if graph.nodes[m].clause == clause]
    last = [m for m in inside if not any(_is_inside(graph, j, i) for j in graph.waiting_for(m))]
    if len(last) == 1:
        return output_of(run, last[0]) or b"null"
    if not last:
        return b"null"
    names = graph.names
    return b"{%b}" % b",".join(b'"%b":%b' % (names[m].encode(), output_of(run, m) or b"null") for m in last)
