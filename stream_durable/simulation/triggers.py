"""Promises about triggers: each event fires what it matches, once, and nothing else is started so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stream_durable.core.messages import EventPublished, EventUnkeyed, StartTriggered
from stream_durable.core.status import Outcome
from stream_durable.core.triggers import Trigger, start_of
from stream_durable.simulation.oracle import Oracle
from stream_durable.simulation.world import World


def events_fire_their_triggers(world: World, oracle: Oracle) -> Iterator[str]:
    """Each applied event that a trigger matches has its start on the inbox, and each start has its event."""
    wanted: set[str] = set()
    found: set[str] = set()
    for judged in oracle.judged.values():
        message = judged.message
        if isinstance(message, EventPublished | EventUnkeyed) and judged.outcome is Outcome.APPLIED:
            triggers = (rule for rule in world.app.rules.values() if isinstance(rule, Trigger))
            starts = (start_of(trigger, message) for trigger in triggers)
            wanted.update(start.key for start in starts if start is not None)
        elif isinstance(message, StartTriggered):
            found.add(message.key)
    for run in () if world.lives.has_losses else wanted - found:
        yield f"run {run} was not started, and its event came"
    for run in () if world.lives.has_losses else found - wanted:
        yield f"run {run} was started, and its event never came"


TRIGGERS: tuple[Callable[[World, Oracle], Iterator[str]], ...] = (events_fire_their_triggers,)
