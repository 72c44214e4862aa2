"""Decides what does not follow from the inbox, so that it goes on the log: which triggers an event fires, the
version of a workflow that a schedule or a trigger starts, the current one at publication, and the declared
limits of all keys of a gate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from stream_durable.admission import failure_of
from stream_durable.core.effects import Effects
from stream_durable.core.errors import TransientError
from stream_durable.core.gate.limits import KeysChange
from stream_durable.core.ids import CHILD_MARK
from stream_durable.core.messages import PlaceAsked, StartTriggered
from stream_durable.core.triggers import Trigger, start_of
from stream_durable.engine.batch import Folding
from stream_durable.ports import Current
from stream_durable.retrying import retry_transient

#: Definitions that were known before will do if reading takes longer: others wait with this batch.
_PATIENCE_SECONDS = 1.0


async def resolve(foldings: Sequence[Folding], definitions: Current) -> None:
    """Add the starts of triggers, and put current fingerprints into starts, and limits into requests to pass.

    An impossible start carries the reason, and is refused by the fold.
    """
    if any(folding.effects.has_new_rules for folding in foldings):
        await retry_transient(definitions.catch_up, "read the definitions")
    declared = definitions.declared
    if declared.by_event or declared.gates:
        for folding in foldings:
            _fire(folding.effects, declared.by_event)
            limit(folding.effects, declared.gates)
    starts = [start for folding in foldings for start in folding.effects.starts]
    if not starts:
        return
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await definitions.catch_up()
    except (TransientError, TimeoutError):
        if any(definitions.current(start.workflow) is None for start in starts):
            await retry_transient(definitions.catch_up, "read the definitions")
    for start in starts:
        start.fingerprint = definitions.current(start.workflow) or ""
        if isinstance(start, StartTriggered) and start.failure is None:
            start.failure = failure_of(start, definitions)


def limit(effects: Effects, gates: Mapping[str, KeysChange]) -> None:
    """Put the declared limits of all keys of a gate into requests to pass."""
    for message in effects.messages if gates else ():
        if type(message) is PlaceAsked:
            name, _, key = message.key.partition(CHILD_MARK)
            if key:
                message.keys = gates.get(name)


def _fire(effects: Effects, by_event: dict[str, list[Trigger]]) -> None:
    for event in effects.happened:
        for trigger in by_event.get(event.key.partition("/")[0], ()):
            start = start_of(trigger, event)
            if start is not None:
                effects.messages.append(start)
                effects.starts.append(start)
