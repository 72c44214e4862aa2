"""Whether the inbox partition of a run moves."""

from __future__ import annotations

from stream_durable.explain.reason import Reason
from stream_durable.explain.snapshot import BEHIND_MS, Snapshot, moment
from stream_durable.explain.stopped import Behind, LogLost, NoOwner
from stream_durable.ports import InboxReading, PartitionSummary
from stream_durable.wire.topics import INBOX


def partition_trouble(seen: Snapshot) -> Reason | None:
    """Return the hindrance of the run's partition; None: none is known."""
    return None if seen.partition is None else trouble_of(seen.partition, seen.inbox, seen.now_ms)


def trouble_of(state: PartitionSummary, read: InboxReading | None, now: int) -> Reason | None:
    """Return the hindrance of a partition; None: none is known."""
    topic = INBOX if read is None else read.topic
    if state.lost_reason is not None:
        return LogLost(
            topic=topic, partition=state.partition, offset=state.next_offset, problem=state.lost_reason
        )
    if read is None:
        return None
    records = max(0, read.high - state.next_offset)
    if not read.reader:
        return NoOwner(topic=topic, partition=state.partition, records=records, since=moment(read.oldest))
    if records and read.oldest is not None and now - read.oldest > BEHIND_MS:
        return Behind(
            topic=topic, partition=state.partition, owner=read.reader, records=records,
            since=moment(read.oldest),
        )  # fmt: skip
    return None
