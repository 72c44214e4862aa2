"""Lists of runs in memory: conditions, orders and pages."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from stream_durable.core.failure import Failure
from stream_durable.core.run.attribute_rows import attribute_keys, thaw_attributes
from stream_durable.core.run.rows import RunRow, thaw_requests
from stream_durable.core.run.say import trigger_of
from stream_durable.core.run.state import Requests
from stream_durable.core.status import COMPENSATED
from stream_durable.ports import ListPosition, RunOrder, RunPage, RunQuery, RunSummary

_tags = msgspec.json.Decoder(list[str]).decode


def page_of(found: Iterable[RunSummary], limit: int, after: ListPosition | None, order: RunOrder) -> RunPage:
    """Return a page of runs, in order."""
    placed = [(place, run) for run in found if (place := order.place(run)) is not None]
    placed.sort(key=lambda one: one[0], reverse=not order.is_up)
    left = [
        (place, run)
        for place, run in placed
        if after is None or (place > after if order.is_up else place < after)
    ]
    page = left[:limit]
    return RunPage([run for _, run in page], page[-1][0] if len(left) > limit and page else None)


def matches(row: RunRow, query: RunQuery) -> bool:
    """Return whether a run meets all conditions."""
    return (
        query.workflow in (None, row.workflow)
        and query.fingerprint in (None, row.fingerprint)
        and (not query.status or row.status in query.status)
        and (query.tag is None or query.tag in _tags(row.tags or "[]"))
        and query.queue in (None, row.queue or "default")
        and query.parent in (None, row.parent)
        and _is_between(row.created, query.created_since, query.created_before)
        and _is_between(row.updated, query.updated_since, query.updated_before)
        and (query.input_text is None or query.input_text in bytes(row.input).decode())
        and not (query.unasked and was_asked_for(row))
        and _has_requests(row, query)
        and row.id.startswith(query.id_prefix or "")
        and _is_started(row, query)
        and _has_failed(row, query)
        and _has_attributes(row, query)
    )


def was_asked_for(row: RunRow) -> bool:
    """Return whether a run was undone by request."""
    failure = None if row.failure is None else msgspec.json.decode(row.failure, type=Failure)
    is_cancelled = failure is not None and failure.code == "cancelled" and failure.step is None
    return row.status == COMPENSATED and is_cancelled


def _has_requests(row: RunRow, query: RunQuery) -> bool:
    requests = thaw_requests(row.requests) or Requests()
    return (
        not (query.needs_review and not requests.held)
        and not (query.overdue and not requests.overdue)
        and query.reviewed in (None, requests.reviewed is not None)
    )


def is_reviewed(row: RunRow) -> bool:
    """Return whether somebody has marked a failed run as reviewed."""
    requests = thaw_requests(row.requests)
    return requests is not None and requests.reviewed is not None


def summary(row: RunRow) -> RunSummary:
    """Return a run as a line of a list."""
    return RunSummary(
        row.id, row.workflow, row.fingerprint, row.status, row.created, row.updated, row.ended, row.done,
        row.total, row.tags, row.failure, row.queue, row.priority, row.metadata, row.parent, row.parent_step,
        row.attempt, row.started, row.requests, row.attributes,
    )  # fmt: skip


def _is_started(row: RunRow, query: RunQuery) -> bool:
    if query.trigger is None and query.schedule is None:
        return True
    requests = thaw_requests(row.requests)
    scheduled = None if requests is None else requests.scheduled
    return query.trigger in (None, trigger_of(requests, row.parent) or "client") and query.schedule in (
        None,
        None if scheduled is None else scheduled.schedule,
    )


def _has_failed(row: RunRow, query: RunQuery) -> bool:
    if query.failure_code is None and query.failed_step is None:
        return True
    if row.failure is None:
        return False
    failure = msgspec.json.decode(row.failure, type=Failure)
    return query.failure_code in (None, failure.code) and query.failed_step in (None, failure.step or "")


def _has_attributes(row: RunRow, query: RunQuery) -> bool:
    if query.attributes:
        keys = attribute_keys(row.attributes)
        if not all(test.is_met(keys) for test in query.attributes):
            return False
    text = query.attribute_text
    return text is None or any(
        one.kind == "text" and text in str(one.value) for one in thaw_attributes(row.attributes)
    )


def _is_between(moment: int, since: int | None, before: int | None) -> bool:
    return (since is None or moment >= since) and (before is None or moment < before)
