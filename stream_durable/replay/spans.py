"""The range to fold of each partition, and the reasons against a rebuild: a different result."""

from __future__ import annotations

from collections.abc import Sequence

from stream_durable.core.errors import RejectedError
from stream_durable.ports import LogBounds, PartitionState, Span

#: The owner of a schema under rebuild: schemas of other owners are never resumed.
OWNER = "rebuild"


def check_free(standing: Sequence[PartitionState], *, is_empty: bool, resume: bool) -> None:
    """Refuse a schema in use, or with content but no request to resume."""
    owners = {state.owner for state in standing} - {None, OWNER}
    if owners:
        raise RejectedError(
            "not_ours",
            f"the schema is in use by {', '.join(sorted(str(o) for o in owners))}: a rebuild would take its "
            "partitions away; name another schema",
        )
    if not is_empty and not resume:
        raise RejectedError(
            "not_empty",
            "the schema holds runs already: rebuild into another one, drop this one, or resume the rebuild "
            "that made it",
        )


def span_of(standing: PartitionState, bounds: LogBounds, live: PartitionState | None) -> Span:
    """Return the range to fold of a partition; refuse a log bound to give a different result."""
    partition, start = standing.partition, standing.next_offset
    if standing.topic_id not in (None, bounds.topic_id):
        raise RejectedError(
            "other_log", f"partition {partition} began with another log: the topic was recreated"
        )
    if bounds.low > start:
        raise RejectedError(
            "log_expired",
            f"the log of partition {partition} begins at offset {bounds.low}: those from {start} on are gone",
        )
    if live is None:
        return Span(partition, start, max(start, bounds.high))
    if live.generation:
        raise RejectedError(
            "log_was_lost",
            f"partition {partition} went on with another log {live.generation} times, after one was lost: "
            "its earlier content is in no log",
        )
    if live.topic_id not in (None, bounds.topic_id) or live.next_offset > bounds.high:
        raise RejectedError(
            "other_log",
            f"the log of partition {partition}, which ends at offset {bounds.high}, is not the one that was "
            f"folded up to {live.next_offset}",
        )
    return Span(partition, start, max(start, live.next_offset))
