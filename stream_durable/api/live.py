"""Live changes as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from stream_durable.api.callers import Caller, TheCaller
from stream_durable.api.hub import Hub, Watcher
from stream_durable.api.problems import documented
from stream_durable.api.subjects import OVERVIEW, SUBJECTS_MAX, LiveSubjects, Scope, conditions_of, scope_of
from stream_durable.api.world import TheWorld
from stream_durable.core.errors import RejectedError, StreamDurableError

router = APIRouter(tags=["live"], responses=documented(400, 401, 403, 422, 503))

#: A quiet stream says so often that it is alive, and looks at the token again.
ALIVE_SECONDS: Final = 15.0


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


@router.get("/live", response_class=EventStream)
async def watch(
    request: Request,
    world: TheWorld,
    caller: TheCaller,
    which: Annotated[LiveSubjects, Query()],
    last_event_id: Annotated[
        str | None, Header(max_length=20_000, description="Goes on after this event.")
    ] = None,
) -> EventStream:
    """Stream changes of runs, lists and the overview, as server-sent events.

    Events are `hello`, `run` (something happened to a run or to a step of it), `list` and `overview` (ask
    again, at most once a second), `reload` (events are missing: ask for all again), `alive` (nothing for
    15 s) and `goodbye` (this process ends: connect again). They carry no values of users.
    """
    watcher = Watcher(which.run, _scopes(which, caller))
    await world.hub.watch(watcher, last_event_id or which.after)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return EventStream(_streamed(world.hub, watcher, request.scope["stream_durable.check"]), headers=headers)


def _scopes(which: LiveSubjects, caller: Caller) -> list[Scope]:
    scopes = [OVERVIEW] if which.overview else []
    for text in which.lists:
        conditions = conditions_of(text)
        caller.check_sight(conditions.asks_payloads)
        scopes.append(scope_of(text, conditions))
    if not 1 <= len(scopes) + len(which.run) <= SUBJECTS_MAX:
        text = f"a stream takes 1 to {SUBJECTS_MAX} subjects: name some by run=, list= or overview=true"
        raise RejectedError("bad_subjects", text)
    return scopes


async def _streamed(
    hub: Hub, watcher: Watcher, check: Callable[[], Awaitable[Caller]]
) -> AsyncIterator[bytes]:
    """Yield events until the watcher leaves, the token is revoked, or the process ends."""
    try:
        while (data := await watcher.take(ALIVE_SECONDS)) is not None:
            if not data:
                try:
                    await check()
                except StreamDurableError:
                    return
            yield data or hub.alive()
            await hub.rest(watcher)
    finally:
        hub.leave(watcher)
