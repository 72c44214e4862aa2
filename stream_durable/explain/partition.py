"""Whether the inbox partition of a run moves."""

from __future__ import annotations

from stream_durable.explain.reason import Reason
from stream_durable.explain.snapshot import BEHIND_MS, Snapshot, moment
from stream_durable.explain.stopped import Behind, LogLost, NoOwner


def partition_trouble(seen: Snapshot) -> Reason | None:
    """Return the hindrance of the partition; None: none is known."""
    state, read = seen.partition, seen.inbox
    if state is None:
        return None
    topic = "inbox" if read is None else read.topic
    if state.lost_reason is not None:
        return LogLost(
            topic=topic, partition=state.partition, offset=state.next_offset, problem=state.lost_reason
        )
    if read is None:
        return None
    records = max(0, read.high - state.next_offset)
    if not read.reader:
        return NoOwner(topic=topic, partition=state.partition, records=records, since=moment(read.oldest))
    if records and read.oldest is not None and seen.now_ms - read.oldest > BEHIND_MS:
        return Behind(
            topic=topic, partition=state.partition, owner=read.reader, records=records,
            since=moment(read.oldest),
        )  # fmt: skip
    return None
