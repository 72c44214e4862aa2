"""Past records of a topic, given to a rule again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final, NamedTuple, TypedDict

from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.core.declared import ordered, rule_key
from stream_durable.core.errors import RejectedError
from stream_durable.core.orders import Order
from stream_durable.ports import Outgoing, Record, Span, TopicViews
from stream_durable.sdk.durations import Duration, milliseconds

#: Reasons shown of a replay.
_REASONS_MAX: Final = 10

#: A time, or an offset.
Place = datetime | int


class ReplayOptions(TypedDict, total=False):
    """How records are given."""

    #: This partition alone.
    partition: int
    #: The time between one record and the next; a millisecond, if left out.
    pace: Duration
    #: Whether records are only counted.
    preview: bool
    #: Called with the counts so far, after each portion.
    progress: Callable[[Replayed], None]
    #: Kept and shown with the rule: why, and who does it.
    reason: str
    by: str


class Replayed(NamedTuple):
    """Past records given to a rule."""

    #: How many were read, of how many at most: between the places there may be fewer records than offsets.
    records: int
    total: int
    #: How many of them match, and how many of those cannot be taken.
    matched: int
    bad: int
    #: Why the first of these cannot be taken.
    reasons: tuple[str, ...]
    #: Whether messages were sent, or this is a preview.
    is_ordered: bool


class Replay:
    """Records given to a rule, and counted."""

    def __init__(
        self,
        edge: Edge,
        kind: str,
        name: str,
        topic: str,
        prepare: Callable[[Sequence[Record]], Awaitable[None]],
        make: Callable[[Record, str], Outgoing | None],
    ) -> None:
        """Give nothing yet; `prepare` makes lookups for `make`, and `make` turns a record into a message."""
        self._edge = edge
        self._what = f"{kind} {name!r}"
        self._rule = rule_key(kind, name)
        self._topic = topic
        self._prepare = prepare
        self._make = make
        self._records = self._total = self._matched = self._bad = 0
        self._reasons: list[str] = []
        self._due = 0.0

    async def run(self, since: Place, until: Place | None, options: ReplayOptions) -> Replayed:
        """Give the records between two places."""
        edge, views = self._edge, topic_views(self._edge)
        pace_ms, is_preview = max(1, milliseconds(options.get("pace", "1ms"))), options.get("preview", False)
        spans, ids = await edge.ask(
            lambda: _spans(views, self._topic, since, until, options.get("partition")),
            f"find the records for {self._what}",
        )
        self._total = sum(span.end - span.start for span in spans)
        progress = options.get("progress", _nothing)
        if not is_preview:
            order = Order(since_epoch("now", edge.now()), options.get("by", ""), options.get("reason", ""))
            await edge.ask(
                lambda: edge.ports.catalogue.declare([ordered(self._rule, "replay", order)]),
                f"say who gives records to {self._what}",
            )
        async with aclosing(views.reader(self._topic).read(spans)) as batches:
            async for records in batches:
                await edge.ask(lambda some=records: self._prepare(some), "look up what they take")  # type: ignore[misc]
                for some in self._portions(records, ids, max(1, 100 // pace_ms)):
                    if some and not is_preview:
                        await self._send(some, pace_ms)
                    progress(self._counted(is_ordered=not is_preview))
        return self._counted(is_ordered=not is_preview)

    def _counted(self, *, is_ordered: bool) -> Replayed:
        return Replayed(
            self._records, self._total, self._matched, self._bad, tuple(self._reasons), is_ordered=is_ordered
        )

    def _portions(
        self, records: Sequence[Record], ids: Mapping[int, str], most: int
    ) -> Iterator[list[Outgoing]]:
        """Make messages of records, in portions; records are counted with their portion."""
        messages = list[Outgoing]()
        for record in records:
            self._records += 1
            made = self._message(record, f"{ids[record.partition]}-{record.partition}-{record.offset}")
            if made is not None:
                messages.append(made)
            if len(messages) == most:
                yield messages
                messages = []
        yield messages

    def _message(self, record: Record, own_id: str) -> Outgoing | None:
        try:
            made = self._make(record, own_id)
        except RejectedError as error:
            self._bad += 1
            if len(self._reasons) < _REASONS_MAX:
                self._reasons.append(f"partition {record.partition}, offset {record.offset}: {error}")
        else:
            self._matched += made is not None
            return made
        self._matched += 1
        return None

    async def _send(self, messages: list[Outgoing], pace_ms: int) -> None:
        """Send messages together, once their time has come at the pace."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._due - loop.time()))
        self._due = max(self._due, loop.time()) + len(messages) * pace_ms / 1_000
        await self._edge.put(messages, f"give records to {self._what}")


def _nothing(_: Replayed) -> None:
    """Tell nobody."""


def topic_views(edge: Edge) -> TopicViews:
    """Return the views of topics."""
    assert edge.ports.topics is not None, "every deployment has them"
    return edge.ports.topics


async def _spans(
    views: TopicViews, topic: str, since: Place, until: Place | None, only: int | None
) -> tuple[list[Span], dict[int, str]]:
    """Return the stretches between two places, without empty ones, and the topic's id by partition."""
    bounds = await views.reader(topic).bounds()
    if only is not None and only not in bounds:
        text = f"topic {topic!r} has no partition {only}: it has 0 to {len(bounds) - 1}"
        raise RejectedError("unknown_partition", text)

    async def places(at: Place) -> Mapping[int, int]:
        if isinstance(at, datetime):
            return await views.offsets_at(topic, since_epoch("since", at))
        return dict.fromkeys(bounds, at)

    begins = await places(since)
    ends = {p: found.high for p, found in bounds.items()} if until is None else await places(until)
    spans = [
        Span(p, max(begins[p], found.low), min(ends[p], found.high))
        for p, found in sorted(bounds.items())
        if only in (None, p) and max(begins[p], found.low) < min(ends[p], found.high)
    ]
    return spans, {p: found.topic_id for p, found in bounds.items()}
