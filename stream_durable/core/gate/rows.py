"""Gates as rows and back: what the store keeps of them, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from stream_durable.core.gate.state import Gate, Limits, Place, State

_encode = msgspec.json.Encoder().encode


class GateRow(NamedTuple):
    """A gate but for its places."""

    name: str
    partition: int
    #: A JSON object.
    body: bytes


class PlaceRow(NamedTuple):
    """An attempt that has its place at a gate, or had it."""

    gate: str
    run: str
    step: str
    partition: int
    attempt: int | None
    ordinal: int | None
    #: Whether it has passed; None: the place is to be forgotten.
    is_inside: bool | None


class _GateBody(msgspec.Struct):
    """What a gate remembers, as the query `view_gate_list` reads it."""

    state: State
    since: int
    due: int | None
    limits: Limits
    #: (when, run, step, attempt) of failures, oldest first.
    recent: list[tuple[int, str, str, int]]


_gate_body = msgspec.json.Decoder(_GateBody).decode


def gate_rows(gate: Gate) -> tuple[list[GateRow], list[PlaceRow]]:
    """Return what changed in a gate since it was last stored."""
    key, partition = gate.id, gate.partition
    made = []
    if gate.is_touched and gate.limits is not None:
        recent = [(at, *failed) for failed, at in gate.recent.items()]
        body = _GateBody(gate.state, gate.since, gate.due, gate.limits, recent)
        made.append(GateRow(key, partition, _encode(body)))
    places = []
    for run, step in gate.touched_places:
        inside = gate.inside.get((run, step))
        place = inside or gate.waiting.get((run, step))
        if place is None:
            places.append(PlaceRow(key, run, step, partition, None, None, None))
        else:
            places.append(PlaceRow(key, run, step, partition, *place, inside is not None))
    return made, places


def thaw_gate(key: str, partition: int, body: bytes, places: Iterable[Sequence[Any]]) -> Gate:
    """Return the gate with this body and these (run, step, attempt, ordinal, is_inside)."""
    gate = Gate(key, partition)
    stored = _gate_body(body)
    gate.state, gate.since, gate.due, gate.limits = stored.state, stored.since, stored.due, stored.limits
    gate.recent = {(run, step, attempt): at for at, run, step, attempt in stored.recent}
    for run, step, attempt, ordinal, is_inside in sorted(places, key=lambda place: place[3]):
        held = gate.inside if is_inside else gate.waiting
        held[run, step] = Place(attempt, ordinal)
    return gate
