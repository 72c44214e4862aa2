"""Gates and breakers as rows and back, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from stream_durable.core.gate import breaker_state
from stream_durable.core.gate.breaker_state import Breaker, State
from stream_durable.core.gate.limits import GateChange, GateLimits, KeysChange
from stream_durable.core.gate.line import Place, PlaceKey
from stream_durable.core.gate.state import Gate
from stream_durable.core.ids import CHILD_MARK
from stream_durable.core.orders import Orders
from stream_durable.core.tables import Parts, Rows, Table

_encode = msgspec.json.Encoder().encode


class GateRow(NamedTuple):
    """A gate or a breaker without places."""

    name: str
    partition: int
    #: A JSON object; None: the gate is to be forgotten.
    body: bytes | None


class PlaceRow(NamedTuple):
    """A place at a gate, or an attempt at a breaker, now or before."""

    gate: str
    run: str
    step: str
    partition: int
    attempt: int | None
    ordinal: int | None
    #: Whether it has passed; None: the place is to be forgotten.
    is_inside: bool | None
    #: From here on of gates alone.
    passes: int | None = None
    priority: int | None = None
    share: str | None = None
    units: int | None = None
    #: When it came, or, inside, when it passed.
    since: int | None = None
    lease: int | None = None


class TurnRow(NamedTuple):
    """The next turn of a key of a gate, now or before."""

    gate: str
    share: str
    partition: int
    #: None: the key is to be forgotten.
    turn: int | None


class _BreakerBody(msgspec.Struct, omit_defaults=True):
    """The stored state of a breaker, also read by the query `view_gate_list`."""

    state: State
    since: int
    due: int | None
    limits: breaker_state.Limits
    #: (when, run, step, attempt) of failures, oldest first.
    recent: list[tuple[int, str, str, int]]
    orders: Orders = {}


class _GateBody(msgspec.Struct, omit_defaults=True):
    """The stored state of a gate, also read by the query `view_gate_list`."""

    asked: GateLimits
    change: GateChange | None = None
    keys: KeysChange | None = None
    due: int | None = None
    full: int = 0
    last: int = 0
    now: int = 0
    orders: Orders = {}
    lows: list[tuple[int, int]] = []


_breaker_body = msgspec.json.Decoder(_BreakerBody).decode
_gate_body = msgspec.json.Decoder(_GateBody).decode


TABLES = (
    Table("gate", GateRow, key=1, needs="body"),
    Table("gate_place", PlaceRow, key=3, needs="is_inside"),
    Table("gate_turn", TurnRow, key=2, needs="turn"),
)


def write(gate: Gate | Breaker, rows: Rows) -> None:
    """Add rows for all changes since the last save."""
    if isinstance(gate, Gate):
        _write_gate(gate, rows)
    else:
        _write_breaker(gate, rows)
    gate.is_touched = False
    gate.touched_places.clear()


def thaw(key: str, partition: int, parts: Parts, graphs: object) -> Gate | Breaker | None:
    """Return the gate or the breaker from loaded rows."""
    gates, places, turns = parts
    if not gates:
        return None
    [(_, body)] = gates
    return (
        _thaw_gate(key, partition, body, places, turns)
        if CHILD_MARK in key
        else _thaw_breaker(key, partition, body, places)
    )


def _write_gate(gate: Gate, rows: Rows) -> None:
    key, partition, line = gate.id, gate.partition, gate.line
    if gate.is_touched:
        body = _GateBody(
            gate.asked, gate.change, gate.keys, gate.due, gate.full, gate.last, line.now, gate.orders,
            gate.lows,
        )  # fmt: skip
        rows.of(GateRow).append(GateRow(key, partition, None if gate.is_over else _encode(body)))
    places = rows.of(PlaceRow)
    for run, step in gate.touched_places:
        inside = gate.inside.get((run, step))
        place = inside or gate.waiting.get((run, step))
        if place is None:
            places.append(PlaceRow(key, run, step, partition, None, None, None))
        else:
            attempt, passes = place.turn
            places.append(
                PlaceRow(
                    key, run, step, partition, attempt, place.ordinal, inside is not None, passes,
                    place.priority, place.share, place.units, place.since, place.lease,
                )
            )  # fmt: skip
    if line.touched:
        rows.of(TurnRow).extend(
            TurnRow(key, share, partition, line.shares.get(share)) for share in line.touched
        )
        line.touched.clear()


def _thaw_gate(
    key: str, partition: int, body: bytes, places: Sequence[Sequence[Any]], turns: Sequence[Sequence[Any]]
) -> Gate:
    gate = Gate(key, partition)
    stored = _gate_body(body)
    gate.asked, gate.change, gate.keys, gate.due = stored.asked, stored.change, stored.keys, stored.due
    gate.full, gate.last, gate.line.now = stored.full, stored.last, stored.now
    gate.orders, gate.lows = stored.orders, stored.lows
    found: list[tuple[PlaceKey, Place, bool]] = []
    for row in sorted(places, key=itemgetter(4)):
        _, run, step, attempt, ordinal, is_inside, passes, priority, share, units, since, lease = row
        place = Place((attempt, passes), ordinal, since, share, priority, units, lease)
        found.append(((run, step), place, is_inside))
    gate.restore(found, {share: turn for _, share, turn in turns})
    return gate


def _write_breaker(gate: Breaker, rows: Rows) -> None:
    key, partition = gate.id, gate.partition
    if gate.is_touched and gate.limits is not None:
        recent = [(at, *failed) for failed, at in gate.recent.items()]
        body = _BreakerBody(gate.state, gate.since, gate.due, gate.limits, recent, gate.orders)
        rows.of(GateRow).append(GateRow(key, partition, _encode(body)))
    places = rows.of(PlaceRow)
    for run, step in gate.touched_places:
        inside = gate.inside.get((run, step))
        place = inside or gate.waiting.get((run, step))
        if place is None:
            places.append(PlaceRow(key, run, step, partition, None, None, None))
        else:
            places.append(PlaceRow(key, run, step, partition, *place, inside is not None))


def _thaw_breaker(key: str, partition: int, body: bytes, places: Sequence[Sequence[Any]]) -> Breaker:
    gate = Breaker(key, partition)
    stored = _breaker_body(body)
    gate.state, gate.since, gate.due, gate.limits = stored.state, stored.since, stored.due, stored.limits
    gate.orders = stored.orders
    gate.recent = {(run, step, attempt): at for at, run, step, attempt in stored.recent}
    for _, run, step, attempt, ordinal, is_inside, *_ in sorted(places, key=itemgetter(4)):
        held = gate.inside if is_inside else gate.waiting
        held[run, step] = breaker_state.Place(attempt, ordinal)
    return gate
