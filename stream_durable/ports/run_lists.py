"""Lists of runs: conditions, orders, lines and pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from stream_durable.core.run.attribute_rows import attribute_keys


class RunPosition(NamedTuple):
    """A run's position by age. A page begins beyond a position."""

    created: int
    id: str


class AttributeTest(NamedTuple):
    """A condition on an attribute, by its key (`core/attributes.py`)."""

    name: str
    #: From this key on, and before this one.
    low: str
    high: str
    #: Not between the two.
    is_not: bool = False
    #: Text within a text, letter for letter.
    text: str | None = None

    def is_met(self, attributes: Mapping[str, str]) -> bool:
        """Return whether these keys by name meet the condition."""
        key = attributes.get(self.name)
        if key is None or (self.low <= key < self.high) is self.is_not:
            return False
        return self.text is None or self.text in key[1:]


class ListPosition(NamedTuple):
    """A run's position in a list: the value of its order, and the id. A page begins beyond a position."""

    value: int | str
    id: str


class RunQuery(NamedTuple):
    """Conditions for runs; defaults match every run. Times are milliseconds of log time."""

    workflow: str | None = None
    fingerprint: str | None = None
    #: Any of these; empty: all.
    status: tuple[str, ...] = ()
    tag: str | None = None
    #: The queue of the steps without a queue.
    queue: str | None = None
    #: The parent run.
    parent: str | None = None
    created_since: int | None = None
    created_before: int | None = None
    updated_since: int | None = None
    updated_before: int | None = None
    #: What the JSON of the input holds, letter for letter.
    input_text: str | None = None
    #: Without runs cancelled and undone on request.
    unasked: bool = False
    #: Only runs with held steps.
    needs_review: bool = False
    #: Only open runs that are overdue, or have overdue steps.
    overdue: bool = False
    #: Only failed runs that were marked as reviewed, or were not.
    reviewed: bool | None = None
    attributes: tuple[AttributeTest, ...] = ()
    #: Beginning of the id.
    id_prefix: str | None = None
    #: What a text among the attributes holds, letter for letter.
    attribute_text: str | None = None
    #: `client`, `event`, `schedule` or `parent`.
    trigger: str | None = None
    schedule: str | None = None
    #: The code of the failure, and the step that failed; empty: none.
    failure_code: str | None = None
    failed_step: str | None = None


#: The columns that runs are sorted by; `duration` is that of ended runs.
RunSort = Literal["created", "started", "updated", "duration"]


class RunOrder(NamedTuple):
    """The order of a list of runs: by a column or an attribute, then by id. Runs without it are left out."""

    by: RunSort = "created"
    attribute: str | None = None
    is_up: bool = False

    def place(self, run: RunSummary) -> ListPosition | None:
        """Return the position of a run in this order; None: it is left out."""
        value: int | str | None
        if self.attribute is not None:
            value = attribute_keys(run.attributes).get(self.attribute)
        elif self.by == "duration":
            began = run.created if run.started is None else run.started
            value = None if run.ended is None else run.ended - began
        else:
            value = getattr(run, self.by)
        return None if value is None else ListPosition(value, run.id)


NEWEST: Final = RunOrder()


class RunSummary(NamedTuple):
    """A run as a line of a list."""

    id: str
    workflow: str
    fingerprint: str
    status: str
    created: int
    updated: int
    ended: int | None
    done: int
    total: int
    #: A JSON list.
    tags: str | None
    failure: bytes | None
    queue: str | None = None
    priority: int = 0
    #: A JSON object.
    metadata: bytes | None = None
    parent: str | None = None
    parent_step: str | None = None
    attempt: int = 1
    started: int | None = None
    #: A JSON object: the requests to the run.
    requests: bytes | None = None
    #: A JSON list of [name, kind, value].
    attributes: bytes | None = None


class RunPage(NamedTuple):
    """Some runs, in order, and where to go on; None: there are no more."""

    runs: list[RunSummary]
    following: ListPosition | None
