"""Channels as rows and back, column by column."""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from stream_durable.core.channel.state import Channel, Holder, KeptEvent, OpenWait, Reader
from stream_durable.core.tables import Parts, Rows, Table


class EventRow(NamedTuple):
    """A kept event; without data, a deletion."""

    channel: str
    id: str
    partition: int
    data: bytes | None
    expires: int | None
    #: Position of the last wait still to wake.
    wakes_to: int | None = None
    #: The time of arrival; None: taken in by an older release.
    published: int | None = None
    #: When it first woke a wait.
    taken: int | None = None
    #: The wait that takes it, and whether that wait has ended with it; None: it may be taken.
    run: str | None = None
    wait: str | None = None
    attempt: int | None = None
    is_used: bool = False
    #: Strictly increasing in the channel; None: taken in by an older release.
    number: int | None = None
    #: Who published it; None: nobody says so.
    sent_by: str | None = None


class WaitRow(NamedTuple):
    """An open wait, or a reaction that is given events; without a position, a deletion."""

    channel: str
    run: str
    wait: str
    partition: int
    position: int | None
    attempt: int | None = None
    #: Whether it takes the event that ends it.
    takes: bool = False
    #: Of a reaction: the numbers of the last event that it has worked off, and of the one under way.
    cursor: int | None = None
    given: int | None = None


class ExpiredRow(NamedTuple):
    """An expired event without any taker, without data; the latest of an id."""

    channel: str
    id: str
    partition: int
    expired: int
    published: int | None = None
    sent_by: str | None = None


TABLES = (
    Table("channel_event", EventRow, key=2, needs="data"),
    Table("channel_wait", WaitRow, key=3, needs="position"),
    Table("channel_expired", ExpiredRow, key=2, is_loaded=False),
)


def write(channel: Channel, rows: Rows) -> None:
    """Add rows for all changes since the last save."""
    key, partition = channel.id, channel.partition
    rows.of(EventRow).extend(_event_row(channel, i) for i in channel.touched_events)
    waits = rows.of(WaitRow)
    for run, wait in channel.touched_waits:
        reader = channel.readers.get((run, wait))
        if reader is not None:
            waits.append(
                WaitRow(
                    key,
                    run,
                    wait,
                    partition,
                    0,
                    reader.ordinal,
                    takes=False,
                    cursor=reader.cursor,
                    given=reader.given,
                )
            )
            continue
        taker = channel.takers.get((run, wait))
        held = taker or channel.waits.get((run, wait))
        position, attempt = (None, None) if held is None else (held.position, held.attempt)
        waits.append(WaitRow(key, run, wait, partition, position, attempt, taker is not None))
    for event_id, event in channel.lost.items():
        row = ExpiredRow(key, event_id, partition, event.expires, event.published, event.by or None)
        rows.of(ExpiredRow).append(row)
    channel.lost.clear()
    channel.touched_events.clear()
    channel.touched_waits.clear()


def _event_row(channel: Channel, event_id: str) -> EventRow:
    event = channel.events.get(event_id)
    if event is None:
        return EventRow(channel.id, event_id, channel.partition, None, None)
    run, wait, attempt = event.holder or (None, None, None)
    return EventRow(
        channel.id, event_id, channel.partition, event.data, event.expires, event.wakes_to, event.published,
        event.taken, run, wait, attempt, event.is_used, event.number or None, event.by or None,
    )  # fmt: skip


def thaw(key: str, partition: int, parts: Parts, graphs: object) -> Channel:
    """Return the channel of these rows.

    Events as (channel, id, data, expires, wakes to, published, taken, run, wait, attempt, is used, number,
    sent by).
    Waits as (channel, run, wait, position, attempt, takes, cursor, given).
    """
    events, waits = parts
    channel = Channel(key, partition)
    channel.is_new = False
    for _, event_id, data, expires, wakes_to, published, taken, *holding, is_used, number, sent_by in events:
        holder = None if holding[0] is None else Holder(*holding)
        event = KeptEvent(
            data, expires, wakes_to, published, taken, holder, is_used, number or 0, sent_by or ""
        )
        channel.events[event_id] = event
        channel.payload += len(data)
        if holder is not None and event.is_offered:
            channel.offers[holder] = event_id
    channel.expiries = sorted((e.expires, i) for i, e in channel.events.items() if e.expires)
    channel.free = sorted((e.expires, i) for i, e in channel.events.items() if e.holder is None and e.expires)
    channel.order = sorted((e.number, i) for i, e in channel.events.items() if e.number)
    for _, run, wait, position, attempt, takes, cursor, given in sorted(waits, key=itemgetter(3, 1, 2)):
        if cursor is not None:
            channel.readers[run, wait] = Reader(attempt, cursor, given)
        else:
            (channel.takers if takes else channel.waits)[run, wait] = OpenWait(attempt, position)
    channel.cursors = sorted(reader.cursor for reader in channel.readers.values())
    channel.idle = sorted((r.cursor, *key) for key, r in channel.readers.items() if not r.given)
    waking = [(e.wakes_to, i) for i, e in channel.events.items() if e.wakes_to is not None]
    channel.waking.extend((i, wakes_to) for wakes_to, i in sorted(waking))
    due = (e.expires for e in channel.events.values() if e.wakes_to is None and e.expires)
    channel.due = min(due, default=None)
    return channel
