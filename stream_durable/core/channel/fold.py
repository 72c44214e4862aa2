"""Handlers for each message to a channel.

An event wakes the waits open on arrival. Of many waits, a portion is woken at once and the others by
continuation messages from the channel to itself, so that one record has bounded effects. A wait assigned to
an event keeps it, despite later events.

A wait that takes gets an event by an offer, which its run accepts or gives back: until then nobody else takes
the event, and it is kept beyond its time to live. When given back it goes to the next wait that takes.
"""

from __future__ import annotations

from itertools import islice

from msgspec import Raw

from stream_durable.core.channel import reading
from stream_durable.core.channel.reading import PORTION, PORTION_BYTES
from stream_durable.core.channel.state import Channel, Holder, KeptEvent, WaitKey
from stream_durable.core.effects import Effects, Handlers
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import TAKE
from stream_durable.core.ids import PAYLOAD_BYTES_MAX
from stream_durable.core.messages import (
    ChannelContinued,
    ChannelTimerFired,
    EventDelivered,
    EventOffered,
    EventPublished,
    EventTaken,
    EventUnkeyed,
    TakeOpened,
    WaitChecked,
    WaitClosed,
    WaitOpened,
)
from stream_durable.core.status import Outcome

_EXPIRY = ""
#: Events kept by a channel at most; one more is refused, and kept as evidence.
EVENTS_MAX = 10_000
EVENTS_BYTES_MAX = 16_000_000
#: A message opening a wait and older than this may come from a replaced owner: the run is asked whether it
#: still waits.
LATE_MS = 3_000


def publish(channel: Channel, message: EventPublished, now: int, out: Effects) -> Outcome:
    """Wake every open wait, offer the event to one that takes, and keep it for future waits."""
    if message.id in channel.events:
        return Outcome.DUPLICATE
    data = bytes(message.data)
    if len(data) > PAYLOAD_BYTES_MAX:
        raise RejectedError("too_large", f"an event has at most {PAYLOAD_BYTES_MAX} bytes of data")
    if len(channel.events) >= EVENTS_MAX or channel.payload + len(data) > EVENTS_BYTES_MAX:
        raise RejectedError("channel_full", f"channel {channel.id!r} keeps as many events as it may")
    last = channel.last_position
    wakes_to = last if last > channel.claimed else None
    taken = None if wakes_to is None else now
    was_going_on = _is_going_on(channel)
    number = channel.last_number + 1
    kept = KeptEvent(data, now + message.ttl_ms, wakes_to, now, taken, number=number, by=message.by)
    channel.keep_event(message.id, kept)
    channel.touched_events[message.id] = None
    if channel.takers:
        _offer_to_next(channel, message.id, now, out)
    if wakes_to is not None:
        channel.waking.append((message.id, wakes_to))
    if not was_going_on:
        _go_on(channel, now, out)
    _plan(channel, out)
    out.happened.append(message)
    return Outcome.APPLIED


def pass_on(channel: Channel, message: EventUnkeyed, now: int, out: Effects) -> Outcome:
    """Show triggers an event without a key, and keep nothing of it."""
    if len(bytes(message.data)) > PAYLOAD_BYTES_MAX:
        raise RejectedError("too_large", f"an event has at most {PAYLOAD_BYTES_MAX} bytes of data")
    out.happened.append(message)
    return Outcome.APPLIED


def go_on(channel: Channel, message: ChannelContinued, now: int, out: Effects) -> Outcome:
    """Wake the next portion of the waits that events are to wake, and give some to reactions."""
    if not _is_going_on(channel):
        return Outcome.LATE
    _go_on(channel, now, out)
    _plan(channel, out)
    return Outcome.APPLIED


def open_wait(channel: Channel, message: WaitOpened, now: int, out: Effects) -> Outcome:
    """Answer a wait from the kept event that expires first, or note the wait."""
    key = (message.run, message.wait)
    held = channel.waits.get(key)
    if held is not None:
        if held.attempt > message.attempt > 0:
            return Outcome.LATE
        if held.attempt == message.attempt or not message.attempt:
            return _answer_claimed(channel, key, out)
        channel.remove_wait(key)
    over = channel.expired(now)
    if over < len(channel.expiries):
        event_id = channel.expiries[over][1]
        channel.note_taker(event_id, now)
        _deliver(channel, key, message.attempt, event_id, out)
        return Outcome.APPLIED
    channel.add_wait(key, message.attempt)
    _check_late(channel, message, now, out)
    return Outcome.APPLIED


def open_taker(channel: Channel, message: TakeOpened, now: int, out: Effects) -> Outcome:
    """Offer a wait the kept event that expires first of those to take, or note the wait."""
    key, holder = (message.run, message.wait), Holder(message.run, message.wait, message.attempt)
    if holder in channel.offers:
        _offer(channel, holder, channel.offers[holder], now, out)
        return Outcome.APPLIED
    held = channel.takers.get(key)
    if held is not None:
        if held.attempt >= message.attempt:
            return Outcome.LATE if held.attempt > message.attempt else Outcome.DUPLICATE
        channel.remove_wait(key)
    event_id = channel.next_free(now)
    if event_id is not None:
        _offer(channel, holder, event_id, now, out)
        return Outcome.APPLIED
    channel.add_taker(key, message.attempt)
    _check_late(channel, message, now, out)
    return Outcome.APPLIED


def take(channel: Channel, message: EventTaken, now: int, out: Effects) -> Outcome:
    """Note that the offered event has ended the wait."""
    holder = Holder(message.run, message.wait, message.attempt)
    event = channel.events.get(message.id)
    if event is None or event.holder != holder:
        return Outcome.LATE
    if event.is_used:
        return Outcome.DUPLICATE
    channel.use_event(message.id)
    return Outcome.APPLIED


