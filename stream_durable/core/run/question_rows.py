"""Open questions of a run as rows, for lists. The run itself is loaded without them."""

from __future__ import annotations

from typing import NamedTuple

from stream_durable.core.definition.nodes import InputNode
from stream_durable.core.run.from_outside import Asked
from stream_durable.core.run.state import Run, Step
from stream_durable.core.status import WAITING


class QuestionRow(NamedTuple):
    """A question of a step; without a beginning, no longer open."""

    run: str
    step: str
    partition: int
    opened: int | None
    workflow: str
    fingerprint: str
    attempt: int
    prompt: str = ""
    role: str = ""
    assignee: str = ""
    due: int | None = None
    expires: int | None = None


def question_rows(run: Run) -> list[QuestionRow]:
    """Return the rows of the questions that changed."""
    asking = run.graph.asking
    found = [_row(run, run.graph.names[i], run.steps[i]) for i in run.touched if i in asking]
    # Questions inside a step are dropped with its answers when it is reset.
    found += [_row(run, name, step) for name, step in (run.orphans or {}).items() if _is_asking(step)]
    return found


def _is_asking(step: Step) -> bool:
    inner = None if step.detail is None else step.detail.inner
    return inner is not None and type(inner.node) is InputNode


def _row(run: Run, name: str, step: Step) -> QuestionRow:
    asked = None if step.detail is None or step.status != WAITING else step.detail.asked
    opened = None if asked is None else step.started
    asked = asked or Asked()
    return QuestionRow(
        run.id, name, run.partition, opened, run.graph.name, run.graph.fingerprint, step.attempt,
        asked.prompt, asked.role, asked.assignee, asked.due, step.due,
    )  # fmt: skip
