"""Replays: past records given to a trigger or a binding by an operation, or only counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

from fastapi.responses import Response

from stream_durable.api.bodies import ReplayBody
from stream_durable.api.callers import Caller
from stream_durable.api.keys import derived
from stream_durable.api.operations import OperationState, Reached
from stream_durable.api.problems import documented
from stream_durable.api.shapes import shape
from stream_durable.api.world import World
from stream_durable.client import AsyncClient, Replayed
from stream_durable.client.replaying import ReplayOptions

#: The declaration of a route that replays.
REPLAY: Final[dict[str, Any]] = {
    "response_model": shape(OperationState), "status_code": 202,
    "responses": {200: {"model": shape(Replayed)}, **documented(429)},
}  # fmt: skip

Kind = Literal["trigger", "binding"]


async def replayed(
    world: World, caller: Caller, kind: Kind, name: str, body: ReplayBody, key: str | None
) -> Response:
    """Begin to give past records to a known rule, or with `preview` only count them."""
    options = body.options(caller)
    if body.preview:
        return caller.answer(await _replay(world.client, kind, name, body, options))

    def give(progress: Callable[[Reached], None]) -> Awaitable[Reached]:
        return _replay(world.client, kind, name, body, options | {"progress": progress})

    operation = world.operations.begin(
        "replay", give, found=0, is_exact=False, by=caller.name, reason=body.reason, subject=f"{kind} {name}",
        id=None if key is None else derived(key, caller, f"replay {kind} {name}"),
    )  # fmt: skip
    return caller.answer(operation, 202)


async def _replay(
    client: AsyncClient, kind: Kind, name: str, body: ReplayBody, options: ReplayOptions
) -> Replayed:
    call = client.replay_trigger if kind == "trigger" else client.replay_binding
    return await call(name, body.since, body.until, **options)
