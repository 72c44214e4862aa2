"""The world of one process, opened by its first request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream_durable.api.world import World

#: Opens a world, closed with the context.
Connect = Callable[[], "AbstractAsyncContextManager[World]"]


class Connection:
    """A world opened by the first request: an app mounted into another one gets no start event."""

    def __init__(self, connect: Connect) -> None:
        """Open nothing yet."""
        self._connect = connect
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._world: World | None = None

    async def world(self) -> World:
        """Return the world, opened when needed."""
        async with self._lock:
            if self._world is None:
                self._world = await self._stack.enter_async_context(self._connect())
            return self._world

    async def end_streams(self) -> None:
        """Say goodbye to the watchers: a server would wait for their streams."""
        if self._world is not None:
            await self._world.hub.close()

    async def close(self) -> None:
        """Close all connections."""
        async with self._lock:
            self._world = None
            await self._stack.aclose()
