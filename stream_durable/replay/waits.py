"""Waits with a disagreement between run and channel: invisible to replays, since the log agrees.

A run waiting for an event has a wait on the event's channel, and a channel has no wait without a run.
Messages travel between both, so either side may lag for a moment: only disagreements found twice, some time
apart, are reported. Nothing is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal, NamedTuple, Protocol

from stream_durable.core.effects import Effects
from stream_durable.core.messages import ReadOpened, WaitOpened
from stream_durable.core.run.redrive import redrive
from stream_durable.core.run.state import Run
from stream_durable.engine.cache import Cache
from stream_durable.engine.loading import load_entities
from stream_durable.ports import Definitions, Keys, RunPosition, Store

#: `missed_event`: the run waits, and its channel keeps an event able to end the wait. `unknown_wait`: the run
#: waits, and no event can reach it. `unwanted_wait`: the channel has a wait without a run.
Kind = Literal["missed_event", "unknown_wait", "unwanted_wait"]

_PAGE: Final = 500
_UNWANTED_MAX: Final = 10_000


class Wait(NamedTuple):
    """A wait of a step of a run, on a channel."""

    channel: str
    run: str
    step: str


class StrayWait(NamedTuple):
    """A wait known to one side alone."""

    kind: Kind
    wait: Wait

    @property
    def remedy(self) -> str:
        """The remedy for an operator."""
        if self.kind == "unwanted_wait":
            return "nothing has to be done: an event to it is noted as late"
        return "`stream-durable doctor --fix` lets the run ask its channel again, which changes nothing else"


class WaitRows(Protocol):
    """The rows of channels about waits."""

    async def unwanted(self, limit: int) -> list[Wait]:
        """Return waits without a waiting step."""

    async def unanswered(self, waits: Sequence[Wait]) -> list[tuple[Wait, bool]]:
        """Return the waits unknown to their channel, and whether the channel keeps an event."""


class World(NamedTuple):
    """The views used by the search."""

    rows: Callable[[], AbstractAsyncContextManager[WaitRows]]
    store: Store
    definitions: Definitions
    partition_count: int


async def stray_waits(world: World, *, patience_seconds: float = 10.0) -> list[StrayWait]:
    """Search twice, with a pause, and return disagreements found both times.

    Reads all open runs, page by page. A run with an unknown definition is skipped.
    """
    first = await _look(world)
    if not first:
        return []
    await asyncio.sleep(patience_seconds)
    again = await _look(world)
    return [stray for stray in first if stray in again]


async def _look(world: World) -> dict[StrayWait, None]:
    async with world.rows() as rows:
        found = [StrayWait("unwanted_wait", wait) for wait in await rows.unwanted(_UNWANTED_MAX)]
        for partition in range(world.partition_count):
            after = RunPosition(-1, "")
            while page := await world.store.unfinished(partition, after, _PAGE):
                after = page[-1]
                for wait, is_missed in await rows.unanswered(await _open_waits(world, page)):
                    found.append(StrayWait("missed_event" if is_missed else "unknown_wait", wait))
    return dict.fromkeys(found)


async def reopened(world: World, strays: Sequence[StrayWait]) -> list[WaitOpened | ReadOpened]:
    """Return the messages by which the runs of these waits ask their channels again.

    A channel with such a wait already takes the message as a duplicate; one with an event ends the wait.
    """
    wanted = {stray.wait for stray in strays if stray.kind != "unwanted_wait"}
    runs = sorted({wait.run for wait in wanted})
    return [message for message in await _requests(world, runs) if _wait_of(message) in wanted]


async def _open_waits(world: World, page: Sequence[RunPosition]) -> list[Wait]:
    """Return the event waits of these runs."""
    return list(map(_wait_of, await _requests(world, [position.id for position in page])))


def _wait_of(message: WaitOpened | ReadOpened) -> Wait:
    return Wait(
        message.key, message.run, message.wait if isinstance(message, WaitOpened) else message.reaction
    )


async def _requests(world: World, runs: Sequence[str]) -> list[WaitOpened | ReadOpened]:
    """Return the requests of runs to channels, as they are repeated after a loss."""
    cache = Cache(0)
    keys: Keys = {"run": runs}
    if await load_entities(world.store, world.definitions, cache, keys, world.partition_count):
        await world.definitions.catch_up()
        await load_entities(world.store, world.definitions, cache, keys, world.partition_count)
    effects = Effects()
    for run in dict(cache.of("run")).values():
        assert type(run) is Run
        redrive(run, effects)
    return [one for one in effects.messages if isinstance(one, WaitOpened | ReadOpened)]
