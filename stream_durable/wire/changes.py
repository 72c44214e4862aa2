"""Changes of runs with held steps from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from msgspec import Raw

from stream_durable.core.definition.about import About
from stream_durable.core.definition.graph import Graph
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import HOLD
from stream_durable.core.messages import ChangeHeld


class RunChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a run, with an input still to be judged."""

    id: str
    run: str
    workflow: str = ""
    input: Raw | None = None
    context: dict[str, Raw] = {}
    step: str = ""
    attempts: int | None = None
    timeout_ms: int | None = None
    total_ms: int | None = None
    by: str = ""
    reason: str = ""

    def message(self) -> ChangeHeld:
        """Return the message for the inbox."""
        return ChangeHeld(
            key=self.run, id=self.id, format=HOLD, workflow=self.workflow, input=self.input,
            context=self.context, step=self.step, attempts=self.attempts, timeout_ms=self.timeout_ms,
            total_ms=self.total_ms, by=self.by, reason=self.reason,
        )  # fmt: skip


def judge_input_for_some(change: RunChange, graphs: Iterable[Graph], about: Callable[[str], About]) -> None:
    """Refuse an input unfit for all versions of the workflow; only the run knows the right version."""
    if change.input is None:
        return
    if not change.workflow:
        text = f"the change of run {change.run[:128]!r} has an input, and no 'workflow' to judge it by"
        raise RejectedError("no_workflow", f"{text}: name the workflow of the run")
    versions = [graph for graph in graphs if graph.name == change.workflow]
    if not versions:
        raise RejectedError("unknown_workflow", f"no workflow {change.workflow[:128]!r} is registered")
    refusals = [about(one.fingerprint).refusal(change.workflow, bytes(change.input)) for one in versions]
    if all(refusal is not None for refusal in refusals) and refusals[-1] is not None:
        raise refusals[-1]
