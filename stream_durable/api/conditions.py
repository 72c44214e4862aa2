"""The conditions in the query of an address, as the client takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from stream_durable.client import InputFilter, RunFilter


def _moment(given: Any) -> Any:
    """Return a date and time, or leave a duration as it is."""
    if isinstance(given, str):
        try:
            return datetime.fromisoformat(given)
        except ValueError:
            return given
    return given


Text = Annotated[str, Field(max_length=1_000)]
Id = Annotated[str, Field(min_length=1, max_length=1_000)]
#: A date and time with a zone, or a duration such as `7d`: so long ago.
Moment = Annotated[datetime | Annotated[str, Field(max_length=40)], BeforeValidator(_moment)]
Limit = Annotated[int, Field(ge=1, le=1_000, description="How many at most.")]
After = Annotated[
    str | None, Field(max_length=2_000, description="What the page before returned as `following`.")
]
Count = Annotated[int, Field(ge=1, le=1_000_000, description="How far to count.")]


class Conditions(BaseModel):
    """Conditions; unknown names are refused."""

    model_config = ConfigDict(extra="forbid")


class RunConditions(Conditions):
    """Conditions for runs; a run must meet all of them."""

    workflow: Text | None = None
    fingerprint: Text | None = None
    status: Annotated[list[Text], Field(max_length=20)] = []
    failed: bool = False
    needs_review: bool = False
    overdue: bool = False
    tag: Text | None = None
    queue: Text | None = None
    parent: Text | None = None
    created_since: Moment | None = None
    created_before: Moment | None = None
    updated_since: Moment | None = None
    updated_before: Moment | None = None
    input_text: Text | None = None

    def filter(self) -> RunFilter:
        """Return the conditions as the client takes them."""
        given = {name: getattr(self, name) for name in RunConditions.model_fields}
        return RunFilter(**given)


class RunPage(RunConditions):
    """A page of runs."""

    limit: Limit = 50
    after: After = None


class RunCounting(RunConditions):
    """How far to count runs."""

    at_most: Count = 10_000


class InputConditions(Conditions):
    """Conditions for open questions; a question must meet all of them."""

    workflow: Text | None = None
    wait: Text | None = None
    role: Text | None = None
    assignee: Text | None = None
    tag: Text | None = None
    expires_within: Annotated[str, Field(max_length=40)] | None = None
    overdue: bool = False
    due_within: Annotated[str, Field(max_length=40)] | None = None

    def filter(self) -> InputFilter:
        """Return the conditions as the client takes them."""
        return InputFilter(**{name: getattr(self, name) for name in InputConditions.model_fields})


class InputPage(InputConditions):
    """A page of open questions."""

    limit: Limit = 50
    after: After = None


class WaitPage(Conditions):
    """A page of open waits."""

    workflow: Text | None = None
    event: Id | None = None
    key: Text | None = None
    signal: Id | None = None
    limit: Limit = 50
    after: After = None


class EventPage(Conditions):
    """A page of kept or expired events."""

    event: Id | None = None
    key: Text | None = None
    untaken: bool = False
    expired: bool = False
    limit: Limit = 50
    after: After = None


class Page(Conditions):
    """A page of anything."""

    limit: Limit = 50
    after: After = None
