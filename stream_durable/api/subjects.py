"""The subjects of a live stream: runs, filters of lists, and the overview."""

from __future__ import annotations

from typing import Annotated, NamedTuple
from urllib.parse import parse_qs

from pydantic import Field, ValidationError

from stream_durable.api.conditions import Conditions, Id, RunConditions
from stream_durable.core.errors import RejectedError
from stream_durable.core.lifecycle import EventHead
from stream_durable.core.words import without_prefix

#: As many as a browser with some open tabs shows.
SUBJECTS_MAX = 100


class LiveSubjects(Conditions):
    """The subjects of a stream, at least one."""

    run: Annotated[list[Id], Field(max_length=SUBJECTS_MAX, description="Runs, by id.")] = []
    lists: Annotated[
        list[Annotated[str, Field(max_length=8_000)]],
        Field(
            alias="list",
            max_length=SUBJECTS_MAX,
            description="Filters of lists: each the query of `GET /runs`, such as `workflow=order`.",
        ),
    ] = []
    overview: Annotated[bool, Field(description="The content of `GET /overview`.")] = False
    after: Annotated[
        str | None,
        Field(
            max_length=20_000, description="As the header `Last-Event-ID`, for a stream with other subjects."
        ),
    ] = None


class Scope(NamedTuple):
    """The events with a possible effect on a list or on the overview.

    An event names a run and a workflow; whether other conditions of a filter hold, the list alone shows.
    """

    #: The `list` of the request; None: the overview.
    text: str | None
    workflow: str | None = None
    fingerprint: str | None = None
    id_prefix: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether all events are within the scope."""
        return self.workflow is None and self.fingerprint is None and self.id_prefix is None

    def takes(self, head: EventHead) -> bool:
        """Return whether an event is within the scope."""
        return (
            self.workflow in (None, head.workflow)
            and self.fingerprint in (None, head.fingerprint)
            and head.run.startswith(self.id_prefix or "")
        )


OVERVIEW = Scope(None)


def conditions_of(text: str) -> RunConditions:
    """Read a filter in the form of a list's address."""
    given = parse_qs(text.removeprefix("?"), keep_blank_values=True, max_num_fields=100)
    several = {name for name, field in RunConditions.model_fields.items() if field.default == []}
    try:
        return RunConditions.model_validate(
            {name: values if name in several else values[-1] for name, values in given.items()}
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        why = without_prefix(first["msg"]).lower()
        raise RejectedError("bad_filter", f"list={text[:128]!r}: {where}: {why}") from None


def scope_of(text: str, conditions: RunConditions) -> Scope:
    """Return the scope of a list."""
    return Scope(text, conditions.workflow, conditions.fingerprint, conditions.id_prefix)
