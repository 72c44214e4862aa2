"""Sections: groups with a single place at a gate, from the first member's beginning to the group's end."""

from __future__ import annotations

from typing import Final

from stream_durable.core.definition.nodes import ParallelNode
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.run.gating import ask_place
from stream_durable.core.run.state import End, Run
from stream_durable.core.status import FAILED, PENDING

#: Why a member is held: its group has no place yet.
SECTION: Final = "section"
#: A place is kept even where only a rate is to be passed, so that it is passed once.
_ONE: Final = "=1"


def admit(run: Run, i: int, out: Effects, ends: list[End]) -> bool:
    """Return whether the members of a section may begin; ask the gate for the first."""
    if i not in run.open:
        return True
    step = run.steps[i]
    if step.detail is not None and step.detail.place:
        return step.detail.held != "gate"
    try:
        ask_section(run, i, out)
    except RejectedError as error:
        ends.append((i, FAILED, None, Failure(error.code, str(error), retryable=False)))
    return False


def ask_section(run: Run, i: int, out: Effects) -> None:
    """Ask the gate of a section for a place, or once more for the same."""
    node, step = run.graph.nodes[i], run.steps[i]
    assert type(node) is ParallelNode
    assert node.gate is not None
    ask_place(run, i, step, node.gate, out, priority=node.priority, units=_ONE)
    run.touched[i] = None


def held_by(run: Run, i: int) -> list[int]:
    """Return the members waiting for the place of a section, in order."""
    found = []
    for m in run.graph.members[i]:
        step = run.steps.get(m)
        if step is not None and step.status == PENDING and step.detail and step.detail.held == SECTION:
            found.append(m)
    return found
