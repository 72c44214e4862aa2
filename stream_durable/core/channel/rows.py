"""Channels as rows and back: what the store keeps of them, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from stream_durable.core.channel.state import Channel, KeptEvent, OpenWait


class EventRow(NamedTuple):
    """An event that a channel keeps; without data it is to be forgotten."""

    channel: str
    id: str
    partition: int
    data: bytes | None
    expires: int | None
    #: Position of the last wait that it is still to wake.
    wakes_to: int | None = None


class WaitRow(NamedTuple):
    """A wait that is open on a channel; without a position it is to be forgotten."""

    channel: str
    run: str
    wait: str
    partition: int
    position: int | None
    attempt: int | None = None


def channel_rows(channel: Channel) -> tuple[list[EventRow], list[WaitRow]]:
    """Return what changed in a channel since it was last stored."""
    key, partition = channel.id, channel.partition
    events = [
        EventRow(key, i, partition, *channel.events.get(i, (None, None))) for i in channel.touched_events
    ]
    waits = []
    for run, wait in channel.touched_waits:
        held = channel.waits.get((run, wait))
        position, attempt = (None, None) if held is None else (held.position, held.attempt)
        waits.append(WaitRow(key, run, wait, partition, position, attempt))
    return events, waits


def thaw_channel(
    key: str, partition: int, events: Iterable[Sequence[Any]], waits: Iterable[Sequence[Any]]
) -> Channel:
    """Return the channel with these (id, data, expires, wakes to) and (run, wait, position, attempt)."""
    channel = Channel(key, partition)
    channel.is_new = False
    for event_id, data, expires, wakes_to in events:
        channel.events[event_id] = KeptEvent(data, expires, wakes_to)
        channel.payload += len(data)
    channel.expiries = sorted((e.expires, i) for i, e in channel.events.items())
    for run, wait, position, attempt in sorted(waits, key=itemgetter(2, 0, 1)):
        channel.waits[run, wait] = OpenWait(attempt, position)
    waking = [(e.wakes_to, i) for i, e in channel.events.items() if e.wakes_to is not None]
    channel.waking.extend((i, wakes_to) for wakes_to, i in sorted(waking))
    channel.due = min((e.expires for e in channel.events.values() if e.wakes_to is None), default=None)
    return channel
