"""The topic of dead records, read from its end or its beginning."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from heapq import merge
from typing import Final, NamedTuple

from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.client.latest import OrderState
from stream_durable.client.replaying import topic_views
from stream_durable.core.errors import RejectedError
from stream_durable.core.moments import moment
from stream_durable.ports import LogBounds, LogReader, Record, Span
from stream_durable.sdk.durations import Duration, milliseconds
from stream_durable.wire.dead import Opened, Origin, opened
from stream_durable.wire.topics import DEAD, FOREIGN, STREAM

#: Records read at once: at first, at most, and at least of each partition. Less, if they have so many bytes.
_PORTION: Final = 256
_PORTION_MAX: Final = 4_096
_PORTION_MIN: Final = 8
_PORTION_BYTES: Final = 4 * 1024 * 1024
#: For one page so many records are looked at, or so many bytes; the next page goes on there.
LOOKED_MAX: Final = 20_000
_BYTES_MAX: Final = 64 * 1024 * 1024
#: Of a record of which nobody says why it is there.
_FOREIGN: Final = Origin("", -1, -1, 0, "unknown", "its headers do not say why: nobody of ours wrote it")


class DeadFilter(NamedTuple):
    """Conditions for dead records; a record must meet all of them."""

    #: The topic of the record: `inbox`, `events`, or the name of a topic of others.
    topic: str | None = None
    code: str | None = None
    #: The whole key, such as the id of a run.
    key: str | None = None
    #: A text in the reason.
    reason: str | None = None
    #: Set aside since and before: a time, or a duration until now.
    since: datetime | Duration | None = None
    before: datetime | Duration | None = None
    #: Whether somebody redrove it; None: both.
    redriven: bool | None = None


class DeadRecord(NamedTuple):
    """A record impossible to apply."""

    #: Where it is kept: partition and offset of the topic `dead`.
    id: str
    #: When it was set aside.
    time: datetime
    #: Where it came from, and when it was written there. Of what no topic has, the offset is -1.
    topic: str
    partition: int
    offset: int
    written: datetime | None
    code: str
    reason: str
    key: str | None
    #: Size of the value; None: there is none.
    bytes: int | None
    #: Who redrove it last; None: nobody.
    redriven: OrderState | None


class Letter(NamedTuple):
    """A record of the topic `dead`, taken apart."""

    record: Record
    found: Opened
    shown: DeadRecord


class Backwards:
    """The topic `dead`, read from its end, in portions: no values are kept."""

    def __init__(self, edge: Edge, reader: LogReader, which: DeadFilter, spans: Sequence[Span]) -> None:
        self._edge = edge
        self._reader = reader
        self._which = which
        self._lows = {span.partition: span.start for span in spans}
        #: By partition: from where on all has been read, and what was read and not told, the oldest first.
        self._starts = {span.partition: span.end for span in spans}
        self._held: dict[int, list[_Held]] = {span.partition: [] for span in spans}
        self._portion = _PORTION
        self._records = self._bytes = 0

    @classmethod
    async def of(cls, edge: Edge, which: DeadFilter, after: str | None = None) -> Backwards:
        """Begin at the end, or where a page ended."""
        reader, bounds, spans = await _places(edge, which)
        reached = _reached(after, bounds)
        return cls(
            edge, reader, which, [span._replace(end=min(span.end, reached[span.partition])) for span in spans]
        )

    async def page(self, limit: int) -> tuple[list[DeadRecord], str | None]:
        """Return the next matching records, newest first, and the beginning of the page after."""
        told = list[DeadRecord]()
        while True:
            if unread := self._unread():
                if self._records >= LOOKED_MAX or self._bytes >= _BYTES_MAX:
                    return told, self._place()
                await self._fill(unread)
                continue
            heads = [held[-1] for held in self._held.values() if held]
            if not heads:
                return told, None
            if len(told) == limit:
                return told, self._place()
            newest = max(heads, key=lambda one: (one.shown.time, one.partition))
            told.append(self._held[newest.partition].pop().shown)

    def _place(self) -> str:
        reached = {p: held[-1].offset + 1 if held else self._starts[p] for p, held in self._held.items()}
        return ".".join(str(offset) for _, offset in sorted(reached.items()))

    def _unread(self) -> list[Span]:
        """Return the stretches to read before the next record is known."""
        parts = [p for p, start in self._starts.items() if not self._held[p] and start > self._lows[p]]
        each = max(_PORTION_MIN, self._portion // max(1, len(parts)))
        return [Span(p, max(self._lows[p], self._starts[p] - each), self._starts[p]) for p in parts]

    async def _fill(self, spans: Sequence[Span]) -> None:
        found, size = await self._edge.ask(lambda: self._read(spans), "read dead records")
        for one in found:
            self._held[one.partition].append(one)
        self._starts |= {span.partition: span.start for span in spans}
        self._bytes += size
        self._portion = min(2 * self._portion, _PORTION_MAX) if size < _PORTION_BYTES else self._portion // 2

    async def _read(self, spans: Sequence[Span]) -> tuple[list[_Held], int]:
        held, size, count = list[_Held](), 0, 0
        async with aclosing(self._reader.read(spans)) as batches:
            async for records in batches:
                count += len(records)
                for record in records:
                    size += len(record.value or b"")
                    letter = _taken_apart(self._edge, record)
                    if _meets(letter, self._which):
                        held.append(_Held(record.partition, record.offset, letter.shown))
        self._records += count
        return held, size


class _Held(NamedTuple):
    partition: int
    offset: int
    shown: DeadRecord


async def forwards(edge: Edge, which: DeadFilter) -> AsyncGenerator[Letter, None]:
    """Read the matching letters of the present, each partition from its beginning.

    Waits as long as the world lets it wait.
    """
    reader, _, spans = await _places(edge, which)
    async with aclosing(reader.read(spans)) as batches:
        async for records in batches:
            found: dict[int, list[Record]] = {}
            for record in records:
                found.setdefault(record.partition, []).append(record)
            # By clocks that differ, later ones of a partition may seem to be earlier.
            for record in merge(*found.values(), key=lambda one: one.time):
                if _meets(letter := _taken_apart(edge, record), which):
                    yield letter


async def _places(edge: Edge, which: DeadFilter) -> tuple[LogReader, Mapping[int, LogBounds], list[Span]]:
    """Return a reader of the topic, its bounds, and where records of the times asked for are."""
    views, now = topic_views(edge), edge.now()
    reader = views.reader(DEAD)
    # So the marks of what was redriven are known.
    await edge.ask(edge.ports.catalogue.catch_up, "read who gave records again")

    async def at(name: str, given: datetime | Duration | None) -> Mapping[int, int]:
        return {} if given is None else await views.offsets_at(DEAD, _millis(name, given, now))

    async def places() -> tuple[Mapping[int, LogBounds], Mapping[int, int], Mapping[int, int]]:
        return await reader.bounds(), await at("since", which.since), await at("before", which.before)

    bounds, lows, ends = await edge.ask(places, "find the dead records")
    spans = [
        Span(p, max(found.low, lows.get(p, 0)), min(found.high, ends.get(p, found.high)))
        for p, found in sorted(bounds.items())
    ]
    return reader, bounds, spans


def _taken_apart(edge: Edge, record: Record) -> Letter:
    found = opened(record.value, record.headers)
    if found is None:
        size = None if record.value is None else len(record.value)
        found = Opened(_FOREIGN, [(n, v or b"") for n, v in record.headers or ()], size, is_whole=True)
    origin, own = found.origin, f"{record.partition}-{record.offset}"
    order = edge.ports.catalogue.declared.redriven.get(own)
    # A topic made anew has the same offsets again, later.
    is_meant = order is not None and order.at >= record.time
    shown = DeadRecord(
        own, moment(record.time), plain_name(origin.topic), origin.partition, origin.offset,
        moment(origin.time) if origin.time else None, origin.code, origin.reason,
        None if record.key is None else record.key.decode(errors="replace"), found.bytes,
        OrderState("redrive", moment(order.at), order.by, order.reason) if order and is_meant else None,
    )  # fmt: skip
    return Letter(record, found, shown)


def plain_name(topic: str) -> str:
    """Return a topic's name as people know it."""
    return topic.removeprefix(STREAM).removeprefix(FOREIGN)


