"""Waiting, on the loop, for what a thread does with a client of librdkafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

_Answer = TypeVar("_Answer")

#: Not the loop's own threads: users' functions may occupy all of them, for as long as they like.
_THREADS: Final = ThreadPoolExecutor(16, thread_name_prefix="kafka-call")

_QUIET_AFTER_SECONDS: Final = 2.0


class Pace:
    """How long a thread waits for its client: briefly after an event, else longer, to save CPU."""

    def __init__(self, busy_seconds: float, quiet_seconds: float) -> None:
        """Begin after an event."""
        self._busy_seconds = busy_seconds
        self._quiet_seconds = quiet_seconds
        self.note()

    def note(self) -> None:
        """Record an event."""
        self._until = time.monotonic() + _QUIET_AFTER_SECONDS

    @property
    def seconds(self) -> float:
        """How long to wait now."""
        return self._busy_seconds if time.monotonic() < self._until else self._quiet_seconds


async def in_thread(call: Callable[..., _Answer], *arguments: Any) -> _Answer:
    """Return the result of a blocking call; a cancelled wait leaves the thread running."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, call, *arguments)


async def outcome(future: Future[_Answer]) -> _Answer:
    """Wait for a thread's result; a cancelled wait leaves the thread running."""
    waited = asyncio.wrap_future(future)
    # Nobody may be left to hear of a failure, and asyncio would complain of that on standard error.
    waited.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        return await asyncio.shield(waited)
    finally:
        # An error leads to this frame, and to those of the thread with their clients: in a ring with it they
        # would live, with all their threads and connections, until the next collection of garbage.
        del future, waited


def answer(future: asyncio.Future[Any], found: Any) -> None:
    """Pass a thread's result to the caller, if still waiting."""
    if not future.done():
        future.set_result(found)


def fail(future: asyncio.Future[Any], error: Exception) -> None:
    """Pass a thread's error to the caller, if still waiting."""
    if not future.done():
        future.set_exception(error)
