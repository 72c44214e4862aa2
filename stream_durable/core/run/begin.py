"""Begins steps: dispatches a command, opens a wait, or begins a group's members.

A step may end at once (a wait with its signal already there) or make other steps ready (a group). Hence two
lists worked off in a loop instead of recursion, however long the chain: `ready` holds steps to begin, `ends`
ended steps.
"""

from __future__ import annotations

from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.nodes import AnyNode, GroupNode, StepNode, WaitNode
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.ids import HANDOVER_BYTES_MAX
from stream_durable.core.lifecycle import STEP_STARTED
from stream_durable.core.run import due, groups, hooks, line, portions, sections
from stream_durable.core.run.asking import ask_first, dispatch, handover_bytes
from stream_durable.core.run.ending import RUN_ENDS
from stream_durable.core.run.gating import queue_gate
from stream_durable.core.run.say import say_step, set_due
from stream_durable.core.run.state import End, Run, Step
from stream_durable.core.run.waiting import begin_wait
from stream_durable.core.status import CANCELLED, FAILED, PENDING, READY


def begin_each(run: Run, ready: list[int], now: int, out: Effects, ends: list[End]) -> None:
    """Begin steps without open dependencies."""
    is_paused = run.requests is not None and run.begins_nothing
    is_ending = run.failure is not None
    for i in ready:
        graph = run.graph
        if is_ending and not graph.is_helper(i) and not _is_clean_up(graph, i):
            # A step before it had passed already when the run failed, by the same message.
            hold(run, i, "")
            ends.append((i, CANCELLED, None, RUN_ENDS))
            continue
        if is_paused and not graph.is_helper(i):
            hold(run, i, "paused")
            continue
        if graph.limit is not None and not line.has_place(run, i) and not graph.is_helper(i):
            hold(run, i, line.IN_LINE)
            line.get_in(run, i)
            continue
        if out.load >= portions.LOAD_MAX:
            portions.defer(run, i, out)
            continue
        node = graph.nodes[i]
        if graph.sections and not _admit_to_section(run, i, out, ends):
            hold(run, i, sections.SECTION)
        elif graph.links and (owner := graph.owner(i)) >= 0 and not groups.admit(run, i, owner):
            hold(run, i, "group")
        elif type(node) is StepNode:
            _begin_step(run, i, node, now, out, ends)
        else:
            _begin_other(run, i, node, now, out, ready, ends)


def _is_clean_up(graph: Graph, i: int) -> bool:
    """Return whether a step may still begin in a run on its way to its end."""
    while i >= graph.definition_size and graph.owner(i) >= 0:
        i = graph.owner(i)
    return i in graph.clean_up


def _admit_to_section(run: Run, i: int, out: Effects, ends: list[End]) -> bool:
    owner = run.graph.owner(i)
    return owner not in run.graph.sections or sections.admit(run, owner, out, ends)


def hold(run: Run, i: int, why: str) -> None:
    """Hold back a ready step."""
    step = run.steps.get(i)
    if step is None:
        step = run.steps[i] = Step(PENDING)
    step.status = PENDING
    step.detailed().held = why
    run.touched[i] = None
    if why != "group" and (opened := run.open.get(run.graph.owner(i))) is not None:
        opened.held.discard(i)


def _begin_step(run: Run, i: int, node: StepNode, now: int, out: Effects, ends: list[End]) -> None:
    run.active += 1
    step = run.steps.get(i)
    links = run.graph.links.get(i)
    is_counted = links is not None and links.owner >= 0 and groups.is_counted(run, links.owner)
    is_dated = run.graph.is_dated and node.is_expected
    is_gated = node.is_gated or (len(run.graph.limited) > 0 and queue_gate(run, node) is not None)
    if step is None and (node.total_ms is not None or is_gated or is_counted or is_dated):
        step = run.steps[i] = Step()
    goes_on = False
    if step is not None:
        run.touched[i] = None
        goes_on = step.is_held_up
        step.status = READY
        if step.detail is not None:
            step.detail.held = ""
        if node.total_ms is not None:
            detail = step.detailed()
            if not goes_on or detail.until is None:
                detail.until = now + node.total_ms
            set_due(run, i, step, detail.until, out)
    if run.graph.is_watched and not goes_on:
        _tell_start(run, i, step or Step(), now, out)
    if is_dated and step is not None and (failure := _expect(run, i, step, node, now, out)) is not None:
        ends.append((i, FAILED, None, failure))
        return
    size = handover_bytes(run, node)
    out.load += portions.STEP_LOAD + size
    if size > HANDOVER_BYTES_MAX:
        text = f"input and outputs together have more than {HANDOVER_BYTES_MAX} bytes of JSON"
        ends.append((i, FAILED, None, Failure("input_too_large", text, retryable=False)))
    elif is_gated:
        assert step is not None
        ask_first(run, i, step, node, out)
    else:
        dispatch(run, i, 1 if step is None else step.attempt, out)


def _begin_other(
    run: Run, i: int, node: WaitNode | GroupNode, now: int, out: Effects, ready: list[int], ends: list[End]
) -> None:
    """Begin a step without a function."""
    step = run.steps.get(i)
    if step is None:
        step = run.steps[i] = Step()
    elif step.detail is not None:
        step.detail.held = ""
    step.started = now
    run.touched[i] = None
    if run.graph.is_watched:
        _tell_start(run, i, step, now, out)
    if run.graph.is_dated and (failure := _expect(run, i, step, node, now, out)) is not None:
        step.status = READY
        run.active += run.graph.work[i] is not None
        ends.append((i, FAILED, None, failure))
        return
    if (selector := run.graph.work[i]) is not None:
        run.active += 1
        ask_first(run, i, step, selector, out)
    elif isinstance(node, GroupNode):
        groups.begin_group(run, i, step, node, ready, ends)
    else:
        begin_wait(run, i, step, node, now, out, ends)


def _expect(run: Run, i: int, step: Step, node: AnyNode, now: int, out: Effects) -> Failure | None:
    """Plan when a step is overdue; return the failure of one whose path leads to no moment."""
    if not node.is_expected:
        return None
    try:
        due.expect(run, i, step, node, now, out)
    except RejectedError as error:
        return Failure(error.code, str(error), retryable=False)
    return None


def _tell_start(run: Run, i: int, step: Step, now: int, out: Effects) -> None:
    """Report the start of a step to the author's hook and to readers of public events."""
    if run.graph.hooks:
        hooks.call_step_hook(run, "on_step_start", i, step, now, out)
    if STEP_STARTED in run.graph.definition.events:
        say_step(run, STEP_STARTED, i, step, now, out)
