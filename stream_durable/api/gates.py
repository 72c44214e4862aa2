"""Gates and breakers before dependencies: listed, shown, and changed at run time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.bodies import GateBody, KeyBody, MayReason, Ordered, ordered, why
from stream_durable.api.callers import TheCaller
from stream_durable.api.conditions import Conditions, Limit, Text
from stream_durable.api.places import Name
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model, shape
from stream_durable.api.world import TheWorld
from stream_durable.client.latest import OrderState, order_states
from stream_durable.core.gate.summary import GatePlace, GateSummary
from stream_durable.core.moments import moment

router = APIRouter(prefix="/gates", tags=["gates"], responses=documented(400, 401, 403, 404, 422, 503))


class GateShown(NamedTuple):
    """A gate with places or rates, or a breaker before a dependency."""

    id: str
    name: str
    #: The key of a gate with limits for each key.
    key: str
    kind: Literal["breaker", "gate"]
    #: Of a breaker `closed`, `open` or `half-open`; of a gate `free`, or `full` while somebody waits.
    state: str
    #: The limits of a gate in force, in words.
    limits: str
    #: Whether these limits are of no definition.
    is_changed: bool
    #: When the state of a breaker began.
    since: datetime | None
    #: When something happens next by itself: of an open breaker, when one attempt may try.
    due: datetime | None
    failures: int
    failures_max: int
    #: Those inside of a gate.
    inside: int
    #: Those that wait.
    waiting: int
    #: The latest order of each act.
    orders: tuple[OrderState, ...]


class PlaceShown(NamedTuple):
    """A run, or an attempt of a step, inside of a gate, on trial at a breaker, or waiting."""

    run: str
    #: Empty: the run as a whole.
    step: str
    attempt: int
    is_inside: bool
    #: Of a place at a gate: the turn, the priority, the key with the turn, and the units.
    number: int
    priority: int | None
    share: str | None
    units: int | None
    since: datetime | None


Gates = model("Gates", gates=many(GateShown))
GateWhole = shape(GateShown, "GateWhole", places=many(PlaceShown))


class GatePage(Conditions):
    """A page of gates."""

    limit: Limit = 1_000
    after: Text = ""


@router.get("", response_model=Gates)
async def list_gates(world: TheWorld, caller: TheCaller, which: Annotated[GatePage, Query()]) -> Response:
    """List the gates and breakers, by id."""
    found = await world.client.gates(limit=which.limit, after=which.after)
    return caller.answer({"gates": list(map(gate_shown, found))})


@router.get("/{name}", response_model=GateWhole)
async def get_gate(
    world: TheWorld, caller: TheCaller, name: Name, key: Text = "", limit: Limit = 100
) -> Response:
    """Return a gate or a breaker with those inside, and those waiting in order of passing."""
    gate, places = await world.client.gate(name, key=key, limit=limit)
    return caller.answer(gate_shown(gate)._asdict() | {"places": list(map(_place_shown, places))})


@router.patch("/{name}", response_model=Ordered, status_code=202)
async def set_gate(world: TheWorld, caller: TheCaller, name: Name, body: GateBody) -> Response:
    """Change limits of a gate, over deployments too, until they are reset; other limits stay."""
    await world.client.set_gate(
        name, key=body.key, at_once=body.at_once, rate=body.rate, burst=body.burst, weights=body.weights,
        all_keys=body.all_keys,
        reason=body.reason, by=caller.name,
    )  # fmt: skip
    return ordered(caller, name)


@router.post("/{name}/reset", response_model=Ordered, status_code=202)
async def reset_gate(world: TheWorld, caller: TheCaller, name: Name, body: KeyBody) -> Response:
    """Go back to the limits of the code."""
    await world.client.reset_gate(
        name, key=body.key, all_keys=body.all_keys, reason=body.reason, by=caller.name
    )
    return ordered(caller, name)


@router.post("/{name}/probe", response_model=Ordered, status_code=202)
async def probe_breaker(world: TheWorld, caller: TheCaller, name: Name, body: MayReason = None) -> Response:
    """Let one attempt behind an open breaker try now."""
    await world.client.probe_breaker(name, reason=why(body), by=caller.name)
    return ordered(caller, name)


def gate_shown(gate: GateSummary) -> GateShown:
    """Return a gate as shown by the API."""
    is_breaker = gate.kind == "breaker"
    return GateShown(
        gate.id, gate.name, gate.key, gate.kind, gate.state, gate.limits_text, gate.is_changed,
        moment(gate.since) if is_breaker else None, moment(gate.due), gate.failures, gate.failures_max,
        gate.inside, gate.waiting, order_states(gate.orders),
    )  # fmt: skip


def _place_shown(place: GatePlace) -> PlaceShown:
    return PlaceShown(
        place.run, place.step, place.attempt, place.is_inside, place.ordinal, place.priority, place.share,
        place.units, moment(place.since),
    )  # fmt: skip
