"""What steps keep of messages from outside."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw

from stream_durable.core.failure import Failure
from stream_durable.core.messages import OptionalRaw
from stream_durable.core.policy import RetryPolicy


class Outside(msgspec.Struct, omit_defaults=True):
    """What came from outside for a step that ends by a token."""

    #: The message that ended the step, with sender and time; empty: none has.
    id: str = ""
    at: int = 0
    by: str = ""
    #: Of an end that came before the wait, until the wait begins.
    output: OptionalRaw = None
    failure: Failure | None = None
    #: The last heartbeat.
    beat: int | None = None


class Beside(msgspec.Struct, omit_defaults=True):
    """The inquiry, signal or event that a step beside the graph is for."""

    id: str
    #: From 0, in the order of the log.
    number: int
    at: int
    #: What it carries, until it is answered.
    data: OptionalRaw = None
    #: Of an event, its number in the channel.
    arrival: int = 0
    #: Of an event, whether others that were given with it follow, and whether the channel was asked for more.
    is_followed: bool = False
    is_acknowledged: bool = False
    #: Who sent it.
    by: str = ""

    @property
    def size(self) -> int:
        """How many bytes of JSON it carries."""
        return 0 if self.data is None else len(bytes(self.data))


#: What a person decides about a held step.
Decision = Literal["retry", "complete", "skip", "fail", "cancel"]


class Review(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a person decided about a held step."""

    #: Of the message.
    id: str
    decision: Decision
    at: int
    #: Since when the step was held, in which attempt, and why.
    held: int
    attempt: int
    failure: Failure | None = None
    by: str = ""
    reason: str = ""


class Own(msgspec.Struct, omit_defaults=True, frozen=True):
    """Retries and time-outs of a step in one run, in place of the definition's."""

    retry: RetryPolicy | None = None
    timeout_ms: int | None = None
    total_ms: int | None = None


class Changed(msgspec.Struct, omit_defaults=True, frozen=True):
    """A change made by a person in a run with held steps."""

    #: Of the message.
    id: str
    at: int
    #: JSON objects of what was changed, without what was not there before.
    before: Raw
    after: Raw
    step: str = ""
    by: str = ""
    reason: str = ""

    @property
    def size(self) -> int:
        """How many bytes of JSON have been changed."""
        return len(bytes(self.before)) + len(bytes(self.after))


class Sent(msgspec.Struct, array_like=True, frozen=True, omit_defaults=True):
    """A signal or an event behind the end of a wait."""

    #: Of the signal or event, and of the message.
    name: str
    id: str
    #: Log time at which it came.
    at: int
    by: str = ""


class InputChange(msgspec.Struct, omit_defaults=True, frozen=True):
    """An act of a person about a question."""

    id: str
    kind: Literal["claimed", "assigned", "commented", "answered"]
    at: int
    by: str = ""
    #: The assignee, and the role.
    to: str = ""
    role: str = ""
    comment: str = ""

    @property
    def said(self) -> str:
        """The new assignee, and the comment."""
        return " ".join(filter(None, (f"to {self.to}" if self.to else "", self.comment)))


class Act(msgspec.Struct, array_like=True, frozen=True, omit_defaults=True):
    """What somebody did for an earlier attempt of a wait."""

    at: int
    #: As a history says it: `answered`, `claimed`, `came`, `ended from outside` and others.
    what: str
    by: str = ""
    text: str = ""
    #: The wait inside the step; empty: the step itself.
    wait: str = ""


class Asked(msgspec.Struct, omit_defaults=True):
    """A question, as people see the text."""

    prompt: str = ""
    role: str = ""
    assignee: str = ""
    #: A JSON object.
    metadata: OptionalRaw = None
    #: When the answer is expected.
    due: int | None = None
    #: Oldest first.
    changes: list[InputChange] = []
