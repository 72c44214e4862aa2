"""The promise to waits that take: an event ends one of them, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Iterator

from stream_durable.core.channel.state import Holder
from stream_durable.core.messages import EventOffered
from stream_durable.simulation.oracle import Oracle
from stream_durable.simulation.world import World


def an_event_is_taken_by_one(world: World, oracle: Oracle) -> Iterator[str]:
    """Of the waits that take, one gets an event, none waits beside one, and offers are answered."""
    yield from oracle.left_lying
    takers: dict[tuple[str, str], Holder] = {}
    for run in oracle.runs():
        for folded in oracle.applied.get(run.id, ()):
            offer = folded.message
            if not isinstance(offer, EventOffered):
                continue
            taker = Holder(run.id, offer.wait, offer.attempt)
            first = takers.setdefault((offer.channel, offer.id), taker)
            if first != taker:
                yield f"{offer.id!r} of {offer.channel!r} ended {first} and {taker}"
    for channel in () if world.lives.has_losses else oracle.channels():
        for holder, event_id in channel.offers.items():
            yield f"{event_id!r} of {channel.id!r} was offered to {holder}, which has not answered"
        for event_id, event in channel.events.items():
            ended = takers.get((channel.id, event_id))
            if event.is_used and event.holder != ended:
                yield f"{event_id!r} of {channel.id!r} is used by {event.holder}, and ended {ended}"
