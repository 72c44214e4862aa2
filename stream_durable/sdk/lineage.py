"""Parents and children among workflows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from stream_durable.core.definition.nesting import NESTING_MAX
from stream_durable.sdk.options import Options
from stream_durable.sdk.standoff import steps_at

if TYPE_CHECKING:
    from stream_durable.core.definition.guards import Gate
    from stream_durable.sdk.workflow import Workflow


def prepared_child(
    workflow: Workflow, child: Workflow, options: Options, *, is_awaited: bool = True
) -> str | None:
    """Return the fingerprint of a child, or report a faulty reference.

    Raises the child's own faults.
    """
    if child.name == workflow.name:
        return None  # which the core says
    gate = child.gate if is_awaited else None
    if gate is not None and workflow.gate is not None and workflow.gate.name == gate.name:
        text = f"runs of {child.name!r} wait for a place at gate {gate.name!r}, which this run has"
        options.fault("deadlock", f"{text}: give one of them another gate")
    generation = {child: None}
    for _ in range(NESTING_MAX):
        if workflow in generation:
            text = f"workflow {child.name!r} has {workflow.name!r} among its own children: that never ends"
            options.fault("own_child", text)
            return None
        generation = dict.fromkeys(younger for each in generation for younger in each.children)
        if not generation:
            if is_awaited and workflow.gate is not None:
                _refuse_place(workflow.gate, child, options)
            return child.fingerprint
    options.fault("nesting", f"children are nested deeper than {NESTING_MAX}")
    return None


def _refuse_place(kept: Gate, child: Workflow, options: Options) -> None:
    """Report the steps of a child that wait for the place that its parent keeps meanwhile."""
    for name in steps_at(kept, child.definition()):
        text = f"step {name!r} of {child.name!r} waits for a place at gate {kept.name!r}, which this run has"
        options.fault("deadlock", f"{text}: give one of them another gate")


def with_children(workflows: Iterable[Workflow]) -> list[Workflow]:
    """Return workflows and all descendants, children first."""
    found: dict[Workflow, None] = {}
    pending = [(workflow, False) for workflow in workflows][::-1]
    begun: set[Workflow] = set()
    while pending:
        workflow, is_done = pending.pop()
        if is_done:
            found[workflow] = None
        elif workflow not in begun:
            begun.add(workflow)
            pending.append((workflow, True))
            pending += [(child, False) for child in workflow.children]
    return list(found)
