"""Looks for records of the inbox left out by the fold: on the log, below the next offset, without evidence.

The fold passes over no record, so every hole is a fault. Dead records have evidence too. Evidence may be
removed by age: a missing beginning is no hole. A confirmed gap of the log is no hole either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import NamedTuple, Protocol

from stream_durable.ports import LogBounds, LogReader, PartitionState, Span

#: Batches of each partition without an end.
EVERY = 1 << 62


class Uneven(NamedTuple):
    """Offsets of a partition's evidence, with some between them missing."""

    partition: int
    start: int
    #: Without this one.
    end: int
    offsets: Sequence[int]


class Hole(NamedTuple):
    """Consecutive records left out."""

    partition: int
    first: int
    last: int
    records: int


class LeftOut(NamedTuple):
    """What was found, in as many stretches of evidence as are looked at."""

    holes: Sequence[Hole] = ()
    #: Whether there are more stretches with missing offsets.
    has_more: bool = False


class Look(Protocol):
    """A consistent view of the evidence."""

    async def partitions(self) -> list[PartitionState]:
        """Return where every partition stands."""

    async def uneven(self, batches: int, limit: int) -> list[Uneven]:
        """Return stretches with missing offsets, from the newest batches of each partition."""


async def left_out(
    look: Callable[[], AbstractAsyncContextManager[Look]],
    inbox: LogReader,
    *,
    batches: int = EVERY,
    limit: int = 100,
) -> LeftOut:
    """Return records left out of the newest batches of each partition, from at most `limit` stretches.

    Reads the evidence of these batches, and of the log only the missing offsets.
    """
    async with look() as state:
        standing = await state.partitions()
        found = await state.uneven(batches, limit + 1)
    if not found:
        return LeftOut([])
    stretches, has_more = found[:limit], len(found) > limit
    spans = list(_spans(stretches, standing, await inbox.bounds()))
    offsets: dict[int, list[int]] = {span.partition: [] for span in spans}
    async with aclosing(inbox.read(spans)) as read:
        async for records in read:
            for record in records:
                offsets[record.partition].append(record.offset)
    return LeftOut([hole for span in spans for hole in _holes(span, offsets[span.partition])], has_more)


def _spans(
    stretches: Iterable[Uneven], standing: Iterable[PartitionState], bounds: Mapping[int, LogBounds]
) -> Iterator[Span]:
    """Return the missing offsets still on the log of the present generation."""
    states = {state.partition: state for state in standing}
    for partition, start, end, offsets in stretches:
        log = bounds.get(partition)
        if log is None or states[partition].topic_id not in (None, log.topic_id):
            continue
        before = max(start, log.low) - 1
        for offset in (*sorted(offsets), end):
            if offset > before + 1 and before + 1 < log.high:
                yield Span(partition, before + 1, min(offset, log.high))
            before = max(before, offset)


def _holes(span: Span, offsets: Iterable[int]) -> Iterator[Hole]:
    inside = [offset for offset in offsets if span.start <= offset < span.end]
    if inside:
        yield Hole(span.partition, inside[0], inside[-1], len(inside))
