"""Events for reactions: a channel gives them in order, as many as the reaction has room for.

A reaction has a cursor, the number up to which it has taken events in. Numbers increase strictly, and an
event is kept for the slowest reaction, so the channel is the queue. A message names its opening and number:
late, repeated or misplaced messages change nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from msgspec import Raw

from stream_durable.core.channel.state import Channel, Reader, WaitKey
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.format import READS
from stream_durable.core.messages import EventGiven, EventReacted, ReadClosed, ReadOpened
from stream_durable.core.status import Outcome

#: Waits woken and events given by one record at most, each, and bytes of the data sent to them.
PORTION: Final = 500
PORTION_BYTES: Final = 4_000_000

_number = itemgetter(0)


def open_read(channel: Channel, message: ReadOpened, now: int, out: Effects) -> Outcome:
    """Begin to give a reaction the events since a time; repeat events under way."""
    key = (message.run, message.reaction)
    held = channel.readers.get(key)
    if held is not None and held.ordinal >= message.ordinal:
        if held.ordinal > message.ordinal:
            return Outcome.LATE
        return _give_again(channel, key, held, now, out)
    if held is not None:
        _remove(channel, key, held)
    reader = Reader(message.ordinal, _before(channel, message.since))
    channel.readers[key] = reader
    insort(channel.cursors, reader.cursor)
    channel.touched_waits[key] = None
    _next(channel, key, reader, now, out)
    return Outcome.APPLIED


def reacted(channel: Channel, message: EventReacted, now: int, out: Effects) -> Outcome:
    """Give a reaction the next events."""
    key = (message.run, message.reaction)
    held = channel.readers.get(key)
    if held is None or held.ordinal != message.ordinal or held.given != message.number:
        return Outcome.LATE
    first = channel.cursors[0]
    del channel.cursors[bisect_left(channel.cursors, held.cursor)]
    insort(channel.cursors, message.number)
    reader = channel.readers[key] = Reader(held.ordinal, message.number)
    channel.touched_waits[key] = None
    _next(channel, key, reader, now, out, message.room)
    _forget_beyond(channel, first)
    return Outcome.APPLIED


def close_read(channel: Channel, message: ReadClosed, now: int, out: Effects) -> Outcome:
    """Give a reaction no more events, unless opened again after the message."""
    key = (message.run, message.reaction)
    held = channel.readers.get(key)
    if held is None or held.ordinal > message.ordinal:
        return Outcome.LATE
    _remove(channel, key, held)
    return Outcome.APPLIED


def _give_again(channel: Channel, key: WaitKey, held: Reader, now: int, out: Effects) -> Outcome:
    """Repeat events under way, or give the first one."""
    if held.given:
        order = channel.order
        last = bisect_right(order, held.given, key=_number)
        _give(channel, key, held, order[bisect_right(order, held.cursor, key=_number) : last], now, out)
    elif channel.order and channel.order[-1][0] > held.cursor:
        del channel.idle[bisect_left(channel.idle, (held.cursor, *key))]
        _give_after(channel, key, held, now, out)
    else:
        return Outcome.DUPLICATE
    return Outcome.APPLIED


def is_behind(channel: Channel) -> bool:
    """Return whether an idle reaction could be given an event."""
    return bool(channel.idle) and bool(channel.order) and channel.idle[0][0] < channel.order[-1][0]


def give_portion(channel: Channel, now: int, out: Effects) -> None:
    """Give the next events to idle reactions, within the bounds of a record."""
    idle, last = channel.idle, channel.order[-1][0] if channel.order else 0
    size = count = 0
    for cursor, run, reaction in idle[:PORTION]:
        if cursor >= last or size > PORTION_BYTES:
            break
        count += 1
        size += _give_after(channel, (run, reaction), channel.readers[run, reaction], now, out)
    del idle[:count]


def _next(channel: Channel, key: WaitKey, reader: Reader, now: int, out: Effects, room: int = 1) -> None:
    if channel.order and channel.order[-1][0] > reader.cursor:
        _give_after(channel, key, reader, now, out, room)
    else:
        insort(channel.idle, (reader.cursor, *key))


def _give_after(channel: Channel, key: WaitKey, reader: Reader, now: int, out: Effects, room: int = 1) -> int:
    """Give a reaction the first events beyond the cursor, within the bounds of a record; return the bytes."""
    first = bisect_right(channel.order, reader.cursor, key=_number)
    chosen: list[tuple[int, str]] = []
    size = 0
    for number, event_id in channel.order[first : first + min(room, PORTION)]:
        if chosen and size > PORTION_BYTES:
            break
        chosen.append((number, event_id))
        size += len(channel.events[event_id].data)
    given = channel.readers[key] = reader._replace(given=chosen[-1][0])
    channel.touched_waits[key] = None
    _give(channel, key, given, chosen, now, out)
    return size


def _give(
    channel: Channel, key: WaitKey, reader: Reader, chosen: Sequence[tuple[int, str]], now: int, out: Effects
) -> None:
    run, reaction = key
    for more, (number, event_id) in zip(range(len(chosen) - 1, -1, -1), chosen, strict=True):
        channel.note_taker(event_id, now)
        event = channel.events[event_id]
        given = EventGiven(
            key=run, reaction=reaction, id=event_id, data=Raw(event.data), ordinal=reader.ordinal,
            number=number, channel=channel.id, at=event.published or 0, by=event.by, more=more,
            format=READS,
        )  # fmt: skip
        out.messages.append(given)


def _before(channel: Channel, since: int) -> int:
    """Return the cursor of a reaction to events since a time."""
    at = bisect_left(channel.order, since, key=lambda entry: channel.events[entry[1]].published or 0)
    return channel.order[at][0] - 1 if at < len(channel.order) else channel.last_number


def _remove(channel: Channel, key: WaitKey, held: Reader) -> None:
    first = channel.cursors[0]
    del channel.readers[key]
    del channel.cursors[bisect_left(channel.cursors, held.cursor)]
    if not held.given:
        del channel.idle[bisect_left(channel.idle, (held.cursor, *key))]
    channel.touched_waits[key] = None
    _forget_beyond(channel, first)


def _forget_beyond(channel: Channel, cursor: int) -> None:
    """Forget events beyond a cursor, kept for reactions alone and given to all."""
    if channel.cursors and channel.cursors[0] == cursor:
        return
    order = channel.order
    to = bisect_right(order, channel.cursors[0], key=_number) if channel.cursors else len(order)
    for _, event_id in order[bisect_right(order, cursor, key=_number) : to]:
        event = channel.events[event_id]
        if not event.expires and not event.is_offered and event.wakes_to is None:
            channel.forget_event(event_id)


HANDLERS: Handlers = {ReadOpened: open_read, EventReacted: reacted, ReadClosed: close_read}
