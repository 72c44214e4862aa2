"""Repeats requests for all outstanding work after published messages may have been lost."""

from __future__ import annotations

from collections.abc import Collection

from stream_durable.core.definition.nodes import StepNode, WaitNode
from stream_durable.core.effects import Effects
from stream_durable.core.messages import RunContinued
from stream_durable.core.run import entering, reading
from stream_durable.core.run.asking import ask_in_line, dispatch
from stream_durable.core.run.children import tell_schedule
from stream_durable.core.run.following import tell_followers, tell_parent
from stream_durable.core.run.say import is_put_off
from stream_durable.core.run.sections import ask_section
from stream_durable.core.run.state import Run, Step
from stream_durable.core.run.waiting import ask_once_more
from stream_durable.core.status import PENDING, READY, STEP_ASKED, WAITING


def redrive(run: Run, out: Effects) -> None:
    """Request all outstanding work again; repeated answers are recognised by attempt."""
    if run.ended is not None:
        if run.parent is not None:
            tell_parent(run, out)
        tell_followers(run, out)
        tell_schedule(run, out)
        return
    if run.status == PENDING:
        entering.ask_again(run, out)
        if run.graph.reads_events and not entering.is_waiting(run):
            # Between two tries of the graph it goes on reading.
            reading.register_again(run, out)
        return
    if run.requests is not None and run.requests.deferred:
        out.messages.append(RunContinued(key=run.id))
    if run.graph.reads_events:
        reading.register_again(run, out)
    for i in range(run.graph.size):
        if not run.need[i]:
            _ask(run, i, run.steps.get(i), out)


def redrive_commands(queues: Collection[str], run: Run, out: Effects) -> None:
    """Request again the attempts on these queues not announced by a worker: their commands may be lost."""
    if run.ended is not None or run.status == PENDING:
        return
    asked = Effects()
    for i in range(run.graph.size):
        step = run.steps.get(i)
        if not run.need[i] and (step is None or step.status == READY):
            _ask(run, i, step, asked)
    out.commands += [(queue, command) for queue, command in asked.commands if queue in queues]


def _ask(run: Run, i: int, step: Step | None, out: Effects) -> None:
    node = run.graph.nodes[i]
    if step is None:
        if type(node) is StepNode:
            dispatch(run, i, 1, out)
    elif i in run.open or is_put_off(step):
        if i in run.graph.sections and step.detail is not None and step.detail.held == "gate":
            ask_section(run, i, out)
    elif step.status in STEP_ASKED and (called := run.graph.work[i]) is not None:
        if step.detail is not None and step.detail.held == "gate":
            ask_in_line(run, i, step, called, out)
        else:
            dispatch(run, i, step.attempt, out)
    elif step.status == WAITING and isinstance(node, WaitNode):
        ask_once_more(run, i, step, node, out)