def _meets(letter: Letter, which: DeadFilter) -> bool:
    shown = letter.shown
    return (
        which.topic in (None, shown.topic)
        and which.code in (None, shown.code)
        and which.key in (None, shown.key)
        and (which.reason is None or which.reason.lower() in shown.reason.lower())
        and which.redriven in (None, shown.redriven is not None)
    )


async def letter_of(edge: Edge, given: str) -> Letter:
    """Return the letter of an id."""
    partition, _, offset = given.partition("-")
    reader = topic_views(edge).reader(DEAD)
    await edge.ask(edge.ports.catalogue.catch_up, "read who gave records again")
    if _is_number(partition) and _is_number(offset):
        place = Span(int(partition), int(offset), int(offset) + 1)

        async def read() -> list[Record]:
            bounds = (await reader.bounds()).get(place.partition)
            if bounds is None or not bounds.low <= place.start < bounds.high:
                return []
            async with aclosing(reader.read([place])) as batches:
                return [record async for records in batches for record in records]

        for record in await edge.ask(read, "read a dead record"):
            return _taken_apart(edge, record)
    text = f"there is no dead record {given[:128]!r}: `stream-durable records list` shows those there are"
    raise RejectedError("unknown_record", text)


def _reached(after: str | None, bounds: Mapping[int, LogBounds]) -> dict[int, int]:
    """Return the end of the records still to list, by partition."""
    if after is None:
        return {p: found.high for p, found in bounds.items()}
    parts = after.split(".")
    if len(parts) != len(bounds) or not all(map(_is_number, parts)):
        text = f"{after[:128]!r} is no position in a list: pass the value of `following`"
        raise RejectedError("bad_cursor", text)
    return dict(zip(sorted(bounds), map(int, parts), strict=True))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(1 << 63)) - 1


def _millis(name: str, given: datetime | Duration, now: datetime) -> int:
    if isinstance(given, datetime):
        return since_epoch(name, given)
    return since_epoch(name, now) - milliseconds(given)
