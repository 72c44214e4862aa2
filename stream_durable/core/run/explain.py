"""Explains the waiting of each step, from the state alone.

The fold only counts missing dependencies; here they are found, step by step. For people, never on a message's
path.
"""

from __future__ import annotations

from typing import Final

from stream_durable.core.definition.graph import JoinPlan
from stream_durable.core.definition.nodes import BranchNode, WaitNode
from stream_durable.core.ids import CHILD_MARK
from stream_durable.core.run.cause import CALL_BEFORE, NEXT_TRY, Cause, CauseKind
from stream_durable.core.run.entering import entry_of, is_waiting
from stream_durable.core.run.inside import open_waits
from stream_durable.core.run.line import IN_LINE
from stream_durable.core.run.portions import is_deferred
from stream_durable.core.run.routing import queue_at
from stream_durable.core.run.say import is_put_off
from stream_durable.core.run.sections import SECTION
from stream_durable.core.run.state import Detail, Run, Step
from stream_durable.core.run.waiting import cause_of_wait
from stream_durable.core.status import (
    CANCELLED,
    COMPLETED,
    HELD,
    PENDING,
    READY,
    RETRYING,
    RUNNING,
    STEP_ENDED,
    WAITING,
)

_DONE: Final = frozenset({COMPLETED})


def causes(run: Run, i: int) -> tuple[Cause, ...]:
    """Return all reasons for a step's waiting; none after the end of the step or the run."""
    step = run.steps.get(i)
    if run.ended is not None or (step is not None and step.status in STEP_ENDED):
        return ()
    if is_waiting(run):
        return (before_run(run),)
    if run.status == PENDING:
        return (Cause("begin", due=run.due),)
    if step is None:
        return _before(run, i, None) if run.need[i] else (Cause("queue", queue_at(run, i)),)
    if step.status == PENDING:
        return _before(run, i, step)
    if step.status == WAITING and not isinstance(run.graph.nodes[i], WaitNode):
        return tuple(cause_of_wait(run, held, node) for _, held, node in open_waits(run, i))
    return (_under_way(run, i, step),)


def before_run(run: Run) -> Cause:
    """Return the admission or the gate before a waiting run."""
    entry = entry_of(run)
    assert entry is not None, "a run that waits has asked"
    name, _, key = (entry.gate or entry.admission).partition(CHILD_MARK)
    return Cause("gate" if entry.gate else "admission", name, key)


def _before(run: Run, i: int, step: Step | None) -> tuple[Cause, ...]:
    """Say why a step has not begun."""
    graph, names = run.graph, run.graph.names
    held = "" if step is None or step.detail is None else step.detail.held
    if held == "paused" or (graph.is_beside(i) and run.is_paused):
        return (Cause("paused"),)
    if graph.is_beside(i):
        return (Cause("call", about=NEXT_TRY if run.is_ending else CALL_BEFORE),)
    if held == IN_LINE:
        return (Cause("place", about=str(graph.limit)),)
    if is_deferred(run, i):
        return (Cause("turn"),)
    owner = graph.owner(i)
    if held == SECTION:
        around = run.steps[owner].detail
        return (_at_gate("" if around is None else around.place),)
    if held == "group":
        return (Cause("group", names[owner]),)
    found = [
        Cause("step", names[j], status_of(run, j))
        for j in graph.dependencies[i]
        if status_of(run, j) not in STEP_ENDED
    ]
    found += [_join(run, join) for join in graph.joins if join.step == i and not _is_met(run, join)]
    if owner >= 0 and owner not in run.open:
        status = status_of(run, owner)
        is_choosing = type(graph.nodes[owner]) is BranchNode and status in (READY, RETRYING, RUNNING)
        kind: CauseKind = "branch" if is_choosing else "step"
        found.append(Cause(kind, names[owner], status))
    elif owner >= 0 and not found:
        # The turn has not come in an ordered group.
        found.append(Cause("group", names[owner]))
    return tuple(found)


def _join(run: Run, join: JoinPlan) -> Cause:
    names = run.graph.names
    done = sum(status_of(run, j) in _DONE for j in join.of)
    return Cause("join", ", ".join(names[j] for j in join.of), f"{done} of {join.enough}")


def _is_met(run: Run, join: JoinPlan) -> bool:
    return sum(status_of(run, j) in _DONE for j in join.of) >= join.enough


def _open_group(run: Run, i: int, step: Step) -> Cause:
    if step.detail is not None and step.detail.held == "gate":
        return _at_gate(step.detail.place)  # a section, before its first member
    return Cause("members", about=f"{run.open[i].left} of {len(run.graph.members.get(i, ()))}")


def _in_line(run: Run, i: int, detail: Detail) -> Cause:
    if run.begins_nothing and not run.graph.is_helper(i):
        return Cause("paused")
    if detail.queue_place or detail.place:
        return _at_gate(detail.queue_place or detail.place)
    called = run.graph.work[i]
    return Cause("breaker", "" if called is None or called.breaker is None else called.breaker.name)


def _under_way(run: Run, i: int, step: Step) -> Cause:
    """Return the reason for the waiting of a begun step."""
    node, detail = run.graph.nodes[i], step.detail
    if i in run.open:
        return _open_group(run, i, step)
    if detail is not None and detail.is_stopping:
        return Cause("answer", step.worker or "", due=step.due)
    if step.status == HELD:
        return Cause("review", about="" if step.failure is None else step.failure.message)
    if step.status == RETRYING:
        return Cause("retry", about=str(step.attempt + 1), due=step.due)
    if step.status == RUNNING:
        return Cause("worker", step.worker or "", due=step.deadline)
    if step.status == WAITING:
        assert isinstance(node, WaitNode)
        return cause_of_wait(run, step, node)
    if detail is not None and detail.held == "gate":
        return _in_line(run, i, detail)
    if is_put_off(step) and not (run.graph.is_beside(i) and run.is_ending):
        reason = "" if step.failure is None else step.failure.message
        return Cause("later", about=reason, due=step.due)
    return Cause("queue", queue_at(run, i))


def _at_gate(place: str) -> Cause:
    name, _, key = place.partition(CHILD_MARK)
    return Cause("gate", name, key)


def status_of(run: Run, i: int) -> str:
    """Return the status of a step, recorded or known only to the graph."""
    step = run.steps.get(i)
    if step is not None:
        return step.status
    if run.ended is not None:
        return CANCELLED
    return PENDING if run.need[i] or run.status == PENDING else READY
