"""Hooks and compensations: steps outside the graph proper.

They are dispatched, retried and stored like other steps, under names no author can give. The result of a hook
never changes the result of its run.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from stream_durable.core.definition.nodes import DUE_HOOK, StepNode
from stream_durable.core.effects import Effects
from stream_durable.core.failure import Failure
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.messages import OptionalRaw
from stream_durable.core.names import hook_name
from stream_durable.core.run.asking import ask_first
from stream_durable.core.run.past import is_past
from stream_durable.core.run.say import set_due
from stream_durable.core.run.state import Detail, Run, Step
from stream_durable.core.run.values import output_of, run_output
from stream_durable.core.status import PENDING, READY


class Happened(msgspec.Struct, omit_defaults=True):
    """The argument of a hook."""

    status: str
    step: str | None = None
    attempt: int = 0
    failure: Failure | None = None
    output: OptionalRaw = None
    reason: str | None = None


def call_run_hook(run: Run, kind: str, status: str, now: int, out: Effects) -> bool:
    """Call the hook before the end of a run; False: there is none, or already called."""
    node = run.graph.hooks.get(kind)
    name = hook_name(kind)
    if node is None or _was_called(run, name):
        return False
    happened = happened_to(run, status)
    if run.cancel_request is not None:
        happened.reason = run.cancel_request.reason
    elif run.failure is None:
        _tell_output(happened, run.output if run.output is not None else run_output(run))
    begin_helper(run, name, node, now, out, happened)
    return True


def call_run_due_hook(run: Run, now: int, out: Effects) -> None:
    """Call the hook for a run that is overdue, once in each try of the graph."""
    node, name = run.graph.hooks.get(DUE_HOOK), hook_name(DUE_HOOK)
    if node is not None and not _was_called(run, name):
        begin_helper(run, name, node, now, out, Happened(run.status))


def happened_to(run: Run, status: str) -> Happened:
    """Return a hook's information about a run: failed step, attempt and failure."""
    failure = run.failure
    name = None if failure is None else failure.step
    i = None if name is None else run.graph.index.get(name)
    step = None if i is None else run.steps.get(i)
    return Happened(status, name, 0 if step is None else step.attempt, failure)


def call_step_hook(run: Run, kind: str, i: int, step: Step, now: int, out: Effects) -> None:
    """Call the hook for this event of a step."""
    node = run.graph.hooks.get(kind)
    if node is None or run.graph.is_helper(i):
        return
    is_first = kind != "on_attempt_fail" and step.attempt == 1
    name = hook_name(kind, run.graph.names[i], 0 if is_first else step.attempt)
    if _was_called(run, name):
        return
    output = output_of(run, i)
    happened = Happened(step.status, run.graph.names[i], step.attempt, step.failure)
    if output is not None:
        _tell_output(happened, output)
    begin_helper(run, name, node, now, out, happened)


def _tell_output(happened: Happened, output: bytes) -> None:
    """Pass the output to a hook, or the reason for leaving out ten thousand outputs, for example."""
    if len(output) <= PAYLOAD_BYTES_MAX:
        happened.output = Raw(output)
    else:
        size = f"{len(output)} bytes of JSON, and {PAYLOAD_BYTES_MAX} are the most"
        happened.reason = f"the output is left out: it has {size}"


def begin_helper(
    run: Run, name: str, node: StepNode, now: int, out: Effects, happened: Happened | None = None
) -> int:
    """Request an attempt of a helper; return the index."""
    graph = run.graph = run.graph.grown()
    i = graph.index.get(name, -1)
    if i < 0:
        i = graph.help(name, node)
        run.need.append(0)
    step = run.steps.get(i)
    if step is None:
        step = run.steps[i] = Step()
    elif step.detail is not None and is_past(step):
        run.payload -= len(step.output or b"")
        first = step.detail.first
        step = run.steps[i] = Step(READY, first)
        step.detail = Detail(first=first)
    step.status = READY
    detail = step.detailed()
    if happened is not None:
        detail.happened = Raw(msgspec.json.encode(happened))
    run.touched[i] = None
    run.left += 1
    run.active += 1
    if node.total_ms is not None:
        detail.until = now + node.total_ms
        set_due(run, i, step, detail.until, out)
    ask_first(run, i, step, node, out)
    return i


def _was_called(run: Run, name: str) -> bool:
    i = run.graph.index.get(name)
    step = None if i is None else run.steps.get(i)
    return step is not None and step.status != PENDING and not is_past(step)