def close_wait(channel: Channel, message: WaitClosed, now: int, out: Effects) -> Outcome:
    """Remove a wait, unless opened again after the message; what it was offered is free again."""
    key = (message.run, message.wait)
    offered = channel.offers.get(Holder(*key, message.attempt))
    if offered is not None:
        _give_back(channel, offered, now, out)
        return Outcome.APPLIED
    held = channel.waits.get(key) or channel.takers.get(key)
    if held is None or held.attempt > message.attempt > 0:
        return Outcome.LATE
    channel.remove_wait(key)
    return Outcome.APPLIED


def expire(channel: Channel, message: ChannelTimerFired, now: int, out: Effects) -> Outcome:
    """Drop expired events, and offer again those without an answer."""
    if message.due != channel.due or out.plan_again(("channel", channel.id, _EXPIRY), message.due, now):
        return Outcome.LATE
    waking = {event_id for event_id, _ in channel.waking}
    for _, event_id in channel.expiries[: channel.expired(message.due)]:
        if event_id in waking:
            continue
        event = channel.events[event_id]
        if event.is_offered or channel.is_to_read(event):
            channel.outlast(event_id)
            if event.is_offered:
                # The answer may be lost with a log, and nothing else would bring it.
                out.messages.append(_offer_of(channel, event_id))
        else:
            channel.lose_event(event_id)
    channel.due = None
    _plan(channel, out)
    if channel.due is None:
        out.timers["channel", channel.id, _EXPIRY] = None
    return Outcome.APPLIED


def _is_going_on(channel: Channel) -> bool:
    """Return whether a continuation is on its way."""
    return bool(channel.waking) or reading.is_behind(channel)


def _go_on(channel: Channel, now: int, out: Effects) -> None:
    if channel.waking:
        _wake_portion(channel, out)
    if channel.idle:
        reading.give_portion(channel, now, out)
    if _is_going_on(channel):
        out.messages.append(ChannelContinued(key=channel.id))


def _wake_portion(channel: Channel, out: Effects) -> None:
    """Wake the oldest waits of those that the oldest such event wakes."""
    event_id, wakes_to = channel.waking[0]
    event = channel.events[event_id]
    limit = max(1, min(PORTION, PORTION_BYTES // (len(event.data) + 1)))
    portion = [key for key, held in islice(channel.waits.items(), limit) if held.position <= wakes_to]
    for key in portion:
        _deliver(channel, key, channel.waits[key].attempt, event_id, out)
        channel.remove_wait(key)
    if not channel.waits or channel.waits[next(iter(channel.waits))].position > wakes_to:
        channel.waking.popleft()
        channel.events[event_id] = event._replace(wakes_to=None)
        channel.touched_events[event_id] = None


def _answer_claimed(channel: Channel, key: WaitKey, out: Effects) -> Outcome:
    """Answer a repeated wait assigned to an event still being delivered."""
    held = channel.waits[key]
    for event_id, wakes_to in channel.waking:
        if held.position <= wakes_to:
            _deliver(channel, key, held.attempt, event_id, out)
            channel.remove_wait(key)
            return Outcome.APPLIED
    return Outcome.DUPLICATE


def _give_back(channel: Channel, event_id: str, now: int, out: Effects) -> None:
    """Offer an event to the next wait that takes, or keep it for the rest of its time."""
    if channel.takers:
        channel.withdraw_offer(event_id)
        _offer_to_next(channel, event_id, now, out)
    else:
        channel.free_event(event_id)


def _offer_to_next(channel: Channel, event_id: str, now: int, out: Effects) -> None:
    key, held = next(iter(channel.takers.items()))
    channel.remove_wait(key)
    _offer(channel, Holder(*key, held.attempt), event_id, now, out)


def _offer(channel: Channel, holder: Holder, event_id: str, now: int, out: Effects) -> None:
    channel.offer_event(event_id, holder, now)
    out.messages.append(_offer_of(channel, event_id))


def _offer_of(channel: Channel, event_id: str) -> EventOffered:
    event = channel.events[event_id]
    assert event.holder is not None
    run, wait, attempt = event.holder
    return EventOffered(
        key=run, wait=wait, id=event_id, data=Raw(event.data), attempt=attempt, channel=channel.id,
        format=TAKE, by=event.by, at=event.published or 0,
    )  # fmt: skip


def _check_late(channel: Channel, message: WaitOpened, now: int, out: Effects) -> None:
    """Ask the run whether it still waits, if the message may come from a replaced owner."""
    if message.since and now - message.since > LATE_MS:
        check = WaitChecked(key=message.run, wait=message.wait, channel=channel.id, attempt=message.attempt)
        out.messages.append(check)


def _deliver(channel: Channel, key: WaitKey, attempt: int, event_id: str, out: Effects) -> None:
    run, wait = key
    event = channel.events[event_id]
    out.messages.append(
        EventDelivered(
            key=run, wait=wait, id=event_id, data=Raw(event.data), attempt=attempt, by=event.by,
            at=event.published or 0,
        )
    )  # fmt: skip


def _plan(channel: Channel, out: Effects) -> None:
    """Plan a timer for the next expiry."""
    waking = {event_id for event_id, _ in channel.waking}
    due = next((expires for expires, event_id in channel.expiries if event_id not in waking), None)
    if due != channel.due:
        channel.due = due
        out.timers["channel", channel.id, _EXPIRY] = due


HANDLERS: Handlers = {
    EventPublished: publish,
    EventUnkeyed: pass_on,
    WaitOpened: open_wait,
    TakeOpened: open_taker,
    EventTaken: take,
    WaitClosed: close_wait,
    ChannelContinued: go_on,
    ChannelTimerFired: expire,
    **reading.HANDLERS,
}
