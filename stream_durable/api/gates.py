"""Gates and breakers before dependencies: listed, shown, and changed at run time."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query
from fastapi.responses import Response

from stream_durable.api.bodies import GateBody, KeyBody, Ordered, ordered
from stream_durable.api.callers import TheCaller
from stream_durable.api.conditions import Conditions, Limit, Text
from stream_durable.api.places import Name
from stream_durable.api.problems import documented
from stream_durable.api.shapes import many, model, shape
from stream_durable.api.world import TheWorld
from stream_durable.client.state import moment
from stream_durable.core.errors import RejectedError
from stream_durable.core.gate.summary import GateSummary

router = APIRouter(prefix="/gates", tags=["gates"], responses=documented(400, 401, 403, 404, 422, 503))


class GateShown(NamedTuple):
    """A gate before a dependency."""

    name: str
    #: `closed`, `open` or `half-open`.
    state: str
    since: datetime
    #: When something happens next by itself: of an open gate, when one attempt may try.
    due: datetime | None
    failures: int
    failures_max: int
    #: Attempts that wait.
    waiting: int


class PlaceShown(NamedTuple):
    """An attempt waiting at a gate, or on trial."""

    run: str
    step: str
    attempt: int
    is_trial: bool


Gates = model("Gates", gates=many(GateShown))
GateWhole = shape(GateShown, "GateWhole", places=many(PlaceShown))


class GatePage(Conditions):
    """A page of gates."""

    limit: Limit = 1_000
    after: Text = ""


@router.get("", response_model=Gates)
async def list_gates(world: TheWorld, caller: TheCaller, which: Annotated[GatePage, Query()]) -> Response:
    """List the gates, by name."""
    views = world.ports.views
    found = await world.edge.ask(
        lambda: views.gate_list(after=which.after, limit=which.limit), "list the gates"
    )
    return caller.answer({"gates": list(map(gate_shown, found))})


@router.get("/{name}", response_model=GateWhole)
async def getgate_shown(world: TheWorld, caller: TheCaller, name: Name, limit: Limit = 100) -> Response:
    """Return a gate with trials, and the waiting attempts in order of passing."""
    views = world.ports.views
    gate = await world.edge.ask(lambda: views.gate_get(name), "read a gate")
    if gate is None:
        raise RejectedError(
            "unknown_gate", f"there is no gate {name[:128]!r}: the list of gates shows those there are"
        )
    places = await world.edge.ask(lambda: views.gate_places(name, limit=limit), "read a gate")
    shown = [PlaceShown(one.run, one.step, one.attempt, one.is_inside) for one in places]
    return caller.answer(gate_shown(gate)._asdict() | {"places": shown})


@router.patch("/{name}", response_model=Ordered, status_code=202)
async def set_gate(world: TheWorld, caller: TheCaller, name: Name, body: GateBody) -> Response:
    """Change limits of a gate, over deployments too, until they are reset; other limits stay."""
    await world.client.set_gate(
        name, key=body.key, at_once=body.at_once, rate=body.rate, burst=body.burst, weights=body.weights
    )
    return ordered(caller, name)


@router.post("/{name}/reset", response_model=Ordered, status_code=202)
async def reset_gate(world: TheWorld, caller: TheCaller, name: Name, body: KeyBody) -> Response:
    """Go back to the limits of the code."""
    await world.client.reset_gate(name, key=body.key)
    return ordered(caller, name)


@router.post("/{name}/probe", response_model=Ordered, status_code=202)
async def probe_breaker(world: TheWorld, caller: TheCaller, name: Name) -> Response:
    """Let one attempt behind an open breaker try now."""
    await world.client.probe_breaker(name)
    return ordered(caller, name)


def gate_shown(gate: GateSummary) -> GateShown:
    """Return a gate as shown by the API."""
    return GateShown(
        gate.name, gate.state, moment(gate.since), None if gate.due is None else moment(gate.due),
        gate.failures, gate.failures_max, gate.waiting,
    )  # fmt: skip
