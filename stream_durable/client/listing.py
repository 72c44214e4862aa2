"""Lists, pages and families of runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, get_args

import msgspec

from stream_durable.client.edge import Edge
from stream_durable.client.filter import RunFilter
from stream_durable.client.state import CLIENT, failure_of, values_of
from stream_durable.core.attributes import checked_name
from stream_durable.core.errors import RejectedError
from stream_durable.core.failure import Failure
from stream_durable.core.moments import moment
from stream_durable.core.run.entering import taker_of
from stream_durable.core.run.rows import thaw_requests
from stream_durable.core.run.say import trigger_of
from stream_durable.explain.listed import brief, word_of
from stream_durable.explain.reason import Word
from stream_durable.ports import NEWEST, ListPosition, RunOrder, RunSort, RunSummary

#: How far a count goes: further than people read numbers, and no more than a second of a server's time.
COUNT_MAX: Final = 100_000
NEWEST_FIRST: Final = "-created"
#: The longest page: what a client and a server hold at a time without noticing it.
LIMIT_MAX: Final = 10_000

#: So many runs of a family are shown.
FAMILY_MAX: Final = 10_000


class RunEntry(NamedTuple):
    """A run as a line of a list."""

    id: str
    workflow: str
    fingerprint: str
    status: str
    created: datetime
    updated: datetime
    ended: datetime | None
    #: Number of ended steps, and of all.
    done: int
    total: int
    tags: tuple[str, ...]
    failure: Failure | None
    #: None: that of the workers, `default`.
    queue: str | None
    priority: int
    metadata: Mapping[str, Any]
    #: The trigger: `client`, `event`, `schedule` or `parent`.
    trigger: str
    #: The parent run, and the step in it.
    parent: str | None
    parent_step: str | None
    #: The try of the whole graph, from 1.
    attempt: int
    #: When the run began, or None.
    started: datetime | None = None
    #: The operator's word, and a short reason, from the row alone: see `RunHandle.why` for the whole.
    word: Word = "Waiting"
    reason: str = ""
    #: How many steps are held until a person decides.
    needs_review: int = 0
    #: How many are overdue of the run and its open steps.
    overdue: int = 0
    #: Typed values set at the start and by steps.
    attributes: Mapping[str, str | float | bool | datetime] = {}
    #: The run that took this one in, if `starts=` merged this one.
    into: str | None = None

    @property
    def cursor(self) -> str:
        """The value of `after=` for continuing behind this run in a list with the newest first."""
        return cursor(ListPosition(round(self.created.timestamp() * 1_000), self.id))


class RunList(NamedTuple):
    """A page of runs, in order."""

    runs: list[RunEntry]
    #: The value of `after=` for the next page; None: there are no more.
    following: str | None


class RunCount(NamedTuple):
    """How many runs there are."""

    found: int
    #: False: there are further descendants.
    is_exact: bool


class RunStatuses(NamedTuple):
    """The number of runs in each status."""

    counts: dict[str, int]
    #: False: there are further descendants.
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A run within a family."""

    run: RunEntry
    #: The children, oldest first.
    children: list[Member] = field(default_factory=list)


class Family(NamedTuple):
    """All runs descending from the same root run."""

    first: Member
    #: False: there are further descendants.
    is_whole: bool


async def listed(
    edge: Edge,
    which: RunFilter,
    limit: int,
    after: str | None,
    *,
    among: frozenset[str] | None = None,
    sort: str = NEWEST_FIRST,
) -> RunList:
    """Return a page of the matching runs with a status in `among`."""
    query, views, order = which.query(among, edge.now()), edge.ports.views, read_order(sort)
    position = None if after is None else read_cursor(after, order)
    if query is None:
        return RunList([], None)
    if not 1 <= limit <= LIMIT_MAX:
        raise RejectedError("bad_limit", f"limit= takes 1 to {LIMIT_MAX} runs, not {limit}")
    page = await edge.ask(
        lambda: views.run_list(query, limit=limit, after=position, order=order), "list runs"
    )
    following = None if page.following is None else cursor(page.following)
    return RunList([entry(run) for run in page.runs], following)


