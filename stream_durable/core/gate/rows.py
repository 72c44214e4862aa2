"""Gates as rows and back, column by column."""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

import msgspec

from stream_durable.core.gate.state import Gate, Limits, Place, State
from stream_durable.core.tables import Parts, Rows, Table

_encode = msgspec.json.Encoder().encode


class GateRow(NamedTuple):
    """A gate without places."""

    name: str
    partition: int
    #: A JSON object.
    body: bytes


class PlaceRow(NamedTuple):
    """An attempt with a place at a gate, now or before."""

    gate: str
    run: str
    step: str
    partition: int
    attempt: int | None
    ordinal: int | None
    #: Whether it has passed; None: the place is to be forgotten.
    is_inside: bool | None


class _GateBody(msgspec.Struct):
    """The stored state of a gate, also read by the query `view_gate_list`."""

    state: State
    since: int
    due: int | None
    limits: Limits
    #: (when, run, step, attempt) of failures, oldest first.
    recent: list[tuple[int, str, str, int]]


_gate_body = msgspec.json.Decoder(_GateBody).decode


TABLES = (
    Table("gate", GateRow, key=1),
    Table("gate_place", PlaceRow, key=3, needs="is_inside"),
)


def write(gate: Gate, rows: Rows) -> None:
    """Add rows for all changes since the last save."""
    key, partition = gate.id, gate.partition
    if gate.is_touched and gate.limits is not None:
        recent = [(at, *failed) for failed, at in gate.recent.items()]
        body = _GateBody(gate.state, gate.since, gate.due, gate.limits, recent)
        rows.of(GateRow).append(GateRow(key, partition, _encode(body)))
    places = rows.of(PlaceRow)
    for run, step in gate.touched_places:
        inside = gate.inside.get((run, step))
        place = inside or gate.waiting.get((run, step))
        if place is None:
            places.append(PlaceRow(key, run, step, partition, None, None, None))
        else:
            places.append(PlaceRow(key, run, step, partition, *place, inside is not None))
    gate.is_touched = False
    gate.touched_places.clear()


def thaw(key: str, partition: int, parts: Parts, graphs: object) -> Gate | None:
    """Return the gate from rows (gate, body) and (gate, run, step, attempt, ordinal, is_inside)."""
    gates, places = parts
    if not gates:
        return None
    gate = Gate(key, partition)
    [(_, body)] = gates
    stored = _gate_body(body)
    gate.state, gate.since, gate.due, gate.limits = stored.state, stored.since, stored.due, stored.limits
    gate.recent = {(run, step, attempt): at for at, run, step, attempt in stored.recent}
    for _, run, step, attempt, ordinal, is_inside in sorted(places, key=itemgetter(4)):
        held = gate.inside if is_inside else gate.waiting
        held[run, step] = Place(attempt, ordinal)
    return gate
