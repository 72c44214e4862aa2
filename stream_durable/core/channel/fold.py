"""What each message means for a channel."""

from __future__ import annotations

from msgspec import Raw

from stream_durable.core.channel.state import Channel
from stream_durable.core.effects import Effects
from stream_durable.core.errors import RejectedError
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.messages import (
    ChannelTimerFired,
    EventDelivered,
    EventPublished,
    WaitClosed,
    WaitOpened,
)
from stream_durable.core.status import Outcome

_EXPIRY = ""
#: What a channel keeps until it expires; one more event is refused, and kept as evidence.
EVENTS_MAX = 10_000
EVENTS_BYTES_MAX = 16_000_000


def publish(channel: Channel, message: EventPublished, now: int, out: Effects) -> Outcome:
    """Wake every wait that is open and keep the event for those that are still to come."""
    if message.id in channel.events:
        return Outcome.DUPLICATE
    data = bytes(message.data)
    if len(data) > PAYLOAD_BYTES_MAX:
        raise RejectedError("too_large", f"an event has at most {PAYLOAD_BYTES_MAX} bytes of data")
    if len(channel.events) >= EVENTS_MAX or channel.payload + len(data) > EVENTS_BYTES_MAX:
        raise RejectedError("channel_full", f"channel {channel.id!r} keeps as many events as it may")
    channel.events[message.id] = (data, now + message.ttl_ms)
    channel.payload += len(data)
    channel.touched_events[message.id] = None
    for run, wait in sorted(channel.waits):
        channel.touched_waits[run, wait] = None
        out.messages.append(EventDelivered(key=run, wait=wait, id=message.id, data=message.data))
    channel.waits.clear()
    _plan(channel, out)
    return Outcome.APPLIED


def open_wait(channel: Channel, message: WaitOpened, now: int, out: Effects) -> Outcome:
    """Answer a wait from the kept event that expires first, or note the wait."""
    key = (message.run, message.wait)
    if key in channel.waits:
        return Outcome.DUPLICATE
    kept = [(expires, i) for i, (_, expires) in channel.events.items() if expires > now]
    if kept:
        _, event_id = min(kept)
        data = Raw(channel.events[event_id][0])
        out.messages.append(EventDelivered(key=message.run, wait=message.wait, id=event_id, data=data))
        return Outcome.APPLIED
    channel.waits.add(key)
    channel.touched_waits[key] = None
    return Outcome.APPLIED


def close_wait(channel: Channel, message: WaitClosed, now: int, out: Effects) -> Outcome:
    """Forget a wait."""
    key = (message.run, message.wait)
    if key not in channel.waits:
        return Outcome.LATE
    channel.waits.remove(key)
    channel.touched_waits[key] = None
    return Outcome.APPLIED


def expire(channel: Channel, message: ChannelTimerFired, now: int, out: Effects) -> Outcome:
    """Drop the events whose time is over."""
    if message.due != channel.due:
        return Outcome.LATE
    for event_id in [e for e, (_, expires) in channel.events.items() if expires <= message.due]:
        channel.payload -= len(channel.events.pop(event_id)[0])
        channel.touched_events[event_id] = None
    channel.due = None
    _plan(channel, out)
    if channel.due is None:
        out.timers["channel", channel.id, _EXPIRY] = None
    return Outcome.APPLIED


def _plan(channel: Channel, out: Effects) -> None:
    """Ask to be told when the next event expires."""
    due = min((expires for _, expires in channel.events.values()), default=None)
    if due != channel.due:
        channel.due = due
        out.timers["channel", channel.id, _EXPIRY] = due
