"""Channels as rows and back, column by column."""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from stream_durable.core.channel.state import Channel, KeptEvent, OpenWait
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


class WaitRow(NamedTuple):
    """An open wait; without a position, a deletion."""

    channel: str
    run: str
    wait: str
    partition: int
    position: int | None
    attempt: int | None = None


TABLES = (
    Table("channel_event", EventRow, key=2, needs="data"),
    Table("channel_wait", WaitRow, key=3, needs="position"),
)


def write(channel: Channel, rows: Rows) -> None:
    """Add rows for all changes since the last save."""
    key, partition = channel.id, channel.partition
    rows.of(EventRow).extend(
        EventRow(key, i, partition, *channel.events.get(i, (None, None))) for i in channel.touched_events
    )
    waits = rows.of(WaitRow)
    for run, wait in channel.touched_waits:
        held = channel.waits.get((run, wait))
        position, attempt = (None, None) if held is None else (held.position, held.attempt)
        waits.append(WaitRow(key, run, wait, partition, position, attempt))
    channel.touched_events.clear()
    channel.touched_waits.clear()


def thaw(key: str, partition: int, parts: Parts, graphs: object) -> Channel:
    """Return the channel of these rows.

    Events as (channel, id, data, expires, wakes to, published, taken).
    Waits as (channel, run, wait, position, attempt).
    """
    events, waits = parts
    channel = Channel(key, partition)
    channel.is_new = False
    for _, event_id, data, *kept in events:
        channel.events[event_id] = KeptEvent(data, *kept)
        channel.payload += len(data)
    channel.expiries = sorted((e.expires, i) for i, e in channel.events.items())
    for _, run, wait, position, attempt in sorted(waits, key=itemgetter(3, 1, 2)):
        channel.waits[run, wait] = OpenWait(attempt, position)
    waking = [(e.wakes_to, i) for i, e in channel.events.items() if e.wakes_to is not None]
    channel.waking.extend((i, wakes_to) for wakes_to, i in sorted(waking))
    channel.due = min((e.expires for e in channel.events.values() if e.wakes_to is None), default=None)
    return channel
