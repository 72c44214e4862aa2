"""The conditions in the query of an address, as the client takes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from stream_durable.client import DeadFilter, InputFilter, RunFilter
from stream_durable.client.listing import NEWEST_FIRST
from stream_durable.core.errors import RejectedError
from stream_durable.ports import RunSort


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


Zone = Annotated[str, Field(max_length=100, description="Whose clocks times in sentences are by.")]


def clocks(zone: str) -> ZoneInfo:
    """Return a time zone, or refuse an unknown name."""
    try:
        return ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        text = f"there is no zone {zone!r}: take one such as Europe/Berlin"
        raise RejectedError("bad_zone", text) from error


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
    reviewed: bool | None = None
    tag: Text | None = None
    queue: Text | None = None
    parent: Text | None = None
    created_since: Moment | None = None
    created_before: Moment | None = None
    updated_since: Moment | None = None
    updated_before: Moment | None = None
    input_text: Text | None = None
    attributes: Annotated[
        list[Text],
        Field(max_length=20, description="Conditions on attributes, such as `amount>=9.5`."),
    ] = []
    attribute_text: Text | None = None
    id_prefix: Text | None = None
    trigger: Literal["client", "event", "schedule", "parent"] | None = None
    schedule: Text | None = None
    failure_code: Text | None = None
    failed_step: Text | None = None

    @property
    def asks_payloads(self) -> str | None:
        """What is asked about values of users, in words; None: nothing."""
        if self.input_text is not None:
            return "a search through inputs"
        return "a search through attributes" if self.attributes or self.attribute_text is not None else None

    def filter(self) -> RunFilter:
        """Return the conditions as the client takes them."""
        given = {name: getattr(self, name) for name in RunConditions.model_fields}
        return RunFilter(**given)


class RunPage(RunConditions):
    """A page of runs."""

    sort: Annotated[
        str,
        Field(
            max_length=1_000,
            description="A column or an attribute; with `-` before it, the greatest first.",
        ),
    ] = NEWEST_FIRST
    limit: Limit = 50
    after: After = None

    @property
    def asks_payloads(self) -> str | None:
        """What is asked about values of users: an order by an attribute tells of it, too."""
        is_column = self.sort.removeprefix("-") in get_args(RunSort)
        return super().asks_payloads if is_column else "an order by an attribute"


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


class DeadConditions(Conditions):
    """Conditions for dead records."""

    topic: Text | None = None
    code: Text | None = None
    key: Text | None = None
    reason: Annotated[Text | None, Field(description="A text in the reason.")] = None
    since: Moment | None = None
    before: Moment | None = None
    redriven: bool | None = None

    @property
    def asks_payloads(self) -> str | None:
        """The question about values of users, in words; None: there is none."""
        return None if self.reason is None else "a search through reasons"

    def filter(self) -> DeadFilter:
        """Return the conditions as the client takes them."""
        return DeadFilter(**{name: getattr(self, name) for name in DeadFilter._fields})


class DeadPage(DeadConditions):
    """A page of dead records."""

    limit: Limit = 50
    after: After = None


class Page(Conditions):
    """A page of anything."""

    limit: Limit = 50
    after: After = None
