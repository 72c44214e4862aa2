"""The client for programs without a loop: the same methods, each run on a loop in a thread of its own.

Nothing is said twice: a descriptor turns a coroutine method into a blocking one with the same signature.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from stream_durable.client.run import Event, RunHandle

if TYPE_CHECKING:
    from stream_durable.client.client import Client

P = ParamSpec("P")
R = TypeVar("R")


class _Loop:
    """A loop in a thread, which carries out what other threads ask."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="client", daemon=True)
        self._thread.start()

    def do(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Wait for the end of a coroutine; who stops waiting ends it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """End the loop and the thread."""
        self.do(self._loop.shutdown_asyncgens())
        self.do(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
