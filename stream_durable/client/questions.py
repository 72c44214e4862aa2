"""A question of a step to people, with answers, claims and comments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from stream_durable.core.definition.nodes import AnswerKind, InputNode
from stream_durable.core.moments import moment
from stream_durable.core.run.state import Step


class Change(NamedTuple):
    """An action of a person on a question."""

    #: The id returned by the call.
    id: str
    kind: Literal["claimed", "assigned", "commented", "answered"]
    at: datetime
    #: The person, if known.
    by: str
    #: The assignee and the role from then on.
    to: str
    role: str
    comment: str


class Question(NamedTuple):
    """A question of a step, filled with values of the run at the beginning of the step."""

    #: How people are asked: `approval`, `choice`, `choices`, `text`, `number`, `date` or `form`.
    answer: AnswerKind
    #: The JSON Schema of the answer.
    schema: Mapping[str, Any]
    prompt: str
    role: str
    #: The assignee; empty: nobody yet.
    assignee: str
    metadata: Mapping[str, Any]
    #: When the answer is expected.
    due: datetime | None
    #: Oldest first; an answer comes last.
    changes: tuple[Change, ...]

    @property
    def answered(self) -> Change | None:
        """Who has answered, when and with what comment; None without an answer."""
        last = self.changes[-1] if self.changes else None
        return last if last is not None and last.kind == "answered" else None


def question_of(node: object, step: Step) -> Question | None:
    """Return the question of a step, or None."""
    asked = None if step.detail is None else step.detail.asked
    if asked is None or not isinstance(node, InputNode):
        return None
    return Question(
        node.answer,
        msgspec.json.decode(node.schema),
        asked.prompt,
        asked.role,
        asked.assignee,
        {} if asked.metadata is None else msgspec.json.decode(asked.metadata),
        moment(asked.due),
        tuple(Change(c.id, c.kind, moment(c.at), c.by, c.to, c.role, c.comment) for c in asked.changes),
    )
