"""Limits of all keys of a gate, changed and reset at run time.

They are declared beside the definitions, and requests to pass carry them from then on. Known keys get a
message besides: calls may wait there, without another request for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final
from uuid import uuid4

from stream_durable.client.edge import Edge
from stream_durable.client.filter import since_epoch
from stream_durable.client.rules import read_declared
from stream_durable.core.declared import changed_keys
from stream_durable.core.definition.graph import Graph
from stream_durable.core.definition.guards import Gate
from stream_durable.core.definition.nodes import gate_of
from stream_durable.core.errors import RejectedError
from stream_durable.core.format import GATES
from stream_durable.core.gate.limits import GateChange, KeysChange
from stream_durable.core.gate.state import gate_id
from stream_durable.core.gate.summary import RESET_KEYS, SET_KEYS, GateSummary
from stream_durable.core.messages import SetGateKeys

#: Keys made meanwhile by requests on their way are known after so long, and get the message then.
_SECONDS: Final = 2.0
_PAGE: Final = 1_000


async def set_keys(edge: Edge, name: str, change: GateChange | None, *, reason: str, by: str) -> None:
    """Change limits of all keys of a gate, or with None reset them, from now on."""
    declared = await read_declared(edge)
    await _check(edge, name)
    before = declared.gates.get(name)
    if before is None or before.change is None:
        if change is None:
            return
    elif change is not None:
        change = before.change.merged(change)
    now = since_epoch("now", edge.now())
    keys = KeysChange(
        change=change,
        at=now if before is None else max(now, before.at + 1),
        id=uuid4().hex,
        by=by,
        reason=reason,
    )
    await edge.ask(
        lambda: edge.ports.catalogue.declare([changed_keys(name, keys)]), f"change all keys of gate {name!r}"
    )
    await _spread(edge, name, keys)
    await asyncio.sleep(_SECONDS)
    await _spread(edge, name, keys)


async def _spread(edge: Edge, name: str, keys: KeysChange) -> None:
    """Send the change to each known key without it."""
    act = RESET_KEYS if keys.change is None else SET_KEYS
    async for page in _keys(edge, name):
        messages = [
            SetGateKeys(key=gate.id, format=GATES, keys=keys)
            for gate in page
            if (order := gate.orders.get(act)) is None or order.at < keys.at
        ]
        await edge.send_all(messages, f"change the keys of gate {name!r}")


async def _keys(edge: Edge, name: str) -> AsyncIterator[list[GateSummary]]:
    views, begin = edge.ports.views, gate_id(name)
    found: list[GateSummary] = []

    async def page() -> list[GateSummary]:
        return await views.gate_list(after=found[-1].id if found else begin, limit=_PAGE)

    while True:
        found = [
            gate for gate in await edge.ask(page, f"list keys of gate {name!r}") if gate.id.startswith(begin)
        ]
        if found:
            yield found
        if len(found) < _PAGE:
            return


async def _check(edge: Edge, name: str) -> None:
    """Refuse an unknown gate, and one with limits for all keys together."""
    if any(
        gate.name == name and _is_keyed(gate)
        for graph in edge.ports.catalogue.known()
        for gate in _gates(graph)
    ):
        return
    async for _ in _keys(edge, name):
        return
    text = f"there is no gate {name[:128]!r} whose keys have limits each"
    raise RejectedError("unknown_gate", f"{text}; `stream-durable gates list` shows those there are")


def _is_keyed(gate: Gate) -> bool:
    return gate.per is not None and gate.limits.weights is None


def _gates(graph: Graph) -> Iterator[Gate]:
    found = [graph.definition.gate, *graph.limited.values(), *map(gate_of, graph.nodes)]
    yield from (gate for gate in found if gate is not None)