async def counted(edge: Edge, which: RunFilter, at_most: int) -> RunCount:
    """Count the matching runs, up to a limit."""
    query, views = which.query(now=edge.now()), edge.ports.views
    if query is None:
        return RunCount(0, is_exact=True)
    found = await edge.ask(lambda: views.run_count(query, at_most=at_most + 1), "count runs")
    return RunCount(min(found, at_most), found <= at_most)


async def statuses(edge: Edge, which: RunFilter, at_most: int) -> RunStatuses:
    """Count the matching runs by status, up to a limit."""
    query, views = which.query(now=edge.now()), edge.ports.views
    if query is None:
        return RunStatuses({}, is_exact=True)
    found = await edge.ask(lambda: views.run_statuses(query, at_most=at_most), "count runs")
    return RunStatuses(found, sum(found.values()) < at_most)


async def family(edge: Edge, run: str, limit: int) -> Family | None:
    """Return the family of a run; None: there is no such run."""
    if not 1 <= limit <= FAMILY_MAX:
        raise RejectedError("bad_limit", f"limit= takes 1 to {FAMILY_MAX} runs, not {limit}")
    views, doing = edge.ports.views, f"read the family of run {run!r}"
    found = await edge.ask(lambda: views.run_family(run, limit=limit + 1), doing)
    if not found:
        return None
    # In order, so that what is shown is one tree.
    shown = found[:limit]
    members = {one.id: Member(entry(one)) for one in sorted(shown, key=lambda one: (one.created, one.id))}
    first = None
    for member in members.values():
        above = members.get(member.run.parent or "")
        if above is None:
            first = member
        else:
            above.children.append(member)
    assert first is not None, "a run is not its own ancestor"
    return Family(first, len(found) <= limit)


def entry(run: RunSummary) -> RunEntry:
    """Return a row as an entry of a list."""
    requests = thaw_requests(run.requests)
    return RunEntry(
        run.id,
        run.workflow,
        run.fingerprint,
        run.status,
        moment(run.created),
        moment(run.updated),
        moment(run.ended),
        run.done,
        run.total,
        tuple(msgspec.json.decode(run.tags)) if run.tags else (),
        failure_of(run.failure),
        run.queue,
        run.priority,
        {} if run.metadata is None else msgspec.json.decode(run.metadata),
        trigger_of(requests, run.parent) or CLIENT,
        run.parent,
        run.parent_step,
        run.attempt,
        moment(run.started),
        word_of(run),
        brief(run),
        0 if requests is None else requests.held,
        0 if requests is None else requests.overdue,
        values_of(run.attributes),
        taker_of(requests),
    )


def read_order(sort: str) -> RunOrder:
    """Return the order of a list: a column or an attribute; with - before it, the greatest first."""
    name = sort.removeprefix("-")
    if name in get_args(RunSort):
        by: Any = name
        return RunOrder(by=by, is_up=not sort.startswith("-"))
    return RunOrder(attribute=checked_name(name), is_up=not sort.startswith("-"))


def cursor(position: ListPosition) -> str:
    """Return a place in a list as an opaque text."""
    value = position.value
    return f"{value if isinstance(value, int) else '=' + value.encode().hex()}.{position.id}"


def read_cursor(text: str, order: RunOrder = NEWEST) -> ListPosition:
    """Return the position encoded by a cursor of a list in this order."""
    value, point, run = text.partition(".")
    if point and order.attribute is not None and value.startswith("="):
        with suppress(ValueError):
            return ListPosition(bytes.fromhex(value[1:]).decode(), run)
    elif point and order.attribute is None and value.isascii() and value.isdigit() and len(value) <= 18:
        return ListPosition(int(value), run)
    raise RejectedError(
        "bad_cursor", f"{text[:128]!r} is no position in this list: pass the value of `following`"
    )
