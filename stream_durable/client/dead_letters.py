"""The topic of records that could not be applied, read from its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
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
from stream_durable.wire.topics import DEAD, FOREIGN

#: Offsets of each partition read at first, and at most, where more are needed.
_PORTION: Final = 64
_PORTION_MAX: Final = 1_024
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
    """A record that could not be applied."""

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
    """The topic `dead`, read from its end."""

    def __init__(
        self, edge: Edge, reader: LogReader, which: DeadFilter, spans: Sequence[Span], *, keeps_values: bool
    ) -> None:
        self._edge = edge
        self._reader = reader
        self._which = which
        self._keeps_values = keeps_values
        self._lows = {span.partition: span.start for span in spans}
        #: By partition: from where on all has been read, and what was read and not told, the oldest first.
        self._starts = {span.partition: span.end for span in spans}
        self._held: dict[int, list[Letter]] = {span.partition: [] for span in spans}
        self._portion = _PORTION

    @classmethod
    async def of(
        cls, edge: Edge, which: DeadFilter, after: str | None = None, *, keeps_values: bool = False
    ) -> Backwards:
        """Begin at the end, or where a page ended."""
        views, now = topic_views(edge), edge.now()
        reader = views.reader(DEAD)
        # So the marks of what was redriven are known.
        await edge.ask(edge.ports.catalogue.catch_up, "read who gave records again")

        async def places() -> tuple[Mapping[int, LogBounds], Mapping[int, int], Mapping[int, int]]:
            async def at(name: str, given: datetime | Duration | None) -> Mapping[int, int]:
                if given is None:
                    return {}
                return await views.offsets_at(DEAD, _millis(name, given, now))

            return await reader.bounds(), await at("since", which.since), await at("before", which.before)

        bounds, lows, ends = await edge.ask(places, "find the dead records")
        reached = _reached(after, bounds)
        spans = [
            Span(p, max(found.low, lows.get(p, 0)), min(found.high, ends.get(p, found.high), reached[p]))
            for p, found in sorted(bounds.items())
        ]
        return cls(edge, reader, which, spans, keeps_values=keeps_values)

    async def letters(self) -> AsyncGenerator[Letter, None]:
        """Read the letters that meet the conditions, newest first."""
        while True:
            await self._fill()
            heads = [held[-1] for held in self._held.values() if held]
            if not heads:
                return
            newest = max(heads, key=lambda one: (one.record.time, one.record.partition))
            self._held[newest.record.partition].pop()
            yield newest

    def before(self, letter: Letter) -> str:
        """Return the place of a page that begins with the letter read last."""
        reached = {
            p: held[-1].record.offset + 1 if held else self._starts[p] for p, held in self._held.items()
        }
        reached[letter.record.partition] = letter.record.offset + 1
        return ".".join(str(offset) for _, offset in sorted(reached.items()))

    async def _fill(self) -> None:
        """Read on wherever nothing is left to tell."""
        while spans := [
            Span(p, max(self._lows[p], start - self._portion), start)
            for p, start in self._starts.items()
            if not self._held[p] and start > self._lows[p]
        ]:
            self._portion = min(2 * self._portion, _PORTION_MAX)
            for letter in await self._edge.ask(lambda some=spans: self._read(some), "read dead records"):  # type: ignore[misc]
                self._held[letter.record.partition].append(letter)
            self._starts |= {span.partition: span.start for span in spans}

    async def _read(self, spans: Sequence[Span]) -> list[Letter]:
        letters = list[Letter]()
        async with aclosing(self._reader.read(spans)) as batches:
            async for records in batches:
                found = (_taken_apart(self._edge, record) for record in records)
                letters += [self._light(one) for one in found if _meets(one, self._which)]
        return letters

    def _light(self, letter: Letter) -> Letter:
        """Return a letter without what a list does not show."""
        return letter if self._keeps_values else letter._replace(record=letter.record._replace(value=None))


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
        own, moment(record.time), origin.topic.removeprefix(FOREIGN), origin.partition, origin.offset,
        moment(origin.time) if origin.time else None, origin.code, origin.reason,
        None if record.key is None else record.key.decode(errors="replace"), found.bytes,
        OrderState("redrive", moment(order.at), order.by, order.reason) if order and is_meant else None,
    )  # fmt: skip
    return Letter(record, found, shown)


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
    """Return the end of what is still to be told, by partition."""
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
