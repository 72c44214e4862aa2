"""Statements for lists and counts of runs, with parameters."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stream_durable.core.status import CANCELLED, COMPENSATED, COMPENSATION_FAILED, FAILED, RUN_ENDED
from stream_durable.ports import NEWEST, AttributeTest, ListPosition, RunOrder, RunQuery
from stream_durable.postgres.queries import queries

#: Sorts behind every text that may follow the beginning of an id.
LAST: Final = "\U0010ffff"
#: Beyond every run there can be.
_GREATEST: Final = (1 << 63) - 1
#: Final statuses with a failure.
_UNSUCCESSFUL = frozenset({FAILED, CANCELLED, COMPENSATED, COMPENSATION_FAILED})


def list_query(
    query: RunQuery, order: RunOrder, after: ListPosition | None, limit: int
) -> tuple[str, list[Any]]:
    """Return the statement for a page, and the parameters."""
    way, given = "up" if order.is_up else "down", conditions(query)
    if order.attribute is not None:
        first = ("", "") if order.is_up else (LAST, "")
        of = [one for one in query.attributes if one.name == order.attribute and not one.is_not]
        begin = _range(of[0]) if of else (order.attribute, "", LAST)
        arguments = [*given, *_tests(query), *begin, *(after or first), limit]
        return queries()[f"view_run_by_attribute_{way}"], arguments
    start: tuple[Any, ...] = after or ((-1, "") if order.is_up else (_GREATEST, ""))
    if query.attributes:
        return queries()[f"view_run_where_{way}"], [
            *given,
            *_tests(query),
            *_begin(query),
            order.by,
            *start,
            limit,
        ]
    if order == NEWEST:
        return queries()["view_run_list"], [*given, *start, limit]
    return queries()[f"view_run_list_{way}"], [*given, order.by, *start, limit]


def count_query(name: str, query: RunQuery) -> tuple[Any, ...]:
    """Return the statement for a count, and the parameters but for the limit."""
    if not query.attributes:
        return queries()[name], *conditions(query)
    return queries()[f"{name}_where"], *conditions(query), *_tests(query), *_begin(query)


def conditions(query: RunQuery) -> tuple[Any, ...]:
    """Return the first parameters of the statements searching runs."""
    chosen = frozenset(query.status)
    is_open = True if chosen and not chosen & RUN_ENDED else None
    asks_failure = query.failure_code is not None or query.failed_step is not None
    has_failure = True if asks_failure or (chosen and chosen <= _UNSUCCESSFUL) else None
    return (
        query.workflow,
        query.fingerprint,
        list(query.status) or None,
        is_open,
        has_failure,
        None if query.tag is None else msgspec.json.encode(query.tag).decode(),
        query.queue,
        query.parent,
        query.created_since,
        query.created_before,
        query.updated_since,
        query.updated_before,
        None if query.input_text is None else query.input_text.encode(),
        query.unasked,
        _flags(query),
        query.id_prefix,
        None if query.id_prefix is None else query.id_prefix + LAST,
        query.attribute_text,
        query.trigger,
        query.schedule,
        query.failure_code,
        query.failed_step,
    )


def _flags(query: RunQuery) -> int:
    """Return what requests to the run are held to, a bit for each."""
    is_reviewed, is_not_reviewed = query.reviewed is True, query.reviewed is False
    return query.needs_review | query.overdue << 1 | is_reviewed << 2 | is_not_reviewed << 3


def _tests(query: RunQuery) -> list[Any]:
    """Return the conditions on attributes, column by column."""
    if not query.attributes:
        return [[], [], [], [], []]
    return list(map(list, zip(*query.attributes, strict=True)))


def _begin(query: RunQuery) -> tuple[str, str, str]:
    """Return the range of an index to begin with: of the narrowest kind of condition."""
    return min(map(_range, query.attributes), key=lambda one: (one[1] == "", len(one[2])))


def _range(test: AttributeTest) -> tuple[str, str, str]:
    return (test.name, "", LAST) if test.is_not else (test.name, test.low, test.high)
