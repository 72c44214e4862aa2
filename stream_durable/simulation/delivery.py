"""Promises about messages on their way: an event ends one wait that takes, what is for later is sent once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from stream_durable.core.channel.state import Holder
from stream_durable.core.messages import (
    CancelLater,
    Deferrable,
    EventOffered,
    EventPublished,
    LaterTimerFired,
    SendLater,
)
from stream_durable.core.status import Outcome
from stream_durable.simulation.oracle import Oracle
from stream_durable.simulation.world import World

_EARLY_MS = 1_000
#: What is due so shortly before the end of the world may be under way.
_LATE_MS = 5_000


def an_event_is_taken_by_one(world: World, oracle: Oracle) -> Iterator[str]:
    """Of the waits that take, one gets an event; none, nor a reaction, waits beside one; all is answered."""
    yield from oracle.left_lying
    takers: dict[tuple[str, str], set[Holder]] = {}
    for run in oracle.runs():
        for folded in oracle.applied.get(run.id, ()):
            offer = folded.message
            if not isinstance(offer, EventOffered):
                continue
            taker = Holder(run.id, offer.wait, offer.attempt)
            takers.setdefault((offer.channel, offer.id), set()).add(taker)
    # A repeat after the time to live is another event.
    published = Counter(
        (judged.message.key, judged.message.id)
        for judged in oracle.judged.values()
        if isinstance(judged.message, EventPublished) and judged.outcome is Outcome.APPLIED
    )
    for (name, event_id), ended in takers.items():
        if len(ended) > published[name, event_id]:
            yield f"{event_id!r} of {name!r} ended {sorted(ended)}"
    for channel in () if world.lives.has_losses else oracle.channels():
        for holder, event_id in channel.offers.items():
            yield f"{event_id!r} of {channel.id!r} was offered to {holder}, which has not answered"
        for event_id, event in channel.events.items():
            ended = takers.get((channel.id, event_id), set())
            if event.is_used and event.holder not in ended:
                yield f"{event_id!r} of {channel.id!r} is used by {event.holder}, and ended {sorted(ended)}"


def what_is_for_later_is_sent_once(world: World, oracle: Oracle) -> Iterator[str]:
    """A message for later that was not cancelled is sent once, and a cancelled one never."""
    # By key too: what a run holds is sent on, under the same id, to the run that takes that one in.
    sent = Counter(
        (message.key, message.id) for message in oracle.messages if isinstance(message, Deferrable)
    )
    moments: dict[str, int] = {}
    messages: dict[str, SendLater] = {}
    cancelled: set[str] = set()
    reached = max(judged.clock for judged in oracle.judged.values())
    for judged in oracle.judged.values():
        message, is_applied = judged.message, judged.outcome is Outcome.APPLIED
        if isinstance(message, SendLater) and is_applied:
            messages[message.key] = message
            moments[message.key] = (
                judged.clock + (message.after_ms or 0) if message.at is None else message.at
            )
        elif isinstance(message, CancelLater) and is_applied:
            cancelled.add(message.key)
        elif (
            isinstance(message, LaterTimerFired)
            and is_applied
            and judged.clock < moments[message.key] - _EARLY_MS
        ):
            yield f"{message.key} was sent {moments[message.key] - judged.clock} ms early"
    for key, message in messages.items():
        wanted = 0 if key in cancelled else 1
        times = sent[message.message.key, message.message.id]
        if not times and moments[key] > reached - _LATE_MS:
            continue
        if times != wanted:
            yield f"{key} was sent {times} times, where {wanted} is right"


DELIVERY: tuple[Callable[[World, Oracle], Iterator[str]], ...] = (
    an_event_is_taken_by_one,
    what_is_for_later_is_sent_once,
)
