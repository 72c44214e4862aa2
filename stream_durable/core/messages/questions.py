"""Questions to people: answers, claims, assignments and comments."""

from __future__ import annotations

from msgspec import Raw

from stream_durable.core.format import Format
from stream_durable.core.messages.fields import Comment, OptionalText, Text, WaitAttempt
from stream_durable.core.messages.run import RunMessage


class InputMessage(RunMessage, kw_only=True):
    """An action of a person on a question of a step."""

    id: Text
    #: Name of the step that asks.
    wait: Text
    #: Releases without this format leave the message to newer ones.
    format: Format
    #: The number of the question of this step; 0: any.
    attempt: WaitAttempt = 0
    #: The acting person, under any name.
    by: OptionalText = ""


class AnswerInput(InputMessage, kw_only=True, tag="input.answer"):
    """Answer the question; the step ends with it."""

    #: JSON that fits the schema of the question.
    answer: Raw
    comment: Comment = ""


class ClaimInput(InputMessage, kw_only=True, tag="input.claim"):
    """Take the question on, unless it is somebody else's already."""


class AssignInput(InputMessage, kw_only=True, tag="input.assign"):
    """Assign the question to a person, in place of the present assignee."""

    #: Who is to answer; empty: anybody of the role.
    to: OptionalText = ""
    #: Who may answer; None: as before.
    role: OptionalText | None = None
    comment: Comment = ""


class CommentInput(InputMessage, kw_only=True, tag="input.comment"):
    """Note something beside the question."""

    comment: Comment
