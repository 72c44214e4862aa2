"""Emissions of an attempt: records for topics of others, events, signals and starts of runs.

Emissions travel with the attempt's result, and leave when the result is saved as the step's. Ids are derived
from run, step, attempt and position: a repeat has the same id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec

from stream_durable.core.effects import Effects, Publication
from stream_durable.core.format import TRIGGERS
from stream_durable.core.ids import channel_id, child_id, clipped
from stream_durable.core.messages import (
    Emission,
    EmittedEvent,
    EmittedRecord,
    EmittedSignal,
    EmittedStart,
    EventPublished,
    EventUnkeyed,
    SignalRun,
    StartRun,
)

#: Most emissions of one attempt.
EMISSIONS_MAX = 1_000
#: Weight of an emission beside its bytes.
_LOAD = 1_000


class RefusedEmission(msgspec.Struct, frozen=True):
    """An emission refused by a topic for good."""

    id: str
    topic: str
    code: str
    reason: str


def emission_id(run: str, step: str, attempt: int, position: int) -> str:
    """Return the id of an attempt's emission; no id from outside has this form."""
    return child_id(run, f"{step}/{attempt}/{position}")


def emit(run: str, step: str, attempt: int, emissions: Sequence[Emission], out: Effects) -> None:
    """Add the effects of an attempt's emissions, in order."""
    for position, emission in enumerate(emissions, 1):
        _emit(emission, emission_id(run, step, attempt, position), (run, step, attempt), out)


def _event(emission: EmittedEvent, identity: str, run: str) -> EventPublished | EventUnkeyed:
    key, data = channel_id(emission.event, emission.event_key or identity), emission.data
    if not emission.event_key:
        return EventUnkeyed(key=clipped(key), id=identity, data=data, by=run, format=TRIGGERS)
    return EventPublished(key=key, id=identity, data=data, ttl_ms=emission.ttl_ms, by=run)


def _emit(emission: Emission, identity: str, origin: tuple[str, str, int], out: Effects) -> None:
    match emission:
        case EmittedRecord():
            out.load += _LOAD + len(emission.value or b"")
            out.publications.append(Publication(identity, *origin, emission))
        case EmittedEvent():
            out.load += _LOAD + len(emission.data)
            out.messages.append(_event(emission, identity, origin[0]))
        case EmittedSignal():
            out.load += _LOAD + len(emission.data)
            out.messages.append(
                SignalRun(
                    key=emission.run, id=identity, signal=emission.signal, data=emission.data, by=origin[0],
                    ttl_ms=emission.ttl_ms,
                )
            )  # fmt: skip
        case EmittedStart():
            out.load += _LOAD + len(emission.input)
            out.messages.append(
                StartRun(
                    key=emission.run, id=identity, workflow=emission.workflow,
                    fingerprint=emission.fingerprint, input=emission.input, tags=emission.tags,
                    trigger=clipped(f"run {origin[0]}"),
                )
            )  # fmt: skip
        case _:
            assert_never(emission)
